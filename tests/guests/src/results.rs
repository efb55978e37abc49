//! Results that are too big or not what they claim to be, and the one tool that behaves.

use crate::stockade::agent::types::{Content, Error, Icon, MediaContent, Resource};
use crate::{Reply, ToolResult, Trick, address, text};

pub const TRICKS: &[Trick] = &[
    Trick { name: "ok", run: || text("well".into()) },
    Trick { name: "giant-list", run: giant_list },
    Trick { name: "many-strings", run: many_strings },
    Trick { name: "giant-string", run: || text("x".repeat(STRING_BYTES)) },
    Trick { name: "giant-error", run: || Err(Error::Failed("x".repeat(ERROR_BYTES))) },
    Trick { name: "bad-structured", run: || structured("{\"half\": ".into()) },
    Trick { name: "deep-structured", run: || structured("[".repeat(DEPTH) + &"]".repeat(DEPTH)) },
];

/// All of these fit the guest's memory, since they are about the host's.
const LIST_BYTES: usize = 48 << 20;
const STRING_BYTES: usize = 32 << 20;
const ERROR_BYTES: usize = 8 << 20;
const STRINGS: usize = 2_000_000;

/// Nesting that overflows the stack of a recursive JSON parser.
const DEPTH: usize = 100_000;

fn giant_list() -> Reply {
    let image = MediaContent { data: vec![0; LIST_BYTES], mime_type: "image/png".into(), annotations: None };
    content(Content::Image(image))
}

/// Not a byte of text, but each string has a pointer and a length.
fn many_strings() -> Reply {
    let icon = Icon { src: "data:,".into(), mime_type: None, sizes: vec![String::new(); STRINGS], theme: None };
    content(Content::ResourceLink(Resource {
        uri: address("icons"),
        name: "icons".into(),
        title: None,
        description: None,
        mime_type: None,
        size: None,
        version: None,
        annotations: None,
        icons: vec![icon],
    }))
}

fn structured(json: String) -> Reply {
    Ok(ToolResult { content: vec![], structured: Some(json), is_error: false })
}

fn content(content: Content) -> Reply {
    Ok(ToolResult { content: vec![content], structured: None, is_error: false })
}
