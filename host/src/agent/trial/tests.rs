//! Tests of `trial`.

use super::*;

#[test]
fn names_have_room_for_the_agents_own() {
    assert_eq!(check_name("files", "tool", "search"), Ok(()));
    assert_eq!(check_name("files", "tool", &"x".repeat(57)), Ok(()));
    let long = check_name("files", "tool", &"x".repeat(58)).unwrap_err();
    assert!(long.contains("has 65 bytes; at most 64"), "{long}");
    for wrong in ["", "a b", "ä", "a:b"] {
        check_name("files", "tool", wrong).unwrap_err();
    }
}
