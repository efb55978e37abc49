//! Bytes of a POST -> one JSON-RPC message, borrowed.
//!
//! Owns the order that keeps parsing cheap for the host whatever is sent: one linear [`scan`] counts depth and values
//! before serde sees a byte; then the envelope is taken apart once, with `id` and `params` left as raw text. Never
//! looks into `params`, never calls anybody.

use std::borrow::Cow;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::Error;

/// Bytes of a request's `id`, which is repeated in the reply.
const ID_BYTES_MAX: usize = 1 << 10;

/// How much structure a JSON text may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Nesting of objects and arrays.
    pub depth: u32,
    /// Values: numbers, strings (keys do not count), literals, objects, arrays.
    pub elements: u32,
}

/// Which bound a text exceeds; holds the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Depth(u32),
    Elements(u32),
}

/// A message of a client.
#[derive(Debug)]
pub enum Message<'a> {
    Request {
        id: &'a RawValue,
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    Notification {
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// An answer to a request of ours: its result, or none where the client answered with an error.
    Response {
        id: Option<&'a RawValue>,
        result: Option<&'a RawValue>,
    },
}

/// What a POST holds.
#[derive(Debug)]
pub enum Parcel<'a> {
    One(Message<'a>),
    /// Several messages, not taken apart yet (JSON-RPC batch, 2025-03-26 and before).
    Batch(Vec<&'a RawValue>),
}

/// A body that is no message, with the id as far as it could be read.
#[derive(Debug)]
pub struct Malformed<'a> {
    pub id: Option<&'a RawValue>,
    pub error: Error,
}

/// Takes a body apart. A batch has at most `batch_max` messages.
pub fn parcel(body: &[u8], bounds: Bounds, batch_max: u32) -> Result<Parcel<'_>, Malformed<'_>> {
    let nameless = |error| Malformed { id: None, error };
    let text = std::str::from_utf8(body).map_err(|e| nameless(Error::parse(format!("the body is not UTF-8: {e}"))))?;
    scan(body, bounds).map_err(|excess| nameless(Error::invalid_request(excess.to_string())))?;
    if text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[') {
        return batch(text, batch_max).map(Parcel::Batch).map_err(nameless);
    }
    message(text).map(Parcel::One)
}

/// Takes one message apart.
pub fn message(text: &str) -> Result<Message<'_>, Malformed<'_>> {
    let wrong = |e: serde_json::Error| {
        let error = match e.classify() {
            serde_json::error::Category::Data => Error::invalid_request(format!("not a JSON-RPC message: {e}")),
            _ => Error::parse(format!("the body is not JSON: {e}")),
        };
        Malformed { id: None, error }
    };
    // serde would quote a string that stands where an object should, escaped and at any length.
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(wrong)?;
        let error = Error::invalid_request("not a JSON-RPC message: it must be an object");
        return Err(Malformed { id: None, error });
    }
    serde_json::from_str::<Envelope>(text).map_err(wrong)?.into_message()
}

/// The messages of a batch, each as its text.
fn batch(text: &str, messages_max: u32) -> Result<Vec<&RawValue>, Error> {
    struct Messages {
        max: usize,
    }
    impl<'de> Visitor<'de> for Messages {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
            out.write_str("a batch of messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut messages = Vec::new();
            while let Some(message) = items.next_element()? {
                if messages.len() >= self.max {
                    let max = self.max;
                    return Err(A::Error::custom(format_args!("more than the {max} messages of `transports.batch`")));
                }
                messages.push(message);
            }
            Ok(messages)
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let messages = json.deserialize_seq(Messages { max: messages_max as usize }).and_then(|messages| {
        json.end()?;
        Ok(messages)
    });
    match messages {
        Ok(messages) if messages.is_empty() => Err(Error::invalid_request("an empty batch")),
        Ok(messages) => Ok(messages),
        Err(e) if e.is_data() => Err(Error::invalid_request(e.to_string())),
        Err(e) => Err(Error::parse(format!("the body is not JSON: {e}"))),
    }
}

/// Counts the structure of a JSON text without parsing it. A text that is not JSON may pass: serde refuses it later, at
/// the first byte that is wrong.
pub fn scan(json: &[u8], bounds: Bounds) -> Result<(), Excess> {
    let (mut depth, mut elements, mut at) = (0u32, 0u32, 0);
    while at < json.len() {
        let byte = json[at];
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
            // What stood before the colon was a key.
            b':' => {
                elements = elements.saturating_sub(1);
                continue;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'"' => at = end_of_string(json, at),
            _ => at = end_of_word(json, at),
        }
        elements += 1;
        if depth > bounds.depth {
            return Err(Excess::Depth(bounds.depth));
        }
        // A key counts until its colon is seen, hence the one more.
        if elements > bounds.elements.saturating_add(1) {
            return Err(Excess::Elements(bounds.elements));
        }
    }
    if elements > bounds.elements { Err(Excess::Elements(bounds.elements)) } else { Ok(()) }
}

fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn end_of_word(json: &[u8], at: usize) -> usize {
    let is_end =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']');
    json[at..].iter().position(is_end).map_or(json.len(), |length| at + length)
}

impl std::fmt::Display for Excess {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Depth(bound) => write!(out, "nested deeper than `http.depth` allows, which is {bound}"),
            Self::Elements(bound) => write!(out, "more values than `http.elements` allows, which is {bound}"),
        }
    }
}

/// All members as raw text, so that a wrong type in one does not cost us the id.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Keeps `null` apart from absence, which serde's `Option` does not.
pub fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    fn into_message(self) -> Result<Message<'a>, Malformed<'a>> {
        let id = self.id.filter(|id| is_id(id));
        let malformed = |text: &str| Malformed { id, error: Error::invalid_request(text) };
        if self.jsonrpc.is_none_or(|version| version.get() != r#""2.0""#) {
            return Err(malformed(r#"`jsonrpc` must be "2.0""#));
        }
        let Some(method) = self.method else {
            let answers = self.result.is_some() || self.error.is_some();
            let response = Message::Response { id, result: self.result };
            return if answers { Ok(response) } else { Err(malformed("`method` is missing")) };
        };
        let Text(method) = serde_json::from_str(method.get()).map_err(|_| malformed("`method` must be a string"))?;
        match (self.id, id) {
            (None, _) => Ok(Message::Notification { method, params: self.params }),
            (Some(_), Some(id)) => Ok(Message::Request { id, method, params: self.params }),
            (Some(_), None) => Err(malformed("`id` must be a string or a number, of at most 1024 bytes")),
        }
    }
}

/// A string that is copied only when it has escapes.
#[derive(Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

fn is_id(raw: &RawValue) -> bool {
    let text = raw.get();
    text.len() <= ID_BYTES_MAX && text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

#[cfg(test)]
mod tests;
