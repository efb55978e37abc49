//! Results that no compiler makes: they claim more than there is, or say what cannot be said.

use super::agent::{Agent, TOOL};
use super::image::{Image, ZERO, text_content};

/// A text of zeros behind everything else in memory, and pages of 64 KiB that hold it all.
const SHARED_AT: u32 = 512 << 10;
const SHARED_TEXT_BYTES: u32 = 1 << 20;
const SHARED_PAGES: u32 = 24;
const SHARED_TIMES: u32 = 1000;

/// Elements of `content` that would fill 4 GiB.
const DECLARED: u32 = 28_000_000;

/// The MCP limit is 64 bytes.
const LONG_NAME_BYTES: usize = 65;

/// The host allows so many bytes of all texts together.
const DESCRIPTION_BYTES_MAX: usize = 64 << 10;

/// Of a version that is published, the host keeps schemas of 1 MiB in all.
const SCHEMA_BYTES: usize = 64 << 10;
const SCHEMAS: usize = 17;

/// Declares a list that would end far outside its memory.
pub(super) fn giant_declared() -> Vec<u8> {
    answering(|image| {
        let [at, _] = image.text([ZERO, ZERO]);
        image.tool_result([at, DECLARED])
    })
}

/// A thousand pieces of content that are all the same mebibyte: a gibibyte for the host, at the price of one.
pub(super) fn shared_text() -> Vec<u8> {
    let answer = |image: &mut Image| {
        let text = text_content([SHARED_AT, SHARED_TEXT_BYTES]);
        let contents = image.record(&text.repeat(SHARED_TIMES as usize));
        image.tool_result([contents, SHARED_TIMES])
    };
    Agent { pages: SHARED_PAGES, answer, ..Agent::default() }.component()
}

/// A string that is not UTF-8.
pub(super) fn invalid_string() -> Vec<u8> {
    answering(|image| {
        let text = image.string(&[b'a', 0xff, 0xfe]);
        let content = image.text(text);
        image.tool_result(content)
    })
}

/// A result at an address that its type does not allow.
pub(super) fn unaligned_result() -> Vec<u8> {
    answering(|image| image.tool_result([ZERO, ZERO]) + 1)
}

/// A result that is neither `ok` nor an error.
pub(super) fn unknown_case() -> Vec<u8> {
    answering(|image| image.record(&[7; 7]))
}

/// A tool with a name longer than the contract allows.
pub(super) fn long_name() -> Vec<u8> {
    offering(vec!["x".repeat(LONG_NAME_BYTES)])
}

/// A tool listed twice.
pub(super) fn doubled_name() -> Vec<u8> {
    offering(["twice", "once", "twice"].map(String::from).into())
}

/// Says nearly as much of itself as the host keeps.
pub(super) fn wordy() -> Vec<u8> {
    Agent { title: "x".repeat(DESCRIPTION_BYTES_MAX - 1_000), pages: 4, ..Agent::default() }.component()
}

/// Says more of itself than the host would keep.
pub(super) fn long_description() -> Vec<u8> {
    Agent { title: "x".repeat(DESCRIPTION_BYTES_MAX), pages: 4, ..Agent::default() }.component()
}

/// Tools whose schemas are more together than may be published.
pub(super) fn long_schemas() -> Vec<u8> {
    let schema = format!(r#"{{"type":"object","description":"{}"}}"#, "x".repeat(SCHEMA_BYTES));
    let tools = std::iter::once(TOOL.into()).chain((1..SCHEMAS).map(|number| format!("tool-{number}"))).collect();
    Agent { tools, schema, pages: 4, ..Agent::default() }.component()
}

fn offering(tools: Vec<String>) -> Vec<u8> {
    Agent { tools, ..Agent::default() }.component()
}

fn answering(answer: fn(&mut Image) -> u32) -> Vec<u8> {
    Agent { answer, ..Agent::default() }.component()
}
