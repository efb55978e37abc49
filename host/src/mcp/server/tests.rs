use super::{Capabilities, INSTRUCTIONS_BYTES_MAX, Implementation, Listed, Meta, Together, Unavailable};
use crate::mcp::Endpoint;
use crate::mcp::error::Empty;

#[test]
fn capabilities_that_are_missing_are_absent() {
    let json = |capabilities: &Capabilities| serde_json::to_string(capabilities).unwrap();
    let silent = Some(Listed { list_changed: false, subscribe: false });
    let told = Some(Listed { list_changed: true, subscribe: true });
    assert_eq!(json(&Capabilities::default()), "{}");
    assert_eq!(json(&Capabilities { tools: silent, ..Capabilities::default() }), r#"{"tools":{}}"#);
    let some = Capabilities { completions: Some(Empty {}), resources: told, ..Capabilities::default() };
    assert_eq!(json(&some), r#"{"completions":{},"resources":{"listChanged":true,"subscribe":true}}"#);
}

#[test]
fn meta_says_who_and_what_is_missing() {
    let json = |meta: &Meta| serde_json::to_string(meta).unwrap();
    let brief = format!(
        r#"{{"io.modelcontextprotocol/serverInfo":{{"name":"stockade","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let meta = Meta { server_info: Some(Implementation::brief(&Endpoint::Common)), ..Meta::default() };
    assert_eq!(json(&meta), brief);
    assert!(Meta::default().is_empty());
    let unavailable = [Unavailable { agent: "a".into(), reason: "rests".into() }];
    let meta = Meta { unavailable: &unavailable, ..Meta::default() };
    assert_eq!(json(&meta), r#"{"stockade/unavailable":[{"agent":"a","reason":"rests"}]}"#);
    assert!(!meta.is_empty());
}

#[test]
fn instructions_of_many_agents_have_a_bound() {
    let said = |all: &[(&str, &str)]| {
        let mut out = String::new();
        let mut together = Together { out: &mut out, mark: "", bytes: 0, more: 0 };
        all.iter().for_each(|(agent, text)| together.add(agent, text).unwrap());
        together.end().unwrap();
        out
    };
    assert_eq!(said(&[("a", "Ask it."), ("b", "Ask it twice.")]), "# a\nAsk it.\n\n# b\nAsk it twice.");
    let long = "x".repeat(INSTRUCTIONS_BYTES_MAX - 1);
    let more = "1 more agents have instructions: the tool `info` says those of each.";
    assert_eq!(said(&[("a", &long), ("b", "no"), ("c", ".")]), format!("# a\n{long}\n\n# c\n.\n\n{more}"));
    assert_eq!(said(&[("a", &"x".repeat(INSTRUCTIONS_BYTES_MAX + 1))]), more);
}
