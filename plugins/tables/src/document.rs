//! Tables as resources: the schema, and pages of rows, as JSON.
//!
//! A document is small and made anew for every chunk; it is the same each time as long as the file is, which the
//! version in the cursor makes sure of.

#[cfg(test)]
mod tests;

use crate::address::{self, Address};
use crate::catalog::{Catalog, Table, unreadable};
use crate::exports::stockade::agent::resources::{Chunk, Form, Head, Position, ResourcePage, Template};
use crate::query::{ROWS_MAX, Window};
use crate::schema::Schema;
use crate::select::{Selection, in_file_order};
use crate::source::Source;
use crate::stockade::agent::types::{Error, Resource};
use serde_json::json;
use std::fs;

const SCHEMA_TEMPLATE: &str = "table:///{+name}";
const ROWS_TEMPLATE: &str = "table:///{+name}/rows{?offset,limit}";
const JSON: &str = "application/json";
/// Rows of a page that says nothing else.
const ROWS_DEFAULT: usize = 100;
/// Tables on one page of the list; each has two resources.
const PAGE_TABLES_MAX: usize = 100;
/// Larger files are not read through just to count their rows.
const COUNTED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The contract's bound on a chunk.
const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// One page of the list, by table name. The cursor is the last name on the page.
pub fn list(catalog: &Catalog, cursor: Option<&str>) -> Result<ResourcePage, Error> {
    let mut tables = catalog.tables()?;
    tables.retain(|table| cursor.is_none_or(|cursor| table.name.as_str() > cursor));
    let more = tables.len() > PAGE_TABLES_MAX;
    tables.truncate(PAGE_TABLES_MAX);
    let next = if more { tables.last().map(|table| table.name.clone()) } else { None };
    Ok(ResourcePage { resources: tables.iter().flat_map(resources).collect(), next, cache: None })
}

/// A table as resources.
fn resources(table: &Table) -> [Resource; 2] {
    let resource = |uri, name, description: &str| Resource {
        uri,
        name,
        title: None,
        description: Some(description.into()),
        mime_type: Some(JSON.into()),
        size: None,
        version: table.version().ok(),
        annotations: None,
        icons: vec![],
    };
    [
        resource(address::of_schema(&table.name), table.name.clone(), "Columns and their types."),
        resource(address::of_rows(&table.name), format!("{}/rows", table.name), "The first rows."),
    ]
}

/// The link to a table's schema.
pub fn link(table: &Table) -> Resource {
    let [schema, _] = resources(table);
    schema
}

/// The templates.
pub fn templates() -> Vec<Template> {
    let template = |uri_template: &str, name: &str, title: &str, description: &str| Template {
        uri_template: uri_template.into(),
        name: name.into(),
        title: Some(title.into()),
        description: Some(description.into()),
        mime_type: Some(JSON.into()),
        annotations: None,
        icons: vec![],
    };
    let rows = format!("Rows from `offset` (0) on, at most `limit` ({ROWS_DEFAULT}, at most {ROWS_MAX}).");
    vec![
        template(SCHEMA_TEMPLATE, "schema", "Schema of a table", "Columns and their types, and the number of rows."),
        template(ROWS_TEMPLATE, "rows", "Rows of a table", &rows),
    ]
}

/// Whether this is one of the templates.
pub fn is_template(template: &str) -> bool {
    template == SCHEMA_TEMPLATE || template == ROWS_TEMPLATE
}

/// Reads at most `max` bytes of a document.
pub fn read(catalog: &Catalog, uri: &str, at: &Position, max: u32) -> Result<Chunk, Error> {
    let address = address::parse(uri)?;
    let (Address::Schema { name } | Address::Rows { name, .. }) = &address;
    let table = catalog.table(name)?;
    let version = table.version()?;
    let start = match at {
        Position::Start => 0,
        Position::Offset(offset) => usize::try_from(*offset).unwrap_or(usize::MAX),
        Position::Cursor(cursor) => match cursor.split_once(':').map(|(start, of)| (start.parse(), of)) {
            Some((Ok(start), of)) if of == version => start,
            Some((Ok(_), _)) => {
                return Err(Error::InvalidInput("the table was changed while it was read; start over".into()));
            }
            _ => return Err(Error::InvalidInput("not a cursor of this agent; start over without one".into())),
        },
    };
    let text = match address {
        Address::Schema { .. } => schema(&table)?,
        Address::Rows { offset, limit, .. } => rows(&table, offset.unwrap_or(0), limit.unwrap_or(ROWS_DEFAULT))?,
    };
    let Some(rest) = text.as_bytes().get(start..) else {
        return Err(Error::InvalidInput(format!("offset {start} is behind the end; there are {} bytes", text.len())));
    };
    if max == 0 {
        return Err(Error::InvalidInput("max is 0; ask for at least 1 byte".into()));
    }
    let bytes = rest[..rest.len().min(max as usize).min(CHUNK_BYTES_MAX)].to_vec();
    let end = start + bytes.len();
    let next = (end < text.len()).then(|| format!("{end}:{version}"));
    let head = Head {
        mime_type: Some(JSON.into()),
        form: Form::Text,
        size: Some(text.len() as u64),
        version: Some(version),
        cache: None,
    };
    Ok(Chunk { bytes, head: (!matches!(at, Position::Cursor(_))).then_some(head), next })
}

/// The schema of a table as JSON.
pub fn schema(table: &Table) -> Result<String, Error> {
    let Schema { columns, sampled_rows } = Schema::infer(table)?;
    let mut source = Source::open(table)?;
    let bytes = fs::metadata(table.path()).map_err(|error| unreadable(&table.name, &error))?.len();
    let mut row_count = None;
    if bytes <= COUNTED_BYTES_MAX {
        let mut count: u64 = 0;
        while source.next()?.is_some() {
            count += 1;
        }
        row_count = Some(count);
    }
    let document = json!({
        "table": table.name,
        "rows": address::of_rows(&table.name),
        "bytes": bytes,
        "delimiter": source.delimiter,
        "columns": columns,
        "types_from_rows": sampled_rows,
        "row_count": row_count,
        "warnings": source.oddities.warnings(),
    });
    Ok(document.to_string())
}

/// A page of rows as JSON.
fn rows(table: &Table, offset: u64, limit: usize) -> Result<String, Error> {
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Error::InvalidInput(format!("limit must be 1 to {ROWS_MAX}")));
    }
    let schema = Schema::infer(table)?;
    let shown: Vec<_> = (0..schema.columns.len()).collect();
    let mut source = Source::open(table)?;
    let selection = Selection { schema: &schema, conditions: &[], shown: &shown };
    let (rows, next) = in_file_order(&mut source, &selection, Window { offset, limit })?;
    let document = json!({
        "table": table.name,
        "columns": schema.columns,
        "offset": offset,
        "rows": rows,
        "next": next.map(|next| format!("{}?offset={next}&limit={limit}", address::of_rows(&table.name))),
        "warnings": source.oddities.warnings(),
    });
    Ok(document.to_string())
}
