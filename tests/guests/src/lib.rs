//! Hostile guests: one component whose tools and resources each try one way of hurting their host.
//!
//! A tool is a `Trick`, chosen by its name; a resource is a `Trap`, read as `hostile:///NAME`. They stand in groups
//! by what they attack. Most of them never return: whoever calls them is stopped by a limit, or the limit is missing.
//! What each is expected to end in stands in the list that the host's tests walk, `stockade_tests::guests::ALL`.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package stockade:hostile;
        world hostile {
            include stockade:agent/imports@0.1.0;
            export stockade:agent/describe@0.1.0;
            export stockade:agent/resources@0.1.0;
            export stockade:agent/tools@0.1.0;
        }
    ",
    generate_all,
});

mod crash;
mod cursors;
mod lists;
mod memory;
mod output;
mod results;
mod stack;
mod time;

use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use exports::stockade::agent::resources::{Chunk, Guest as Resources, Position, ResourcePage, TemplatePage};
use exports::stockade::agent::tools::{Guest as Tools, Tool, ToolPage, ToolResult};
use stockade::agent::types::{Content, Error, TextContent};

struct Hostile;
export!(Hostile);

/// What a tool answers, should it ever.
type Reply = Result<ToolResult, Error>;

/// A tool that does harm.
struct Trick {
    name: &'static str,
    run: fn() -> Reply,
}

/// A resource that does harm to whoever reads it.
struct Trap {
    name: &'static str,
    read: fn(Position, u32) -> Result<Chunk, Error>,
}

/// Every tool, by what it attacks.
const TRICKS: [&[Trick]; 6] =
    [memory::TRICKS, stack::TRICKS, time::TRICKS, output::TRICKS, results::TRICKS, crash::TRICKS];

impl Describe for Hostile {
    fn describe() -> Description {
        Description {
            title: "Hostile".into(),
            description: "Tries to take more than it was given.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: None,
            website_url: None,
            icons: vec![],
            changes: Changes::all(),
            poll_ms: None,
        }
    }
}

impl Tools for Hostile {
    fn list_tools(_cursor: Option<String>) -> Result<ToolPage, Error> {
        let tools = tricks().map(|trick| tool(trick.name)).collect();
        Ok(ToolPage { tools, next: None, cache: None })
    }

    fn call(name: String, _arguments: String) -> Reply {
        match tricks().find(|trick| trick.name == name) {
            Some(trick) => (trick.run)(),
            None => Err(Error::NotFound(format!("no tool {name}"))),
        }
    }
}

impl Resources for Hostile {
    fn list_resources(cursor: Option<String>) -> Result<ResourcePage, Error> {
        lists::page(cursor.as_deref())
    }

    fn list_templates(_cursor: Option<String>) -> Result<TemplatePage, Error> {
        Ok(TemplatePage { templates: vec![], next: None, cache: None })
    }

    fn read(uri: String, at: Position, max: u32) -> Result<Chunk, Error> {
        match cursors::TRAPS.iter().find(|trap| uri == address(trap.name)) {
            Some(trap) => (trap.read)(at, max),
            None => Err(Error::NotFound(format!("no resource {uri}"))),
        }
    }
}

fn tricks() -> impl Iterator<Item = &'static Trick> {
    TRICKS.into_iter().flatten()
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        title: None,
        description: None,
        input_schema: r#"{"type":"object"}"#.into(),
        output_schema: None,
        hints: None,
        icons: vec![],
    }
}

/// Where the resource of this name is read.
fn address(name: &str) -> String {
    format!("hostile:///{name}")
}

/// A well-formed result made of one text.
fn text(text: String) -> Reply {
    let content = Content::Text(TextContent { text, annotations: None });
    Ok(ToolResult { content: vec![content], structured: None, is_error: false })
}
