//! The smallest agent: one tool that greets.
//!
//! An agent exports `describe` and whichever of the contract's other interfaces it serves; here that is `tools`.
//! Every call runs in a fresh instance, so nothing here outlives a call.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package stockade:hello;
        world hello {
            export stockade:agent/describe@0.1.0;
            export stockade:agent/tools@0.1.0;
        }
    ",
    generate_all,
});

use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use exports::stockade::agent::tools::{Guest as Tools, Tool, ToolPage, ToolResult};
use stockade::agent::types::{Content, Error, TextContent};

struct Hello;
export!(Hello);

impl Describe for Hello {
    fn describe() -> Description {
        Description {
            title: "Hello".into(),
            description: "Greets whoever it is told to greet.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: None,
            website_url: None,
            icons: vec![],
            changes: Changes::empty(),
            poll_ms: None,
        }
    }
}

#[derive(serde::Deserialize)]
struct Greet {
    name: String,
}

impl Tools for Hello {
    fn list_tools(_cursor: Option<String>) -> Result<ToolPage, Error> {
        let greet = Tool {
            name: "greet".into(),
            title: None,
            description: Some("Says hello to somebody.".into()),
            input_schema: r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#.into(),
            output_schema: None,
            hints: None,
            icons: vec![],
        };
        Ok(ToolPage { tools: vec![greet], next: None, cache: None })
    }

    fn call(name: String, arguments: String) -> Result<ToolResult, Error> {
        if name != "greet" {
            return Err(Error::NotFound(format!("no tool {name}; there is greet")));
        }
        let Greet { name } = serde_json::from_str(&arguments).map_err(|e| Error::InvalidInput(e.to_string()))?;
        let text = TextContent { text: format!("Hello, {name}!"), annotations: None };
        Ok(ToolResult { content: vec![Content::Text(text)], structured: None, is_error: false })
    }
}
