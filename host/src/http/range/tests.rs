use axum::http::HeaderMap;

use super::{Asked, Span, asked, etag, unsatisfied};

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn one_range_is_served() {
    let range = |range: &str| asked(&headers(&[("range", range)]), None, Some(1000));
    let part = |from, to| Asked::Part(Span { from, to }, 1000);
    assert_eq!(range("bytes=0-0"), part(0, 0));
    assert_eq!(range("bytes=200-299"), part(200, 299));
    assert_eq!(range("bytes=900-5000"), part(900, 999));
    assert_eq!(range("bytes=999-"), part(999, 999));
    assert_eq!(range("bytes=-100"), part(900, 999));
    assert_eq!(range("bytes=-5000"), part(0, 999));
    for beyond in ["bytes=1000-", "bytes=1000-2000", "bytes=-0"] {
        assert_eq!(range(beyond), Asked::Beyond(1000), "{beyond}");
    }
    for ignored in
        ["bytes=5-4", "bytes=0-1,3-4", "bytes=x-y", "bytes=", "lines=1-2", "bytes=+1-2", "bytes=99999999999999999999-"]
    {
        assert_eq!(range(ignored), Asked::Whole, "{ignored}");
    }
    assert_eq!(asked(&headers(&[("range", "bytes=0-")]), None, Some(0)), Asked::Beyond(0));
    assert_eq!(asked(&headers(&[("range", "bytes=0-1")]), None, None), Asked::Whole, "an agent that cannot seek");
    assert_eq!(unsatisfied(7), "bytes */7");
}

#[test]
fn conditions_come_before_ranges() {
    let (tag, other) = (etag("1"), etag("2"));
    let (shown, foreign) = (tag.to_str().unwrap().to_owned(), other.to_str().unwrap().to_owned());
    let asked = |list: &[(&'static str, &str)]| asked(&headers(list), Some(&tag), Some(10));
    assert_eq!(asked(&[("if-none-match", &shown)]), Asked::Unchanged);
    assert_eq!(asked(&[("if-none-match", &format!("{foreign}, W/{shown}"))]), Asked::Unchanged);
    assert_eq!(asked(&[("if-none-match", "*"), ("range", "bytes=0-1")]), Asked::Unchanged);
    assert_eq!(asked(&[("if-none-match", &foreign)]), Asked::Whole);
    assert_eq!(asked(&[("if-match", &foreign)]), Asked::Changed);
    assert_eq!(asked(&[("if-match", &shown), ("range", "bytes=0-1")]), Asked::Part(Span { from: 0, to: 1 }, 10));
    assert_eq!(asked(&[("if-range", &foreign), ("range", "bytes=0-1")]), Asked::Whole, "it has changed since");
    assert_eq!(asked(&[("if-range", &shown), ("range", "bytes=0-1")]), Asked::Part(Span { from: 0, to: 1 }, 10));
}

#[test]
fn without_a_version_nothing_is_the_same() {
    let asked = |list: &[(&'static str, &str)]| asked(&headers(list), None, Some(10));
    assert_eq!(asked(&[("if-none-match", r#""x""#)]), Asked::Whole);
    assert_eq!(asked(&[("if-match", r#""x""#)]), Asked::Changed);
    assert_eq!(asked(&[("if-range", r#""x""#), ("range", "bytes=0-1")]), Asked::Whole);
}
