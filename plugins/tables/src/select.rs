//! Rows as they are, in file order or sorted. Holds what the answer needs, never the table.

use crate::cell::Cell;
use crate::filter::Condition;
use crate::query::{ANSWER_BYTES_MAX, HELD_BYTES_MAX, SortKey, Window, cut, held_bytes};
use crate::schema::Schema;
use crate::source::{Row, Source};
use crate::stockade::agent::types::Error;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// How far into a sorted answer one can look: `offset` and `limit` together.
pub const SORTED_ROWS_MAX: usize = 10_000;

/// Which rows, and what is shown of them.
pub struct Selection<'a> {
    pub schema: &'a Schema,
    pub conditions: &'a [Condition],
    /// Indices of the columns.
    pub shown: &'a [usize],
}

/// Rows of an answer, and the offset of the first row that did not get in.
type Rows = (Vec<Vec<Cell>>, Option<u64>);

impl Selection<'_> {
    fn accepts(&self, row: &Row<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.accepts(row, self.schema))
    }

    fn shown(&self, row: &Row<'_>) -> Vec<Cell> {
        self.shown.iter().map(|index| self.schema.cell(row, *index)).collect()
    }
}

/// Reads only as far as the window goes, and to the next match, to know whether there is one.
pub fn in_file_order(source: &mut Source, selection: &Selection<'_>, window: Window) -> Result<Rows, Error> {
    let mut skipped = 0;
    let mut rows = vec![];
    let mut bytes = 0;
    while let Some(row) = source.next()? {
        if !selection.accepts(&row) {
            continue;
        }
        if skipped < window.offset {
            skipped += 1;
            continue;
        }
        if rows.len() >= window.limit || bytes >= ANSWER_BYTES_MAX {
            let next = window.offset + rows.len() as u64;
            return Ok((rows, Some(next)));
        }
        let row = selection.shown(&row);
        bytes += held_bytes(&row);
        rows.push(row);
    }
    Ok((rows, None))
}

/// Reads the whole table and keeps the first rows by `keys`. Rows that are equal stay in file order.
pub fn sorted(source: &mut Source, selection: &Selection<'_>, keys: &[SortKey], window: Window) -> Result<Rows, Error> {
    let offset = usize::try_from(window.offset).unwrap_or(usize::MAX);
    let end = offset.saturating_add(window.limit);
    if end > SORTED_ROWS_MAX {
        return Err(Error::InvalidInput(format!(
            "offset and limit of a sorted query together must not exceed {SORTED_ROWS_MAX}; filter, or turn the sort \
             around"
        )));
    }
    let keys: Rc<[SortKey]> = keys.into();
    let mut kept: BinaryHeap<Ranked> = BinaryHeap::new();
    let mut bytes = 0;
    let mut number = 0;
    while let Some(row) = source.next()? {
        if !selection.accepts(&row) {
            continue;
        }
        number += 1;
        let by = keys.iter().map(|key| selection.schema.cell(&row, key.index)).collect();
        let mut ranked = Ranked { keys: Rc::clone(&keys), by, number, shown: vec![] };
        // One more than is shown, to know whether there are more.
        let full = kept.len() > end;
        if full && kept.peek().is_some_and(|last| ranked > *last) {
            continue;
        }
        ranked.shown = selection.shown(&row);
        bytes += ranked.held_bytes();
        kept.push(ranked);
        if full {
            bytes -= kept.pop().map_or(0, |last| last.held_bytes());
        }
        if bytes > HELD_BYTES_MAX {
            return Err(Error::InvalidInput(format!(
                "the first {end} rows of this order take more than {HELD_BYTES_MAX} bytes; ask for fewer"
            )));
        }
    }
    Ok(cut(kept.into_sorted_vec().into_iter().map(|ranked| ranked.shown), window))
}

/// A row with what it is sorted by.
struct Ranked {
    keys: Rc<[SortKey]>,
    /// One cell for each key.
    by: Vec<Cell>,
    /// Which match it is, in file order.
    number: u64,
    shown: Vec<Cell>,
}

impl Ranked {
    fn held_bytes(&self) -> usize {
        size_of::<Ranked>() + held_bytes(&self.by) + held_bytes(&self.shown)
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        let by_keys = self.keys.iter().zip(&self.by).zip(&other.by).map(|((key, a), b)| key.compare(a, b));
        by_keys.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| self.number.cmp(&other.number))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
