//! `Content-Range` of a part of an upload: `0-99`, without the unit that HTTP has there; some clients send it all the same.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE};

use crate::http::range::Span;

/// Where a part belongs, if it says so; an error is a header that cannot be read.
pub fn read(headers: &HeaderMap) -> Result<Option<Span>, Malformed> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    value.to_str().ok().and_then(span).map(Some).ok_or(Malformed)
}

/// Bytes of the body, if it says so.
pub fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`content-range` of a part is FIRST-LAST, such as 0-99")]
pub struct Malformed;

fn span(text: &str) -> Option<Span> {
    let text = text.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split('/').next()?;
    let (from, to) = text.split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let span = Span { from: number(from)?, to: number(to)? };
    // Also beyond what can be counted.
    (span.from <= span.to && span.to < u64::MAX).then_some(span)
}

#[cfg(test)]
mod tests;
