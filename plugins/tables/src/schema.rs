//! What the columns of a table are called and hold.

#[cfg(test)]
mod tests;

use crate::catalog::{Table, shortened};
use crate::cell::{Cell, Kind};
use crate::source::{Row, Source};
use crate::stockade::agent::types::Error;
use serde::Serialize;

/// Rows that decide what a column holds. Later cells that do not fit are text.
pub const SAMPLED_ROWS_MAX: usize = 1_000;
/// Or fewer, if they are long. One row is always looked at.
const SAMPLED_BYTES_MAX: usize = 1024 * 1024;

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// The columns of a table.
#[derive(Debug, Clone)]
pub struct Schema {
    pub columns: Vec<Column>,
    /// How many rows it was inferred from.
    pub sampled_rows: usize,
}

impl Schema {
    /// Infers the schema from the first rows. An empty cell fits every kind; a column of nothing else is text.
    pub fn infer(table: &Table) -> Result<Schema, Error> {
        let mut source = Source::open(table)?;
        let header = std::mem::take(&mut source.header);
        let mut kinds: Vec<Option<Kind>> = vec![None; header.len()];
        let (mut sampled_rows, mut bytes) = (0, 0);
        while sampled_rows < SAMPLED_ROWS_MAX && bytes < SAMPLED_BYTES_MAX {
            let Some(row) = source.next()? else { break };
            sampled_rows += 1;
            for (index, kind) in kinds.iter_mut().enumerate() {
                let text = row.text(index);
                bytes += text.len();
                if !text.is_empty() && *kind != Some(Kind::Text) {
                    let found = Kind::of(&text);
                    *kind = Some(kind.map_or(found, |kind| kind.or(found)));
                }
            }
        }
        let column = |(name, kind): (String, Option<Kind>)| Column { name, kind: kind.unwrap_or(Kind::Text) };
        Ok(Schema { columns: header.into_iter().zip(kinds).map(column).collect(), sampled_rows })
    }

    /// Where a column is.
    pub fn index(&self, name: &str) -> Result<usize, Error> {
        index_of(&self.columns, name)
    }

    /// A cell of a row.
    pub fn cell(&self, row: &Row<'_>, index: usize) -> Cell {
        Cell::parse(self.columns[index].kind, &row.text(index))
    }
}

/// Where a column is among these.
pub fn index_of(columns: &[Column], name: &str) -> Result<usize, Error> {
    const NAMES_SHOWN_MAX: usize = 30;
    columns.iter().position(|column| column.name == name).ok_or_else(|| {
        let names: Vec<_> = columns.iter().take(NAMES_SHOWN_MAX).map(|column| shortened(&column.name)).collect();
        let more = if columns.len() > NAMES_SHOWN_MAX { " and more" } else { "" };
        Error::InvalidInput(format!("no column {}; there are {}{more}", shortened(name), names.join(", ")))
    })
}
