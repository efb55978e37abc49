//! Schemas a host must pass on unchanged, and heed.

use super::{Entry, Outcome, parse, say};

pub const TOOLS: &[Entry] = &[
    Entry::new("json_schema_2020_12_tool", "Has a schema with the keywords of JSON Schema 2020-12.", |_| {
        say("The schema is what matters here.")
    })
    .takes(include_str!("../schemas/json-schema-2020-12.json")),
    Entry::new("test_custom_headers", "Has arguments that a client repeats in Mcp-Param headers.", custom_headers)
        .takes(include_str!("../schemas/custom-headers.json")),
];

#[derive(serde::Deserialize)]
struct Mirrored {
    region: Option<String>,
    retries: Option<i64>,
}

fn custom_headers(arguments: &str) -> Outcome {
    let Mirrored { region, retries } = parse(arguments)?;
    say(format!("region {}, retries {}", region.as_deref().unwrap_or("unset"), retries.unwrap_or(0)))
}
