//! What of a resource a request asks for: its conditions and its range (RFC 9110, sections 13 and 14).
//!
//! One range of bytes is served; more than one, or one that is not understood, is answered with the whole, as the RFC
//! allows. Tags are strong: an agent's version changes with every byte.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

/// Bytes of a version's digest that its tag shows.
const TAG_BYTES: usize = 16;

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Whole,
    /// These bytes, of so many.
    Part(Span, u64),
    /// None of the bytes asked for are among so many.
    Beyond(u64),
    /// The client has it already.
    Unchanged,
    /// It is no longer what the client wants.
    Changed,
}

/// Bytes from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    /// All of so many bytes; nothing of none.
    pub fn whole(size: u64) -> Option<Self> {
        size.checked_sub(1).map(|to| Self { from: 0, to })
    }

    /// `Content-Range` of these bytes, of so many.
    pub fn content_range(&self, size: u64) -> HeaderValue {
        let text = format!("bytes {}-{}/{size}", self.from, self.to);
        HeaderValue::try_from(text).expect("digits can stand in a header")
    }

    pub fn length(&self) -> u64 {
        self.to - self.from + 1
    }
}

/// The tag of a version.
pub fn etag(version: &str) -> HeaderValue {
    let digest = Sha256::digest(version);
    let hex: String = digest[..TAG_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).expect("hex digits can stand in a header")
}

/// `Content-Range` of a range that is not there.
pub fn unsatisfied(size: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{size}")).expect("digits can stand in a header")
}

/// What a request asks for. `size` is known only where ranges can be served.
pub fn asked(headers: &HeaderMap, etag: Option<&HeaderValue>, size: Option<u64>) -> Asked {
    if headers.contains_key(IF_MATCH) && !names(headers, &IF_MATCH, etag) {
        return Asked::Changed;
    }
    if headers.contains_key(IF_NONE_MATCH) && names(headers, &IF_NONE_MATCH, etag) {
        return Asked::Unchanged;
    }
    let same = headers.get(IF_RANGE).is_none_or(|tag| Some(tag) == etag);
    let (Some(range), Some(size), true) = (headers.get(RANGE), size, same) else { return Asked::Whole };
    match range.to_str().ok().and_then(|range| span(range, size)) {
        None => Asked::Whole,
        Some(None) => Asked::Beyond(size),
        Some(Some(span)) => Asked::Part(span, size),
    }
}

/// Whether a list of tags has this one; `*` is any there is.
fn names(headers: &HeaderMap, list: &HeaderName, etag: Option<&HeaderValue>) -> bool {
    let Some(etag) = etag.and_then(|etag| etag.to_str().ok()) else {
        return headers.get(list).is_some_and(|tags| tags.as_bytes() == b"*");
    };
    let values = headers.get_all(list).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        // A weak comparison does for If-None-Match; for If-Match nobody sends weak ones.
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// The one range of `bytes=...`; the inner none is one beyond the end, the outer one a header that is to be ignored.
fn span(range: &str, size: u64) -> Option<Option<Span>> {
    let (from, to) = range.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let last = size.checked_sub(1);
    let span = match (from, to) {
        ("", suffix) => {
            let length = number(suffix)?;
            last.filter(|_| length > 0).map(|last| Span { from: size.saturating_sub(length), to: last })
        }
        (from, "") => {
            let from = number(from)?;
            last.filter(|last| from <= *last).map(|last| Span { from, to: last })
        }
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            if to < from {
                return None;
            }
            last.filter(|last| from <= *last).map(|last| Span { from, to: to.min(last) })
        }
    };
    Some(span)
}

#[cfg(test)]
mod tests;
