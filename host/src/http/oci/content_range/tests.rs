//! Where a part of an upload belongs.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_RANGE;

use super::{Malformed, read};
use crate::http::range::Span;

#[test]
fn content_ranges() {
    let asked = |text: &str| read(&HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]));
    assert_eq!(read(&HeaderMap::new()), Ok(None));
    for text in ["0-99", "bytes 0-99", "bytes=0-99", "0-99/100", "bytes 0-99/*"] {
        assert_eq!(asked(text), Ok(Some(Span { from: 0, to: 99 })), "{text}");
    }
    for text in ["", "0", "-", "1-0", "0-", "-9", "a-b", "+0-9", "0-18446744073709551615", "0-99999999999999999999"] {
        assert_eq!(asked(text), Err(Malformed), "{text}");
    }
}
