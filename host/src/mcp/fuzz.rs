//! What foreign bytes reach before an agent is asked, as one function that a fuzzer can call.
//!
//! Owns what must hold whatever comes: no panic, the bounds of the scan, an id that goes back byte for byte, a reply
//! that is one line of JSON, messages of ours that stay short, and the same answer twice. No part of a running host:
//! only tests call it.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use stockade_ledger::{Account, Ledger, Spec};

use super::buffer::Buffer;
use super::error::Error;
use super::mark::{self, Mark};
use super::modern::{self, RequestMeta};
use super::name::{self, Cursor, Names};
use super::parse::{self, Bounds, Malformed, Message, Parcel};
use super::request::{self, Request};
use super::{follow, headers, json, legacy, version, write_error};
use crate::agent::contract::Tool;

/// Smaller than a host's own, so that short inputs meet them.
const BOUNDS: Bounds = Bounds { depth: 12, elements: 200 };

/// Messages of one batch.
const BATCH_MAX: u32 = 4;

/// Headers of one request, as many as hyper takes.
const HEADERS_MAX: usize = 100;

/// Bytes of an error's message. It may quote a client, but not at length: nobody pays for it.
const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// More than the replies to any inputs of a fuzzer, on all of its threads.
const REPLY_BYTES_MAX: u64 = 64 << 20;

/// A tool that wants arguments of each kind repeated in headers.
const MARKED: &str = r#"{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "retries":{"type":"integer","x-mcp-header":"Retries"},
    "deep":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry"}}}}}"#;

/// The name of that tool.
const MARKED_NAME: &str = "run";

/// Takes `data` through all that comes before an agent: header lines, an empty line, a body.
///
/// # Panics
///
/// When something does not hold that must.
pub fn message(data: &[u8]) {
    let (headers, body) = split(data);
    bounded(body);
    let reply = answer(&headers, body);
    assert!(reply == answer(&headers, body), "the same bytes have another answer");
    if let Ok(text) = std::str::from_utf8(body) {
        from_guest(text);
    }
}

/// Without an empty line, all is body.
fn split(data: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return (headers, data) };
    for line in data[..end].split(|byte| *byte == b'\n').take(HEADERS_MAX) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    (headers, &data[end + 2..])
}

/// What the scan lets through has no more structure than it may.
fn bounded(body: &[u8]) {
    if let (Ok(()), Ok(value)) = (parse::scan(body, BOUNDS), serde_json::from_slice::<Value>(body)) {
        let (depth, elements) = structure(&value);
        assert!(depth <= BOUNDS.depth && elements <= BOUNDS.elements, "{depth} levels, {elements} values");
    }
}

fn structure(value: &Value) -> (u32, u32) {
    let inner = |parts: &mut dyn Iterator<Item = &Value>| {
        let sum = |(depth, elements): (u32, u32), part| {
            let (deeper, more) = structure(part);
            (depth.max(deeper), elements + more)
        };
        let (depth, elements) = parts.fold((0, 0), sum);
        (depth + 1, elements + 1)
    };
    match value {
        Value::Array(items) => inner(&mut items.iter()),
        Value::Object(members) => inner(&mut members.values()),
        _ => (0, 1),
    }
}

/// The reply, or nothing. A request that could go to an agent gets an error too, since there is none.
fn answer(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    match parse::parcel(body, BOUNDS, BATCH_MAX) {
        Ok(Parcel::One(message)) => one(headers, message),
        Ok(Parcel::Batch(messages)) => {
            assert!(messages.len() <= BATCH_MAX as usize);
            let replies = messages.iter().map(|raw| match parse::message(raw.get()) {
                Ok(message) => one(headers, message),
                Err(Malformed { id, error }) => reply(id, &error),
            });
            replies.collect::<Vec<_>>().concat()
        }
        Err(Malformed { id, error }) => reply(id, &error),
    }
}

fn one(headers: &HeaderMap, message: Message<'_>) -> Vec<u8> {
    match message {
        Message::Notification { .. } | Message::Response { .. } => Vec::new(),
        Message::Request { id, method, params } => {
            let error = request(headers, &method, params).err();
            reply(Some(id), &error.unwrap_or_else(|| Error::method_not_found(&method)))
        }
    }
}

/// The way of `Service::request`, up to where an agent would be asked.
fn request(headers: &HeaderMap, method: &str, params: Option<&RawValue>) -> Result<(), Error> {
    let meta = RequestMeta::read(params)?;
    let header = headers::value(headers, &headers::VERSION)?;
    let is_modern = meta.is_modern(header, method);
    if is_modern {
        let capabilities = modern::check(headers, &meta, header, method)?;
        let names = modern::capability_names(capabilities);
        assert!(names.len() <= modern::CAPABILITIES_MAX);
        assert!(names.iter().all(|name| name.len() <= modern::CAPABILITY_BYTES_MAX));
    } else {
        let version = legacy::agreed(&meta, headers, header, method, params).map_err(Error::on_legacy_wire)?;
        assert_eq!(version::legacy(version), Some(version));
    }
    follow::token(meta.progress_token)?;
    if method == "subscriptions/listen" {
        return modern::listens(params);
    }
    let request = Request::parse(method, params)?.ok_or_else(|| Error::method_not_found(method))?;
    if is_modern {
        headers::check_name(headers, &request)?;
    }
    ask(headers, &request)
}

fn ask(headers: &HeaderMap, request: &Request) -> Result<(), Error> {
    match request {
        Request::List(list, Some(cursor)) => {
            if let Some(read) = Cursor::decode(cursor, list.letter()) {
                assert_eq!(read.encode(), **cursor, "a cursor that is read is one that was written");
            }
        }
        Request::List(_, None) => {}
        Request::Read { uri } => {
            if let Some((agent, own)) = name::split_uri(uri) {
                assert_eq!(Names { agent: Some(agent) }.uri(own).to_string(), **uri);
            }
        }
        Request::CallTool { name, arguments } => {
            if let Some((agent, own)) = name::split_name(name) {
                assert_eq!(Names { agent: Some(agent) }.name(own).to_string(), **name);
            }
            mark::check(marks(), MARKED_NAME, arguments, headers)?;
        }
        Request::GetPrompt { arguments, .. } => drop(request::strings(*arguments)?),
        Request::Complete(completion) => drop(request::strings(completion.known)?),
    }
    Ok(())
}

/// A guest's text can stand inside a reply, or is refused; as a schema it marks only so much.
fn from_guest(text: &str) {
    if let Ok(passed) = json::check(text) {
        assert_eq!(passed.get(), text.trim_matches([' ', '\t', '\r', '\n']), "a guest's JSON is passed on as it is");
    }
    assert!(mark::of_tool(&tool(text)).len() <= mark::MARKS_MAX);
}

fn reply(id: Option<&RawValue>, error: &Error) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    assert!(error.body.message.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes", error.body.message.len());
    let mut buffer = Buffer::new(account(), REPLY_BYTES_MAX);
    write_error(&mut buffer, id, error).expect("there is room for a reply");
    let sent: &[u8] = buffer.as_ref();
    assert!(!sent.iter().any(|byte| *byte < b' '), "a reply is one line");
    let read: Sent = serde_json::from_slice(sent).expect("a reply is JSON");
    assert_eq!(read.id.map(RawValue::get), id.map(RawValue::get), "the id goes back as it came");
    sent.to_vec()
}

fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let spec = Spec { name: "replies".into(), ceiling: REPLY_BYTES_MAX, floor: 0 };
        Ledger::new(REPLY_BYTES_MAX).account(spec).expect("an account without a floor can be opened")
    })
}

fn marks() -> &'static [Mark] {
    static MARKS: OnceLock<Vec<Mark>> = OnceLock::new();
    MARKS.get_or_init(|| mark::of_tool(&tool(MARKED)))
}

fn tool(schema: &str) -> Tool {
    Tool {
        name: MARKED_NAME.into(),
        title: None,
        description: None,
        input_schema: schema.into(),
        output_schema: None,
        hints: None,
        icons: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
