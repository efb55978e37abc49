//! Which rows are wanted.

#[cfg(test)]
mod tests;

use crate::catalog::shortened;
use crate::cell::{Cell, Kind, boolean, number};
use crate::schema::Schema;
use crate::source::Row;
use crate::stockade::agent::types::Error;
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;

/// A condition as the client writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    column: String,
    op: Op,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    StartsWith,
    IsNull,
}

/// A condition checked against the schema. As in SQL, an empty cell meets none but `is-null`.
#[derive(Debug)]
pub struct Condition {
    column: usize,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Compare(Op, Cell),
    /// Text in lower case.
    Contains(String),
    StartsWith(String),
    IsNull(bool),
}

impl Condition {
    /// Checks a filter against the columns.
    pub fn new(filter: &Filter, schema: &Schema) -> Result<Condition, Error> {
        let column = schema.index(&filter.column)?;
        let refuse = |what: &str| {
            Error::InvalidInput(format!("the value of the filter on {} must be {what}", shortened(&filter.column)))
        };
        let test = match (filter.op, &filter.value) {
            (Op::IsNull, None) => Test::IsNull(true),
            (Op::IsNull, Some(Value::Bool(wanted))) => Test::IsNull(*wanted),
            (Op::IsNull, Some(_)) => return Err(refuse("true or false, or left out")),
            (_, None | Some(Value::Null)) => return Err(refuse("given; to find empty cells use the op is-null")),
            (Op::Contains, Some(value)) => Test::Contains(text(value).ok_or_else(|| refuse("text"))?.to_lowercase()),
            (Op::StartsWith, Some(value)) => {
                Test::StartsWith(text(value).ok_or_else(|| refuse("text"))?.to_lowercase())
            }
            (op, Some(value)) => Test::Compare(op, operand(schema.columns[column].kind, value).map_err(refuse)?),
        };
        Ok(Condition { column, test })
    }

    /// Whether a row meets it.
    pub fn accepts(&self, row: &Row<'_>, schema: &Schema) -> bool {
        let text = row.text(self.column);
        match &self.test {
            Test::IsNull(wanted) => text.is_empty() == *wanted,
            _ if text.is_empty() => false,
            Test::Contains(part) => text.to_lowercase().contains(part),
            Test::StartsWith(start) => text.to_lowercase().starts_with(start),
            Test::Compare(op, operand) => {
                let cell = schema.cell(row, self.column);
                // A text that strayed into a column of numbers is neither less nor more than a number; it differs.
                let order = cell.is_comparable_with(operand).then(|| cell.cmp(operand));
                op.holds(order)
            }
        }
    }
}

impl Op {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Op::Eq => order == Some(Ordering::Equal),
            Op::Ne => order != Some(Ordering::Equal),
            Op::Lt => order == Some(Ordering::Less),
            Op::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Op::Gt => order == Some(Ordering::Greater),
            Op::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Op::Contains | Op::StartsWith | Op::IsNull => false,
        }
    }
}

/// The value to compare with, of the column's kind; else what would be right.
fn operand(kind: Kind, value: &Value) -> Result<Cell, &'static str> {
    match kind {
        Kind::Integer | Kind::Number => match value {
            Value::Number(_) => text(value).and_then(|text| number(&text)),
            Value::String(text) => number(text),
            _ => None,
        }
        .ok_or("a number"),
        Kind::Boolean => match value {
            Value::Bool(boolean) => Some(*boolean),
            Value::String(text) => boolean(text),
            _ => None,
        }
        .map(Cell::Boolean)
        .ok_or("true or false"),
        Kind::Date | Kind::Text => text(value).map(Cell::Text).ok_or("text"),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}
