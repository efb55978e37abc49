//! One value of a table, and what kind of values a column holds.

#[cfg(test)]
mod tests;

use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;

/// What a column holds, as its first rows suggest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Integer,
    Number,
    /// `true` or `false`.
    Boolean,
    /// `2024-02-29`; compared as text, which is by date.
    Date,
    Text,
}

impl Kind {
    /// Whether one can add it up.
    pub fn is_numeric(self) -> bool {
        matches!(self, Kind::Integer | Kind::Number)
    }

    /// The narrowest kind of a cell that is not empty.
    pub fn of(text: &str) -> Kind {
        match number(text) {
            Some(Cell::Integer(_)) if !text.contains(['.', 'e', 'E']) => Kind::Integer,
            Some(_) => Kind::Number,
            None if boolean(text).is_some() => Kind::Boolean,
            None if is_date(text) => Kind::Date,
            None => Kind::Text,
        }
    }

    /// The narrowest kind that holds both.
    pub fn or(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (a, b) if a.is_numeric() && b.is_numeric() => Kind::Number,
            _ => Kind::Text,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Date => "date",
            Kind::Text => "text",
        })
    }
}

/// A value. What does not fit its column's kind is text.
///
/// Numbers come before booleans, those before text, null is last.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Whole numbers are always this, however they are written, as long as they are exact.
    Integer(i64),
    /// Finite.
    Number(f64),
    Boolean(bool),
    Text(String),
    Null,
}

impl Cell {
    /// Reads a cell of a column of this kind.
    pub fn parse(kind: Kind, text: &str) -> Cell {
        let parsed = match kind {
            _ if text.is_empty() => Some(Cell::Null),
            Kind::Integer | Kind::Number => number(text),
            Kind::Boolean => boolean(text).map(Cell::Boolean),
            Kind::Date | Kind::Text => None,
        };
        parsed.unwrap_or_else(|| Cell::Text(text.into()))
    }

    /// A number, as an integer if it is one.
    pub fn of_number(number: f64) -> Cell {
        // Below 2^53 every whole number is exact in both.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() < EXACT_MAX {
            Cell::Integer(number as i64)
        } else {
            Cell::Number(number)
        }
    }

    /// As a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Cell::Integer(number) => Some(*number as f64),
            Cell::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// What it takes in memory, roughly.
    pub fn held_bytes(&self) -> usize {
        size_of::<Cell>() + if let Cell::Text(text) = self { text.len() } else { 0 }
    }

    /// Whether both are numbers, or booleans, or text: whether it makes sense to compare them.
    pub fn is_comparable_with(&self, other: &Cell) -> bool {
        self.rank() == other.rank()
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Integer(_) | Cell::Number(_) => 0,
            Cell::Boolean(_) => 1,
            Cell::Text(_) => 2,
            Cell::Null => 3,
        }
    }
}

impl Eq for Cell {}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Cell) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
            (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            _ => match (self.as_f64(), other.as_f64()) {
                // A whole number that is not exact as f64 comes before the f64 next to it, so that the order is total.
                (Some(a), Some(b)) => {
                    a.total_cmp(&b).then(matches!(self, Cell::Number(_)).cmp(&matches!(other, Cell::Number(_))))
                }
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Integer(number) => serializer.serialize_i64(*number),
            Cell::Number(number) => serializer.serialize_f64(*number),
            Cell::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Null => serializer.serialize_unit(),
        }
    }
}

/// Null is empty, as in CSV.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Integer(number) => number.fmt(f),
            Cell::Number(number) => number.fmt(f),
            Cell::Boolean(boolean) => boolean.fmt(f),
            Cell::Text(text) => f.write_str(text),
            Cell::Null => Ok(()),
        }
    }
}

/// A number in decimal notation. What begins with a superfluous zero is none: `01067` is a postal code.
pub fn number(text: &str) -> Option<Cell> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole_digits = digits.bytes().take_while(u8::is_ascii_digit).count();
    if whole_digits == 0 || whole_digits > 1 && digits.starts_with('0') {
        return None;
    }
    if whole_digits == digits.len()
        && let Ok(number) = text.parse()
    {
        return Some(Cell::Integer(number));
    }
    // Begins with a digit, so it is not `inf` or `NaN`; but it may be too large.
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Cell::of_number)
}

/// `true` or `false`, in any letter case.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let in_range = |range: std::ops::Range<usize>, most| text[range].parse().is_ok_and(|n: u8| (1..=most).contains(&n));
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
        && in_range(5..7, 12)
        && in_range(8..10, 31)
}
