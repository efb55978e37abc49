use http::HeaderMap;

use super::{METHOD, NAME, check_method, check_name, decode, value};
use crate::mcp::request::Request;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().unwrap());
    }
    map
}

fn read(uri: &str) -> Request<'_> {
    Request::Read { uri: uri.into() }
}

#[test]
fn the_method_is_repeated_exactly() {
    let check = |pairs: &[(&'static str, &str)]| check_method(&headers(pairs), "tools/list").map_err(|e| e.body.code);
    assert_eq!(check(&[("mcp-method", "tools/list")]), Ok(()));
    assert_eq!(check(&[("mcp-method", "  tools/list\t")]), Ok(()));
    for wrong in
        [&[][..], &[("mcp-method", "TOOLS/LIST")], &[("mcp-method", "tools/list"), ("mcp-method", "tools/list")]]
    {
        assert_eq!(check(wrong), Err(-32020), "{wrong:?}");
    }
}

#[test]
fn the_name_may_be_encoded() {
    let check =
        |said: &str, uri: &str| check_name(&headers(&[("mcp-name", said)]), &read(uri)).map_err(|e| e.body.code);
    assert_eq!(check("test://a", "test://a"), Ok(()));
    assert_eq!(check("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"), Ok(()));
    assert_eq!(check("=?base64?SGVsbG8=", "=?base64?SGVsbG8="), Ok(()), "no end mark: literal");
    assert_eq!(check("SGVsbG8=", "SGVsbG8="), Ok(()));
    assert_eq!(check("test://b", "test://a"), Err(-32020));
    assert_eq!(check("=?base64?SGVsbG8?=", "Hello"), Err(-32020), "padding is missing");
    assert_eq!(check("=?base64?SGVs!!!bG8=?=", "Hello"), Err(-32020));
    assert_eq!(check("=?base64?/w==?=", "\u{fffd}"), Err(-32020), "not UTF-8");
    assert_eq!(check_name(&HeaderMap::new(), &read("a")).unwrap_err().body.code, -32020);
    let list = Request::List(crate::mcp::request::List::Tools, None);
    assert!(check_name(&HeaderMap::new(), &list).is_ok(), "a list has no name");
}

#[test]
fn values_are_visible_ascii() {
    let mut map = HeaderMap::new();
    map.insert(NAME, http::HeaderValue::from_bytes("é".as_bytes()).unwrap());
    assert_eq!(value(&map, &NAME).unwrap_err().body.code, -32020);
    assert_eq!(value(&map, &METHOD).unwrap(), None);
    assert_eq!(decode("plain", &NAME).unwrap(), "plain");
}
