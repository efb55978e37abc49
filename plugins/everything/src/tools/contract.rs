//! What the conformance suite does not ask for and our own tests do.

use super::{Entry, Outcome, parse};
use crate::exports::stockade::agent::tools::ToolResult;
use crate::failure;
use crate::stockade::agent::host;
use crate::text;
use serde_json::{Map, Value, json};

/// Any JSON object.
const OBJECT: &str = r#"{"type":"object"}"#;

pub const TOOLS: &[Entry] = &[
    Entry::new("echo", "Answers with its own arguments, as text and structured.", echo).takes(OBJECT).gives(OBJECT),
    Entry::new("whoami", "Answers with what the host says about the call.", whoami)
        .gives(include_str!("../schemas/whoami.json")),
    Entry::new("fail", "Answers with the error case that is asked for.", fail)
        .takes(include_str!("../schemas/fail.json"))
        .hints(None),
];

/// Measured in the bench beside other hosts' echo, so it does not parse what it hands back.
fn echo(arguments: &str) -> Outcome {
    Ok(ToolResult { content: vec![text(arguments)], structured: Some(arguments.into()), is_error: false })
}

fn whoami(_: &str) -> Outcome {
    let shown = whoami_json();
    Ok(ToolResult { content: vec![text(shown.as_str())], structured: Some(shown), is_error: false })
}

#[derive(serde::Deserialize)]
struct Fail {
    kind: String,
}

fn fail(arguments: &str) -> Outcome {
    let Fail { kind } = parse(arguments)?;
    Err(failure::of_kind(&kind))
}

/// The request context as JSON, field by field.
pub fn whoami_json() -> String {
    let request = host::request();
    let answers: Map<String, Value> = request
        .answers
        .into_iter()
        .map(|(key, answer)| (key, serde_json::from_str(&answer).unwrap_or(Value::String(answer))))
        .collect();
    json!({
        "principal": request.principal,
        "protocolVersion": request.protocol_version,
        "capabilities": request.capabilities,
        "answers": answers,
        "state": request.state,
    })
    .to_string()
}
