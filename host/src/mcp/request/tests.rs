use serde_json::value::RawValue;

use super::{ARGUMENTS_MAX, List, Reference, Request, strings};

fn parse<'a>(method: &str, params: &'a str) -> Result<Option<Request<'a>>, i32> {
    let params: &RawValue = serde_json::from_str(params).unwrap();
    Request::parse(method, Some(params)).map_err(|error| error.body.code)
}

#[test]
fn methods_become_requests() {
    assert!(matches!(Request::parse("tools/list", None), Ok(Some(Request::List(List::Tools, None)))));
    assert!(matches!(parse("prompts/list", r#"{"cursor":null}"#), Ok(Some(Request::List(List::Prompts, None)))));
    let page = parse("resources/templates/list", r#"{"cursor":"abc","_meta":{"x":1}}"#);
    assert!(matches!(page, Ok(Some(Request::List(List::Templates, Some(cursor)))) if cursor == "abc"));
    assert!(matches!(parse("resources/read", r#"{"uri":"a:b"}"#), Ok(Some(Request::Read { uri })) if uri == "a:b"));
    assert!(matches!(parse("no/such", "{}"), Ok(None)));
}

#[test]
fn arguments_go_on_as_they_came() {
    let call = parse("tools/call", r#"{"name":"t","arguments":{ "a" : 1.0 },"inputResponses":{}}"#);
    assert!(matches!(call, Ok(Some(Request::CallTool { arguments: r#"{ "a" : 1.0 }"#, .. }))));
    let call = parse("tools/call", r#"{"name":"t"}"#);
    assert!(matches!(call, Ok(Some(Request::CallTool { arguments: "{}", .. }))));
    for wrong in [r#"{"name":"t","arguments":[]}"#, r#"{"name":7}"#, "{}", "[]"] {
        assert_eq!(parse("tools/call", wrong).unwrap_err(), -32602, "{wrong}");
    }
}

#[test]
fn completions_name_a_prompt_or_a_template() {
    let json = r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"v"},
                  "context":{"arguments":{"b":"c"}}}"#;
    let Ok(Some(Request::Complete(completion))) = parse("completion/complete", json) else { panic!() };
    assert!(matches!(&completion.of, Reference::Prompt(name) if name == "p"));
    assert_eq!(strings(completion.known).unwrap(), [("b".to_owned(), "c".to_owned())]);
    let json = r#"{"ref":{"type":"ref/resource","uri":"x:{y}"},"argument":{"name":"a","value":""}}"#;
    let Ok(Some(Request::Complete(completion))) = parse("completion/complete", json) else { panic!() };
    assert!(matches!(&completion.of, Reference::Template(uri) if uri == "x:{y}"));
    let json = r#"{"ref":{"type":"ref/prompt","uri":"x"},"argument":{"name":"a","value":""}}"#;
    assert_eq!(parse("completion/complete", json).unwrap_err(), -32602);
}

#[test]
fn what_is_no_object_is_neither_read_nor_quoted() {
    let long = format!("\"{}\"", "\u{7f}".repeat(9_000));
    for wrong in [&*long, r#"["ref/prompt","p"]"#, "7"] {
        let message = |params: &str| {
            let params: &RawValue = serde_json::from_str(params).unwrap();
            Request::parse("completion/complete", Some(params)).unwrap_err().body.message
        };
        let reference = format!(r#"{{"ref":{wrong},"argument":{{"name":"a","value":""}}}}"#);
        assert_eq!(message(&reference), "`ref` must be an object");
        let argument = format!(r#"{{"ref":{{"type":"ref/prompt","name":"p"}},"argument":{wrong}}}"#);
        assert_eq!(message(&argument), "`argument` must be an object");
        let arguments: &RawValue = serde_json::from_str(wrong).unwrap();
        assert_eq!(strings(Some(arguments)).unwrap_err().body.message, "`arguments` must be an object of strings");
    }
}

#[test]
fn arguments_are_counted_before_they_are_copied() {
    let members = |count: usize| (0..count).map(|n| format!(r#""{n}":"""#)).collect::<Vec<_>>().join(",");
    let read = |count| {
        let text = format!("{{{}}}", members(count));
        let object: Box<RawValue> = serde_json::from_str(&text).unwrap();
        strings(Some(&object)).map(|read| read.len()).map_err(|error| error.body.message)
    };
    assert_eq!(read(ARGUMENTS_MAX), Ok(ARGUMENTS_MAX));
    assert!(read(ARGUMENTS_MAX + 1).unwrap_err().ends_with("at most 256"));
}

#[test]
fn the_header_name_is_the_bodys() {
    let name = |method, params| parse(method, params).unwrap().unwrap().header_name().map(str::to_owned);
    assert_eq!(name("tools/call", r#"{"name":"t"}"#).as_deref(), Some("t"));
    assert_eq!(name("prompts/get", r#"{"name":"p"}"#).as_deref(), Some("p"));
    assert_eq!(name("resources/read", r#"{"uri":"a:\u0062"}"#).as_deref(), Some("a:b"));
    assert_eq!(name("tools/list", "{}"), None);
}
