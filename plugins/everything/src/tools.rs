//! Tools: five families, each a table of [`Entry`]. The order of the tables is the order of the list.

mod asking;
mod content;
mod contract;
mod life;
mod schema;

pub use contract::whoami_json;

use crate::exports::stockade::agent::tools::{Guest, Hints, Tool, ToolPage, ToolResult};
use crate::stockade::agent::types::{Content, Error, Theme};
use crate::{Everything, icon, stable, text};

/// `test_simple_text` comes first: the conformance suite calls whatever does, without arguments.
const FAMILIES: &[&[Entry]] = &[content::TOOLS, life::TOOLS, asking::TOOLS, schema::TOOLS, contract::TOOLS];

/// Of a tool that takes no arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;

/// Most fixtures change nothing and know nothing of the world.
const HARMLESS: Hints =
    Hints { read_only: Some(true), destructive: Some(false), idempotent: Some(true), open_world: Some(false) };

type Outcome = Result<ToolResult, Error>;

/// One tool: what the list says, and what a call does with its arguments.
struct Entry {
    name: &'static str,
    description: &'static str,
    input_schema: &'static str,
    output_schema: Option<&'static str>,
    hints: Option<Hints>,
    run: fn(&str) -> Outcome,
}

impl Entry {
    const fn new(name: &'static str, description: &'static str, run: fn(&str) -> Outcome) -> Self {
        Entry { name, description, input_schema: NO_ARGUMENTS, output_schema: None, hints: Some(HARMLESS), run }
    }

    const fn takes(self, input_schema: &'static str) -> Self {
        Entry { input_schema, ..self }
    }

    const fn gives(self, output_schema: &'static str) -> Self {
        Entry { output_schema: Some(output_schema), ..self }
    }

    const fn hints(self, hints: Option<Hints>) -> Self {
        Entry { hints, ..self }
    }

    fn tool(&self) -> Tool {
        Tool {
            name: self.name.into(),
            title: Some(self.name.replace('_', " ")),
            description: Some(self.description.into()),
            input_schema: self.input_schema.into(),
            output_schema: self.output_schema.map(Into::into),
            hints: self.hints,
            icons: vec![icon(Theme::Light)],
        }
    }
}

impl Guest for Everything {
    fn list_tools(cursor: Option<String>) -> Result<ToolPage, Error> {
        if let Some(cursor) = cursor {
            return Err(Error::InvalidInput(format!("no page {cursor}; the tools are one page")));
        }
        Ok(ToolPage { tools: entries().map(Entry::tool).collect(), next: None, cache: stable() })
    }

    fn call(name: String, arguments: String) -> Outcome {
        match entries().find(|entry| entry.name == name) {
            Some(entry) => (entry.run)(&arguments),
            None => Err(Error::NotFound(format!("no tool {name}; see tools/list"))),
        }
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.iter().copied().flatten()
}

/// The arguments as `A` describes them.
fn parse<'a, A: serde::Deserialize<'a>>(arguments: &'a str) -> Result<A, Error> {
    serde_json::from_str(arguments).map_err(|e| Error::InvalidInput(e.to_string()))
}

fn say(words: impl Into<String>) -> Outcome {
    Ok(result(vec![text(words)]))
}

fn result(content: Vec<Content>) -> ToolResult {
    ToolResult { content, structured: None, is_error: false }
}
