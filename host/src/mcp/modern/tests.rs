use serde_json::value::RawValue;

use super::{CAPABILITIES_MAX, RequestMeta, capability_names};

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

fn is_modern(params: &str, header: Option<&str>, method: &str) -> bool {
    RequestMeta::read(Some(raw(params))).unwrap().is_modern(header, method)
}

#[test]
fn the_era_is_decided_from_meta_before_the_method() {
    let modern = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    assert!(is_modern(modern, None, "initialize"));
    assert!(is_modern(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"v999"}}"#, Some("v999"), "tools/list"));
    assert!(is_modern(r#"{"_meta":{"io.modelcontextprotocol/clientInfo":{}}}"#, None, "tools/list"));
    assert!(is_modern("{}", Some("2026-07-28"), "tools/list"));
    assert!(is_modern("{}", None, "server/discover"));

    assert!(!is_modern("{}", None, "initialize"));
    assert!(!is_modern("{}", Some("2025-11-25"), "tools/list"));
    assert!(!is_modern(r#"{"_meta":{"progressToken":1}}"#, None, "tools/call"));
    assert!(
        !is_modern(r#"{"_meta":{"io.modelcontextprotocol/related-task":{}}}"#, None, "tools/call"),
        "2025-11-25 has it"
    );
    assert!(!is_modern(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-06-18"}}"#, None, "tools/list"));
    assert!(!is_modern(r#"{"_meta":7}"#, None, "tools/list"));
}

#[test]
fn capabilities_become_names() {
    let names = |json: &str| capability_names(raw(json));
    let all = r#"{"sampling":{},"elicitation":{},"roots":{"listChanged":true},"extensions":{"io.x/y":{}}}"#;
    let wanted = [
        "sampling",
        "elicitation",
        "elicitation.form",
        "roots",
        "roots.listChanged",
        "extensions",
        "extensions.io.x/y",
    ];
    assert_eq!(names(all), wanted);
    assert_eq!(
        names(r#"{"elicitation":{"url":{}},"roots":{"listChanged":false}}"#),
        ["elicitation", "elicitation.url", "roots"]
    );
    let many = format!("{{{}\"x\":1}}", (0..500).map(|n| format!("\"c{n}\":{{}},")).collect::<String>());
    assert_eq!(names(&many).len(), CAPABILITIES_MAX);
    assert!(names(&format!("{{\"{}\":{{}}}}", "x".repeat(200))).is_empty());
}
