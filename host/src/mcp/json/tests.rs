use serde_json::value::RawValue;

use super::{check, for_each_member, is_object, member, object_schema, schema};

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_guests_json_is_checked_before_it_is_passed_on() {
    assert_eq!(check(" {\"a\": [1]}\n").unwrap().get(), "{\"a\": [1]}");
    for wrong in ["", "{", "{} {}", "{\"a\":}", "nul", "{\"a\":1}, \"result\": {}"] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    assert!(check(&"[".repeat(65)).unwrap_err().contains("64 levels"));
    assert!(check(&format!("[{}1]", "1,".repeat(100_000))).unwrap_err().contains("100000 values"));
}

#[test]
fn schemas_are_objects() {
    assert!(object_schema(r#"{"properties":{"type":{}},"type":"object"}"#).is_ok());
    for wrong in ["true", "{}", r#"{"type":"array"}"#, r#"{"type":["object"]}"#, r#"{"x":{"type":"object"}}"#] {
        assert!(object_schema(wrong).is_err(), "{wrong}");
    }
    assert!(schema(r#"{"type":"array"}"#).is_ok());
    assert!(schema("[]").is_err());
}

#[test]
fn one_member_is_found_without_the_others() {
    let object = raw(r#"{"a":{"b":1},"c":null,"d":"x"}"#);
    assert_eq!(member(object, "a").unwrap().unwrap().get(), r#"{"b":1}"#);
    assert_eq!(member(object, "c").unwrap().unwrap().get(), "null");
    assert!(member(object, "b").unwrap().is_none());
    assert!(member(raw("[1]"), "a").is_err());
    let long = format!("\"{}\"", "\u{7f}".repeat(9_000));
    assert_eq!(member(raw(&long), "a").unwrap_err().to_string(), "not an object", "nothing is quoted");
    assert!(member(raw(r#"{"a":1,"a":2}"#), "a").is_err(), "two readers could take different values");
    assert!(member(raw(r#"{"\u0061":1}"#), "a").unwrap().is_some(), "an escaped key is the same key");
}

#[test]
fn all_members_are_seen() {
    let mut seen = Vec::new();
    assert!(for_each_member(raw(r#"{"a":1,"b":[2]}"#), |key, value| seen.push(format!("{key}={}", value.get()))));
    assert_eq!(seen, ["a=1", "b=[2]"]);
    assert!(!for_each_member(raw("1"), |_, _| {}));
    assert!(is_object(raw("{}")) && !is_object(raw("[]")));
}
