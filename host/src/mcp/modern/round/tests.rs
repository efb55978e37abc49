use sha2::{Digest as _, Sha256};

use super::hash_without_space;

fn digest(json: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hash_without_space(json, &mut hasher);
    hasher.finalize().to_vec()
}

#[test]
fn white_space_between_tokens_does_not_matter_and_all_else_does() {
    assert_eq!(digest(r#"{"a":[1,"x y"]}"#), digest("{ \"a\" :\t[1 ,\n\"x y\" ] }"));
    assert_eq!(digest(r#"{"a":"\" b"}"#), digest(r#"{ "a": "\" b"}"#));
    assert_ne!(digest(r#"{"a":"x y"}"#), digest(r#"{"a":"xy"}"#));
    assert_ne!(digest(r#"{"a":"\" b"}"#), digest(r#"{"a":"\"b"}"#));
    assert_ne!(digest(r#"{"a":"\\"," b":1}"#), digest(r#"{"a":"\\","b":1}"#));
}
