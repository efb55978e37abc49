use super::{CURSOR_BYTES_MAX, Cursor, Names, split_name, split_uri};

const COMMON: Names<'static> = Names { agent: Some("files") };
const OWN: Names<'static> = Names { agent: None };

#[test]
fn names_go_there_and_back() {
    for name in ["read", "a__b", "_x", "a/b.c-d"] {
        let shown = COMMON.name(name).to_string();
        assert_eq!(split_name(&shown), Some(("files", name)));
        assert_eq!(OWN.name(name).to_string(), name);
    }
    for uri in ["file:///a.md", "test://x+y", "+", "file:///a__b"] {
        let shown = COMMON.uri(uri).to_string();
        assert_eq!(split_uri(&shown), Some(("files", uri)));
    }
    assert_eq!(COMMON.uri("file:///{path}").to_string(), "files+file:///{path}");
    assert_eq!(split_name("read"), None);
    assert_eq!(split_uri("file:///a"), None);
}

#[test]
fn names_fit_clients() {
    assert_eq!(OWN.refuses(&"x".repeat(64)), None);
    assert!(OWN.refuses(&"x".repeat(65)).is_some());
    assert_eq!(COMMON.refuses(&"x".repeat(57)), None, "57 and `files__` are 64");
    assert!(COMMON.refuses(&"x".repeat(58)).is_some());
    for name in ["", "a b", "é", "a+b", "a\n"] {
        assert!(OWN.refuses(name).is_some(), "{name:?}");
    }
}

#[test]
fn cursors_go_there_and_back() {
    for at in [None, Some(""), Some("a+b"), Some("päge 2"), Some(&*"x".repeat(4096))] {
        let cursor = Cursor { list: 't', agent: "files".into(), at: at.map(String::from) };
        let encoded = cursor.encode();
        assert!(encoded.len() <= CURSOR_BYTES_MAX);
        assert_eq!(Cursor::decode(&encoded, 't'), Some(cursor));
        assert_eq!(Cursor::decode(&encoded, 'r'), None, "of another list");
    }
}

#[test]
fn what_was_never_a_cursor_is_none() {
    for wrong in ["", "!", "MQ", "MXQ", "invalid-cursor", "/////w", &"A".repeat(10_000)] {
        assert_eq!(Cursor::decode(wrong, 't'), None, "{wrong}");
    }
}
