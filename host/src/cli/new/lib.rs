//! An agent: one tool that greets, and one resource that says when somebody is there.
//!
//! It exports `describe` and whichever of the contract's other interfaces it serves; here those are `tools` and
//! `resources`. Every call runs in a fresh instance, so nothing here outlives a call. The functions at the end know
//! nothing of the contract: they are what the tests call.

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package local:agent;
        world agent {
            export stockade:agent/describe@0.1.0;
            export stockade:agent/tools@0.1.0;
            export stockade:agent/resources@0.1.0;
        }
    ",
    generate_all,
});

use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use exports::stockade::agent::resources::{
    Chunk, Form, Guest as Resources, Head, Position, ResourcePage, TemplatePage,
};
use exports::stockade::agent::tools::{Guest as Tools, Hints, Tool, ToolPage, ToolResult};
use stockade::agent::types::{Content, Error, Resource, TextContent};

struct Agent;
export!(Agent);

/// The URI of the one resource.
const HOURS_URI: &str = concat!(env!("CARGO_PKG_NAME"), ":///hours");

const HOURS: &str = "Monday to Friday, 9 to 5. Grüße auch am Wochenende.\n";

impl Describe for Agent {
    fn describe() -> Description {
        Description {
            title: env!("CARGO_PKG_NAME").into(),
            description: env!("CARGO_PKG_DESCRIPTION").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: None,
            website_url: None,
            icons: vec![],
            changes: Changes::empty(),
            poll_ms: None,
        }
    }
}

/// The arguments of `greet`.
#[derive(serde::Deserialize)]
struct Greet {
    name: String,
}

impl Tools for Agent {
    fn list_tools(_cursor: Option<String>) -> Result<ToolPage, Error> {
        let greet = Tool {
            name: "greet".into(),
            title: None,
            description: Some("Says hello to somebody.".into()),
            input_schema:
                r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#
                    .into(),
            output_schema: None,
            hints: Some(Hints {
                read_only: Some(true),
                destructive: None,
                idempotent: None,
                open_world: None,
            }),
            icons: vec![],
        };
        Ok(ToolPage {
            tools: vec![greet],
            next: None,
            cache: None,
        })
    }

    fn call(name: String, arguments: String) -> Result<ToolResult, Error> {
        if name != "greet" {
            return Err(Error::NotFound(format!("no tool {name}; there is greet")));
        }
        let Greet { name } =
            serde_json::from_str(&arguments).map_err(|e| Error::InvalidInput(e.to_string()))?;
        let text = TextContent {
            text: greeting(&name),
            annotations: None,
        };
        Ok(ToolResult {
            content: vec![Content::Text(text)],
            structured: None,
            is_error: false,
        })
    }
}

impl Resources for Agent {
    fn list_resources(_cursor: Option<String>) -> Result<ResourcePage, Error> {
        let hours = Resource {
            uri: HOURS_URI.into(),
            name: "hours".into(),
            title: None,
            description: Some("When somebody is there.".into()),
            mime_type: Some("text/plain".into()),
            size: Some(HOURS.len() as u64),
            version: None,
            annotations: None,
            icons: vec![],
        };
        Ok(ResourcePage {
            resources: vec![hours],
            next: None,
            cache: None,
        })
    }

    fn list_templates(_cursor: Option<String>) -> Result<TemplatePage, Error> {
        Ok(TemplatePage {
            templates: vec![],
            next: None,
            cache: None,
        })
    }

    /// A resource is read piece by piece: the host asks for the next one with the cursor of the last, perhaps in a new
    /// instance. Here the cursor is how far the reader has come.
    fn read(uri: String, at: Position, max: u32) -> Result<Chunk, Error> {
        if uri != HOURS_URI {
            return Err(Error::NotFound(format!(
                "no resource {uri}; there is {HOURS_URI}"
            )));
        }
        let (begin, from_cursor) = match at {
            Position::Start => (0, false),
            Position::Offset(offset) => (offset, false),
            Position::Cursor(cursor) => match cursor.parse() {
                Ok(begin) => (begin, true),
                Err(_) => return Err(Error::InvalidInput("no cursor of this agent".into())),
            },
        };
        let Some((bytes, next)) = piece(HOURS.as_bytes(), begin, max) else {
            return Err(Error::InvalidInput(format!(
                "the resource has {} bytes",
                HOURS.len()
            )));
        };
        // What is being read is said once, at the beginning.
        let head = (!from_cursor).then(|| Head {
            mime_type: Some("text/plain".into()),
            form: Form::Text,
            size: Some(HOURS.len() as u64),
            version: None,
            cache: None,
        });
        Ok(Chunk {
            bytes: bytes.to_vec(),
            head,
            next: next.map(|next| next.to_string()),
        })
    }
}

fn greeting(name: &str) -> String {
    match name.trim() {
        "" => "Hello, whoever you are!".into(),
        name => format!("Hello, {name}!"),
    }
}

/// At most `max` bytes from `begin` on, and where the next piece begins, if there is one. None beyond the end.
fn piece(whole: &[u8], begin: u64, max: u32) -> Option<(&[u8], Option<usize>)> {
    let begin = usize::try_from(begin).ok()?;
    let rest = whole.get(begin..)?;
    let bytes = &rest[..rest.len().min(max as usize)];
    let end = begin + bytes.len();
    Some((bytes, (end < whole.len()).then_some(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        assert_eq!(greeting("Ada"), "Hello, Ada!");
        assert_eq!(greeting("  "), "Hello, whoever you are!");
    }

    #[test]
    fn pieces_make_up_the_whole() {
        let mut read: Vec<u8> = Vec::new();
        let mut at = Some(0);
        while let Some(begin) = at {
            let (bytes, next) = piece(HOURS.as_bytes(), begin as u64, 7).expect("within the whole");
            read.extend(bytes);
            at = next;
        }
        assert_eq!(read, HOURS.as_bytes());
        assert_eq!(piece(b"whole", 6, 7), None);
    }

    #[test]
    fn calls_answer_as_the_contract_says() {
        let called = Agent::call("greet".into(), r#"{"name":"Ada"}"#.into()).expect("a greeting");
        assert!(matches!(&called.content[..], [Content::Text(said)] if said.text == "Hello, Ada!"));
        assert!(matches!(
            Agent::call("greet".into(), "{}".into()),
            Err(Error::InvalidInput(_))
        ));
        assert!(matches!(
            Agent::call("shout".into(), "{}".into()),
            Err(Error::NotFound(_))
        ));
        let first = Agent::read(HOURS_URI.into(), Position::Start, 1024).expect("the hours");
        assert_eq!((&*first.bytes, first.next), (HOURS.as_bytes(), None));
    }
}
