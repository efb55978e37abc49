//! The tools as clients see them: arguments in, a table in markdown and JSON out.

#[cfg(test)]
mod tests;

use crate::catalog::{Catalog, Table, shortened};
use crate::cell::Cell;
use crate::exports::stockade::agent::tools::{Hints, Tool, ToolResult};
use crate::query::{self, Answer, Query};
use crate::schema::{Column, Schema};
use crate::stockade::agent::types::{Content, Error, TextContent};
use crate::{address, document};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Tables described in one answer of `tables`.
const TABLES_DEFAULT: usize = 20;
const TABLES_MAX: usize = 100;
/// Bytes of names after which an answer of `tables` ends early.
const TABLES_BYTES_MAX: usize = 128 * 1024;
/// Characters of a cell shown in markdown; the JSON has all of them.
const CELL_CHARS_MAX: usize = 200;

const QUERY_INPUT: &str = include_str!("tool/query-input.json");
const QUERY_OUTPUT: &str = include_str!("tool/query-output.json");
const TABLES_INPUT: &str = include_str!("tool/tables-input.json");
const TABLES_OUTPUT: &str = include_str!("tool/tables-output.json");

/// The tools' descriptions.
pub fn all() -> Vec<Tool> {
    let tool = |name: &str, title: &str, description: &str, input: &str, output: &str| Tool {
        name: name.into(),
        title: Some(title.into()),
        description: Some(description.into()),
        input_schema: input.into(),
        output_schema: Some(output.into()),
        hints: Some(Hints {
            read_only: Some(true),
            destructive: Some(false),
            idempotent: Some(true),
            open_world: Some(false),
        }),
        icons: vec![],
    };
    vec![
        tool("query", "Query a table", QUERY_DESCRIPTION, QUERY_INPUT, QUERY_OUTPUT),
        tool("tables", "List tables", "Lists the tables with their columns.", TABLES_INPUT, TABLES_OUTPUT),
    ]
}

const QUERY_DESCRIPTION: &str = "\
    Rows of a table: filtered (all filters must hold), sorted, cut to limit and offset; or, with group_by and \
    aggregates, one row for each group. The columns of a grouped answer are the group_by columns, then the aggregates; \
    sort names those. An empty cell is null: it meets no filter but is-null, is not counted by aggregates, and is \
    sorted last.";

/// Runs `query`.
pub fn call_query(catalog: &Catalog, arguments: &str) -> Result<ToolResult, Error> {
    let query: Query = parse(arguments)?;
    let answer = query::run(catalog, &query)?;
    Ok(result(markdown(&answer), &answer, vec![]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TablesArguments {
    contains: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
struct TablesOutput {
    tables: Vec<TableOutput>,
    /// What to give as `after` to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct TableOutput {
    name: String,
    uri: String,
    columns: Vec<Column>,
    /// Why the columns are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Runs `tables`.
pub fn call_tables(catalog: &Catalog, arguments: &str) -> Result<ToolResult, Error> {
    let arguments: TablesArguments = parse(arguments)?;
    let limit = arguments.limit.unwrap_or(TABLES_DEFAULT);
    if !(1..=TABLES_MAX).contains(&limit) {
        return Err(Error::InvalidInput(format!("limit must be 1 to {TABLES_MAX}")));
    }
    let part = arguments.contains.unwrap_or_default().to_lowercase();
    let mut tables = catalog.tables()?;
    tables.retain(|table| table.name.to_lowercase().contains(&part));
    tables.retain(|table| arguments.after.as_ref().is_none_or(|after| table.name > *after));
    let mut output = TablesOutput { tables: vec![], next: None };
    let mut bytes = 0;
    for table in &tables {
        if output.tables.len() >= limit || bytes >= TABLES_BYTES_MAX {
            output.next = output.tables.last().map(|last| last.name.clone());
            break;
        }
        let described = describe(table);
        bytes += described.name.len() + described.columns.iter().map(|column| column.name.len()).sum::<usize>();
        output.tables.push(described);
    }
    tables.truncate(output.tables.len());
    let links = tables.iter().map(document::link).map(Content::ResourceLink).collect();
    Ok(result(tables_text(&output), &output, links))
}

/// A table that cannot be read is listed too, with the reason.
fn describe(table: &Table) -> TableOutput {
    let (columns, problem) = match Schema::infer(table) {
        Ok(schema) => (schema.columns, None),
        Err(Error::Failed(why) | Error::NotFound(why) | Error::Denied(why)) => (vec![], Some(why)),
        Err(other) => (vec![], Some(format!("{other:?}"))),
    };
    TableOutput { name: table.name.clone(), uri: address::of_schema(&table.name), columns, problem }
}

fn tables_text(output: &TablesOutput) -> String {
    let mut text = String::new();
    for table in &output.tables {
        let columns: Vec<_> = table.columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        let columns = table.problem.clone().unwrap_or_else(|| columns.join(", "));
        let _ = writeln!(text, "{}: {columns}", table.name);
    }
    if output.tables.is_empty() {
        text.push_str("no tables\n");
    }
    if let Some(next) = &output.next {
        let _ = writeln!(text, "(more tables: call again with \"after\": {})", serde_json::json!(next));
    }
    text
}

/// An answer as a markdown table.
pub fn markdown(answer: &Answer) -> String {
    let mut text = String::new();
    let names = answer.columns.iter().map(|column| Cell::Text(column.name.clone())).collect::<Vec<_>>();
    let mut line = |cells: &[Cell]| {
        for cell in cells {
            text.push_str("| ");
            push_escaped(&mut text, &cell.to_string());
            text.push(' ');
        }
        text.push_str("|\n");
    };
    line(&names);
    line(&vec![Cell::Text("---".into()); names.len()]);
    answer.rows.iter().for_each(|row| line(row));
    if answer.rows.is_empty() {
        text.push_str("\nno rows\n");
    }
    if let Some(next) = answer.next_offset {
        let _ = writeln!(text, "\n(there are more rows: call again with \"offset\": {next})");
    }
    for warning in &answer.warnings {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    text
}

/// A cell must not end its cell or its line.
fn push_escaped(text: &mut String, cell: &str) {
    for character in cell.chars().take(CELL_CHARS_MAX) {
        match character {
            '|' => text.push_str("\\|"),
            '\n' | '\r' => text.push(' '),
            other => text.push(other),
        }
    }
    if cell.chars().nth(CELL_CHARS_MAX).is_some() {
        text.push('…');
    }
}

fn parse<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, Error> {
    serde_json::from_str(arguments).map_err(|error| Error::InvalidInput(shortened(&error.to_string()).into()))
}

fn result(text: String, structured: &impl Serialize, links: Vec<Content>) -> ToolResult {
    let mut content = vec![Content::Text(TextContent { text, annotations: None })];
    content.extend(links);
    // It is made of strings, finite numbers and lists of them.
    let structured = serde_json::to_string(structured).expect("cells can be written as JSON");
    ToolResult { content, structured: Some(structured), is_error: false }
}
