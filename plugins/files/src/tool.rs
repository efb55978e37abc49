//! The tool `search` as clients see it: arguments in, text, links and JSON out.

#[cfg(test)]
mod tests;

use crate::exports::stockade::agent::tools::{Hints, Tool, ToolResult};
use crate::grants::{Grants, is_below};
use crate::search::{self, Cursor, Found, Hit, LetterCase, QUERY_BYTES_MAX, Wanted};
use crate::stockade::agent::types::{Content, Error, TextContent};
use crate::{failure, listing, uri};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;

const HITS_DEFAULT: usize = 20;
const HITS_MAX: usize = 100;

const INPUT_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "query": {"type": "string", "minLength": 1, "maxLength": 512, "description": "Text to find within a line."},
    "name": {"type": "string", "minLength": 1, "maxLength": 255,
      "description": "File name pattern: * stands for any characters, ? for one. Case is ignored. Example: *.md"},
    "path": {"type": "string",
      "description": "Directory or file to search, as a path such as /docs/notes or a file: URI. Default: everything."},
    "case_sensitive": {"type": "boolean", "default": false, "description": "Whether A and a differ in query."},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20, "description": "Most hits to return."},
    "cursor": {"type": "string", "description": "The `next` of an earlier result, to go on from there."}
  },
  "anyOf": [{"required": ["query"]}, {"required": ["name"]}],
  "additionalProperties": false
}"#;

const OUTPUT_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "hits": {"type": "array", "items": {
      "type": "object",
      "properties": {
        "uri": {"type": "string", "description": "Resource to read."},
        "line": {"type": "integer", "minimum": 1, "description": "Absent when only a name was looked for."},
        "text": {"type": "string", "description": "The line, or the part of it around the match."}
      },
      "required": ["uri"]
    }},
    "truncated": {"type": "boolean", "description": "Whether there may be more; call again with cursor = next."},
    "next": {"type": "string"}
  },
  "required": ["hits", "truncated"]
}"#;

/// The tool's description.
pub fn search() -> Tool {
    Tool {
        name: "search".into(),
        title: Some("Search files".into()),
        description: Some(
            "Finds lines that contain a text (`query`), files by name pattern (`name`), or lines in files of such \
             names (both). Binary files are searched by name only. Answers in path order; one hit per line."
                .into(),
        ),
        input_schema: INPUT_SCHEMA.into(),
        output_schema: Some(OUTPUT_SCHEMA.into()),
        hints: Some(Hints {
            read_only: Some(true),
            destructive: Some(false),
            idempotent: Some(true),
            open_world: Some(false),
        }),
        icons: vec![],
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: Option<String>,
    name: Option<String>,
    path: Option<String>,
    #[serde(default)]
    case_sensitive: bool,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Runs the tool.
pub fn call_search(grants: &Grants, arguments: &str) -> Result<ToolResult, Error> {
    let arguments: Arguments = serde_json::from_str(arguments)
        .map_err(|error| Error::InvalidInput(uri::shortened(&error.to_string()).into()))?;
    let starts = match &arguments.path {
        None => grants.paths().to_vec(),
        Some(path) => vec![start(grants, path)?],
    };
    let cursor = arguments.cursor.as_deref().map(|cursor| parse_cursor(cursor, &starts)).transpose()?;
    let found = search::search(grants, &starts, &wanted(arguments)?, cursor.as_ref());
    Ok(result(&found))
}

fn wanted(arguments: Arguments) -> Result<Wanted, Error> {
    let Arguments { query: text, name, .. } = arguments;
    let refuse = |why: &str| Err(Error::InvalidInput(why.into()));
    if text.is_none() && name.is_none() {
        return refuse("nothing to look for; give query, name or both");
    }
    if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > QUERY_BYTES_MAX || text.contains('\n')) {
        return refuse("query must be 1 to 512 bytes without a line break");
    }
    if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 255 || name.contains('/')) {
        return refuse("name must be 1 to 255 bytes without /; give the directory as path");
    }
    let hits_max = arguments.limit.unwrap_or(HITS_DEFAULT);
    if !(1..=HITS_MAX).contains(&hits_max) {
        return refuse("limit must be 1 to 100");
    }
    let letter_case = if arguments.case_sensitive { LetterCase::Matters } else { LetterCase::Ignored };
    Ok(Wanted { text, name, letter_case, hits_max })
}

/// The path to start from, given as path or URI, with or without a trailing slash.
fn start(grants: &Grants, path: &str) -> Result<String, Error> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = if path.starts_with('/') || path.is_empty() { path.into() } else { uri::to_path(path)? };
    if !path.is_empty() {
        uri::check(&path).map_err(|why| Error::InvalidInput(format!("path: {why}")))?;
    }
    grants.check(&path)?;
    fs::metadata(if path.is_empty() { "/" } else { &path }).map_err(|error| failure::of(&path, &error))?;
    Ok(path)
}

/// A cursor is `/path`, behind that file, or `offset:line:/path`, within it.
fn parse_cursor(text: &str, starts: &[String]) -> Result<Cursor, Error> {
    let cursor = match text.split_once(":/") {
        None => Some(Cursor { path: text.into(), within: None }),
        Some((place, path)) if !text.starts_with('/') => place
            .split_once(':')
            .and_then(|(offset, line)| Some((offset.parse().ok()?, line.parse().ok()?)))
            .map(|within| Cursor { path: format!("/{path}"), within: Some(within) }),
        Some(_) => Some(Cursor { path: text.into(), within: None }),
    };
    cursor
        .filter(|cursor| uri::check(&cursor.path).is_ok())
        .filter(|cursor| starts.iter().any(|start| is_below(&cursor.path, start)))
        .ok_or_else(|| Error::InvalidInput("not a cursor of this search; start over without one".into()))
}

fn format_cursor(cursor: &Cursor) -> String {
    match cursor.within {
        None => cursor.path.clone(),
        Some((offset, line)) => format!("{offset}:{line}:{}", cursor.path),
    }
}

#[derive(Serialize)]
struct Output {
    hits: Vec<OutputHit>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct OutputHit {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl From<&Hit> for OutputHit {
    fn from(hit: &Hit) -> OutputHit {
        OutputHit {
            uri: uri::of_path(&hit.path),
            line: hit.line.as_ref().map(|line| line.number),
            text: hit.line.as_ref().map(|line| line.excerpt.clone()),
        }
    }
}

fn result(found: &Found) -> ToolResult {
    let next = found.next.as_ref().map(format_cursor);
    let output = Output { hits: found.hits.iter().map(OutputHit::from).collect(), truncated: next.is_some(), next };
    let mut content = vec![Content::Text(TextContent { text: text(&output), annotations: None })];
    let mut paths: Vec<_> = found.hits.iter().map(|hit| hit.path.as_str()).collect();
    paths.dedup();
    content.extend(paths.into_iter().filter_map(listing::resource).map(Content::ResourceLink));
    // It is made of strings and numbers only.
    let structured = serde_json::to_string(&output).expect("strings and numbers can be written as JSON");
    ToolResult { content, structured: Some(structured), is_error: false }
}

/// The hits one a line, as grep shows them.
fn text(output: &Output) -> String {
    let mut text = String::new();
    for hit in &output.hits {
        text.push_str(&hit.uri);
        if let (Some(line), Some(excerpt)) = (hit.line, &hit.text) {
            let _ = write!(text, ":{line}: {excerpt}");
        }
        text.push('\n');
    }
    if output.hits.is_empty() {
        text.push_str("nothing found");
        text.push_str(if output.truncated { " so far\n" } else { "\n" });
    }
    if let Some(next) = &output.next {
        let _ = writeln!(text, "(there may be more: call again with \"cursor\": {})", serde_json::json!(next));
    }
    text
}
