//! A question about a table: what may be asked, within which bounds, and the shape of the answer.

#[cfg(test)]
mod tests;

use crate::aggregate::{self, Aggregate};
use crate::catalog::{Catalog, shortened};
use crate::cell::Cell;
use crate::filter::{Condition, Filter};
use crate::schema::{Column, Schema, index_of};
use crate::select;
use crate::source::Source;
use crate::stockade::agent::types::Error;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Rows of one answer.
pub const ROWS_MAX: usize = 1_000;
pub const ROWS_DEFAULT: usize = 50;
/// Bytes of cells after which an answer ends early. Far below the 2 MiB of the contract, since an answer holds each
/// cell twice, as text and as JSON, and escapes add to it.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024;
/// Bytes of rows or groups a query may hold while it runs.
pub const HELD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Most parts of a question: columns, filters, sort keys, group keys, aggregates, each.
const PARTS_MAX: usize = 64;

/// A question as the client asks it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub table: String,
    pub columns: Option<Vec<String>>,
    #[serde(default)]
    pub filter: Vec<Filter>,
    #[serde(default)]
    pub sort: Vec<Sort>,
    #[serde(default)]
    pub group_by: Vec<String>,
    #[serde(default)]
    pub aggregates: Vec<Aggregate>,
    pub limit: Option<usize>,
    #[serde(default)]
    pub offset: u64,
}

impl Query {
    /// The beginning of a table, all columns.
    pub fn first_rows(table: &str, limit: usize) -> Query {
        Query {
            table: table.into(),
            columns: None,
            filter: vec![],
            sort: vec![],
            group_by: vec![],
            aggregates: vec![],
            limit: Some(limit),
            offset: 0,
        }
    }
}

/// Order by a column; null is last either way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    column: String,
    #[serde(default)]
    descending: bool,
}

/// The rows that answer a question.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub table: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// The offset to ask for next; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Which of the rows found are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub offset: u64,
    pub limit: usize,
}

/// A sort key among the columns at hand.
#[derive(Debug, Clone, Copy)]
pub struct SortKey {
    pub index: usize,
    pub descending: bool,
}

impl SortKey {
    /// Checks the keys against the columns.
    fn all(sort: &[Sort], columns: &[Column]) -> Result<Vec<SortKey>, Error> {
        let key = |sort: &Sort| Ok(SortKey { index: index_of(columns, &sort.column)?, descending: sort.descending });
        sort.iter().map(key).collect()
    }

    /// The order of two cells by this key.
    pub fn compare(self, a: &Cell, b: &Cell) -> Ordering {
        match (a, b) {
            (Cell::Null, _) | (_, Cell::Null) => a.cmp(b),
            _ if self.descending => b.cmp(a),
            _ => a.cmp(b),
        }
    }
}

/// Answers a question.
pub fn run(catalog: &Catalog, query: &Query) -> Result<Answer, Error> {
    let window = check(query)?;
    let table = catalog.table_like(&query.table)?;
    let schema = Schema::infer(&table)?;
    let conditions =
        query.filter.iter().map(|filter| Condition::new(filter, &schema)).collect::<Result<Vec<_>, _>>()?;
    let mut source = Source::open(&table)?;

    if query.group_by.is_empty() && query.aggregates.is_empty() {
        let shown = match &query.columns {
            Some(names) => names.iter().map(|name| schema.index(name)).collect::<Result<Vec<_>, _>>()?,
            None => (0..schema.columns.len()).collect(),
        };
        let columns = shown.iter().map(|index| schema.columns[*index].clone()).collect();
        let keys = SortKey::all(&query.sort, &schema.columns)?;
        let selection = select::Selection { schema: &schema, conditions: &conditions, shown: &shown };
        let (rows, next_offset) = match keys.is_empty() {
            true => select::in_file_order(&mut source, &selection, window)?,
            false => select::sorted(&mut source, &selection, &keys, window)?,
        };
        return Ok(Answer { table: table.name, columns, rows, next_offset, warnings: source.oddities.warnings() });
    }

    let plan = aggregate::Plan::new(&schema, &query.group_by, &query.aggregates)?;
    let keys = SortKey::all(&query.sort, plan.columns())?;
    let mut rows = plan.run(&mut source, &schema, &conditions)?;
    rows.sort_by(|a, b| compare_rows(&keys, a, b));
    let (rows, next_offset) = cut(rows.into_iter(), window);
    Ok(Answer {
        table: table.name,
        columns: plan.columns().to_vec(),
        rows,
        next_offset,
        warnings: source.oddities.warnings(),
    })
}

/// The order of two rows by all keys.
pub fn compare_rows(keys: &[SortKey], a: &[Cell], b: &[Cell]) -> Ordering {
    keys.iter()
        .map(|key| key.compare(&a[key.index], &b[key.index]))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The rows of a window, as many as an answer holds, and where the rest starts.
pub fn cut(rows: impl Iterator<Item = Vec<Cell>>, window: Window) -> (Vec<Vec<Cell>>, Option<u64>) {
    let mut shown = vec![];
    let mut bytes = 0;
    for row in rows.skip(usize::try_from(window.offset).unwrap_or(usize::MAX)) {
        if shown.len() >= window.limit || bytes >= ANSWER_BYTES_MAX {
            let next = window.offset + shown.len() as u64;
            return (shown, Some(next));
        }
        bytes += held_bytes(&row);
        shown.push(row);
    }
    (shown, None)
}

/// What a row takes in memory, roughly.
pub fn held_bytes(row: &[Cell]) -> usize {
    size_of::<Vec<Cell>>() + row.iter().map(Cell::held_bytes).sum::<usize>()
}

/// Refuses what is out of bounds before the table is opened.
fn check(query: &Query) -> Result<Window, Error> {
    let refuse = |why: String| Err(Error::InvalidInput(why));
    let parts = [
        ("columns", query.columns.as_ref().map_or(0, Vec::len)),
        ("filter", query.filter.len()),
        ("sort", query.sort.len()),
        ("group_by", query.group_by.len()),
        ("aggregates", query.aggregates.len()),
    ];
    if let Some((part, count)) = parts.iter().find(|(_, count)| *count > PARTS_MAX) {
        return refuse(format!("{part} has {count} entries; at most {PARTS_MAX} are allowed"));
    }
    if query.columns.as_ref().is_some_and(Vec::is_empty) {
        return refuse("columns is empty; leave it out to get all of them".into());
    }
    if query.columns.is_some() && (!query.group_by.is_empty() || !query.aggregates.is_empty()) {
        return refuse(format!(
            "columns does not go with group_by or aggregates, whose columns are {} and the aggregates",
            shortened(&query.group_by.join(", "))
        ));
    }
    let limit = query.limit.unwrap_or(ROWS_DEFAULT);
    if !(1..=ROWS_MAX).contains(&limit) {
        return refuse(format!("limit must be 1 to {ROWS_MAX}"));
    }
    Ok(Window { offset: query.offset, limit })
}
