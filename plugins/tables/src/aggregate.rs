//! Groups of rows and what they add up to. Holds one accumulator for each group and aggregate.

#[cfg(test)]
mod tests;

use crate::catalog::shortened;
use crate::cell::{Cell, Kind};
use crate::filter::Condition;
use crate::query::{HELD_BYTES_MAX, held_bytes};
use crate::schema::{Column, Schema};
use crate::source::Source;
use crate::stockade::agent::types::Error;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Groups one query may make.
pub const GROUPS_MAX: usize = 10_000;

/// A figure as the client asks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    op: Op,
    column: Option<String>,
    #[serde(rename = "as")]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Op::Count => "count",
            Op::Sum => "sum",
            Op::Min => "min",
            Op::Max => "max",
            Op::Avg => "avg",
        }
    }
}

/// Keys and figures, checked against the schema.
pub struct Plan {
    keys: Vec<usize>,
    figures: Vec<Figure>,
    columns: Vec<Column>,
}

/// What is computed, of which column; a count may be of rows.
struct Figure {
    op: Op,
    column: Option<usize>,
}

impl Plan {
    /// Checks a grouping.
    pub fn new(schema: &Schema, group_by: &[String], aggregates: &[Aggregate]) -> Result<Plan, Error> {
        let keys = group_by.iter().map(|name| schema.index(name)).collect::<Result<Vec<_>, _>>()?;
        let mut columns: Vec<_> = keys.iter().map(|index| schema.columns[*index].clone()).collect();
        let mut figures = vec![];
        for aggregate in aggregates {
            let index = aggregate.column.as_ref().map(|name| schema.index(name)).transpose()?;
            let column = index.map(|index| &schema.columns[index]);
            columns.push(Column { name: aggregate.column_name(), kind: aggregate.kind(column)? });
            figures.push(Figure { op: aggregate.op, column: index });
        }
        if let Some(twice) =
            columns.iter().enumerate().find(|(at, column)| columns[..*at].iter().any(|c| c.name == column.name))
        {
            return Err(Error::InvalidInput(format!(
                "two columns of the answer are called {}; name one with \"as\"",
                shortened(&twice.1.name)
            )));
        }
        Ok(Plan { keys, figures, columns })
    }

    /// The columns of the answer: the keys, then the figures.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Reads the whole table. One row for each group, by key; without keys, one for all rows, even if there is none.
    pub fn run(&self, source: &mut Source, schema: &Schema, conditions: &[Condition]) -> Result<Vec<Vec<Cell>>, Error> {
        let mut groups: BTreeMap<Vec<Cell>, Vec<Accumulator>> = BTreeMap::new();
        let mut held = 0;
        if self.keys.is_empty() {
            groups.insert(vec![], self.accumulators());
        }
        while let Some(row) = source.next()? {
            if !conditions.iter().all(|condition| condition.accepts(&row, schema)) {
                continue;
            }
            let key: Vec<_> = self.keys.iter().map(|index| schema.cell(&row, *index)).collect();
            let accumulators = match groups.get_mut(&key) {
                Some(accumulators) => accumulators,
                None => {
                    held += held_bytes(&key) + self.figures.len() * size_of::<Accumulator>();
                    groups.entry(key).or_insert_with(|| self.accumulators())
                }
            };
            for (figure, accumulator) in self.figures.iter().zip(accumulators) {
                held += match figure.column {
                    Some(column) => accumulator.add(&schema.cell(&row, column)),
                    None => accumulator.add_row(),
                };
            }
            if groups.len() > GROUPS_MAX || held > HELD_BYTES_MAX {
                return Err(Error::InvalidInput(format!(
                    "more than {GROUPS_MAX} groups or {HELD_BYTES_MAX} bytes of them; filter first, or group by a \
                     column with fewer values"
                )));
            }
        }
        let finished = groups.into_iter().map(|(mut row, accumulators)| {
            let figures = self.figures.iter().zip(accumulators);
            row.extend(figures.map(|(figure, accumulator)| accumulator.finish(figure.op)));
            row
        });
        Ok(finished.collect())
    }

    fn accumulators(&self) -> Vec<Accumulator> {
        self.figures.iter().map(|figure| Accumulator::new(figure.op)).collect()
    }
}

impl Aggregate {
    fn column_name(&self) -> String {
        match (&self.name, &self.column) {
            (Some(name), _) => name.clone(),
            (None, Some(column)) => format!("{}_{column}", self.op.name()),
            (None, None) => self.op.name().into(),
        }
    }

    /// What the figure is, if it can be computed of this column.
    fn kind(&self, column: Option<&Column>) -> Result<Kind, Error> {
        let refuse = |why: String| Err(Error::InvalidInput(why));
        match (self.op, column) {
            (Op::Count, _) => Ok(Kind::Integer),
            (op, None) => refuse(format!("{} needs a column; only count does without", op.name())),
            (Op::Min | Op::Max, Some(column)) => Ok(column.kind),
            (op, Some(column)) if !column.kind.is_numeric() => {
                let name = shortened(&column.name);
                refuse(format!("{} needs a column of numbers; {name} holds {}", op.name(), column.kind))
            }
            (Op::Sum, Some(column)) => Ok(column.kind),
            (Op::Avg, Some(_)) => Ok(Kind::Number),
        }
    }
}

/// One figure of one group, under way. Null is never counted, nor is text among numbers.
#[derive(Debug)]
enum Accumulator {
    Count(u64),
    /// Whole numbers are added up exactly, the others beside them.
    Sum {
        whole: i128,
        rest: Compensated,
        count: u64,
    },
    Least(Option<Cell>),
    Most(Option<Cell>),
}

impl Accumulator {
    fn new(op: Op) -> Accumulator {
        match op {
            Op::Count => Accumulator::Count(0),
            Op::Sum | Op::Avg => Accumulator::Sum { whole: 0, rest: Compensated::default(), count: 0 },
            Op::Min => Accumulator::Least(None),
            Op::Max => Accumulator::Most(None),
        }
    }

    fn add_row(&mut self) -> usize {
        if let Accumulator::Count(count) = self {
            *count += 1;
        }
        0
    }

    /// Gives the bytes it newly holds.
    fn add(&mut self, cell: &Cell) -> usize {
        match (self, cell) {
            (_, Cell::Null) => {}
            (Accumulator::Count(count), _) => *count += 1,
            (Accumulator::Sum { whole, count, .. }, Cell::Integer(number)) => {
                *whole += i128::from(*number);
                *count += 1;
            }
            (Accumulator::Sum { rest, count, .. }, Cell::Number(number)) => {
                rest.add(*number);
                *count += 1;
            }
            (Accumulator::Sum { .. }, _) => {}
            (Accumulator::Least(held), _) if held.as_ref().is_none_or(|held| cell < held) => {
                return replace(held, cell);
            }
            (Accumulator::Most(held), _) if held.as_ref().is_none_or(|held| cell > held) => return replace(held, cell),
            (Accumulator::Least(_) | Accumulator::Most(_), _) => {}
        }
        0
    }

    fn finish(self, op: Op) -> Cell {
        match self {
            Accumulator::Count(count) => i64::try_from(count).map_or(Cell::Number(count as f64), Cell::Integer),
            Accumulator::Sum { count: 0, .. } => Cell::Null,
            Accumulator::Sum { whole, rest, count } if op == Op::Avg => {
                Cell::of_number((whole as f64 + rest.total()) / count as f64)
            }
            Accumulator::Sum { whole, rest, .. } => match i64::try_from(whole) {
                Ok(whole) if rest.total() == 0.0 => Cell::Integer(whole),
                _ => Cell::of_number(whole as f64 + rest.total()),
            },
            Accumulator::Least(held) | Accumulator::Most(held) => held.unwrap_or(Cell::Null),
        }
    }
}

/// A sum that carries along what rounding loses (Neumaier), so that prices add up to what one expects.
#[derive(Debug, Default)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        let (larger, smaller) = if self.sum.abs() >= number.abs() { (self.sum, number) } else { (number, self.sum) };
        self.lost += (larger - sum) + smaller;
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}

fn replace(held: &mut Option<Cell>, cell: &Cell) -> usize {
    let before = held.as_ref().map_or(0, Cell::held_bytes);
    *held = Some(cell.clone());
    cell.held_bytes().saturating_sub(before)
}
