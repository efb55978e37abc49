use axum::http::HeaderMap;

use super::is_json;

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for value in values {
        map.append(name, value.parse().unwrap());
    }
    map
}

#[test]
fn the_body_must_be_json() {
    for right in ["application/json", "Application/JSON; charset=utf-8"] {
        assert!(is_json(&headers("content-type", &[right])), "{right}");
    }
    for wrong in [&[][..], &["text/plain"], &["application/jsonx"], &["multipart/form-data; x=application/json"]] {
        assert!(!is_json(&headers("content-type", wrong)), "{wrong:?}");
    }
}
