//! Which changes of a tool break its callers.

use super::*;

fn shape(name: &str, input: &str, output: Option<&str>) -> Shape {
    Shape { name: name.into(), input: input.into(), output: output.map(str::to_owned) }
}

/// The breaks between two schemas of one tool's arguments.
fn input(before: &str, after: &str) -> Vec<String> {
    breaks(&[shape("t", before, None)], &[shape("t", after, None)])
}

#[track_caller]
fn breaks_once(before: &str, after: &str, words: &str) {
    let found = input(before, after);
    assert!(found.len() == 1 && found[0].contains(words), "{before} to {after}: {found:?}");
}

#[test]
fn what_takes_more_breaks_nobody() {
    let before = r#"{"type":"object","properties":{"a":{"type":"integer","minimum":1,"enum":[1,2]}},"required":["a"],
        "additionalProperties":false}"#;
    assert_eq!(input(before, before), Vec::<String>::new());
    let after = r#"{"type":"object","properties":{"a":{"type":"number","enum":[1,2,3]},"b":{"type":"string"}}}"#;
    assert_eq!(input(before, after), Vec::<String>::new());
}

#[test]
fn what_takes_less_is_named() {
    let open = r#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#;
    breaks_once(
        open,
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        "takes less than before: arguments.a: no null",
    );
    breaks_once(
        open,
        r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"]}"#,
        "`a` is required",
    );
    breaks_once(
        open,
        r#"{"type":"object","properties":{"a":{"type":["string","null"],"maxLength":5}}}"#,
        "`maxLength` is 5",
    );
    breaks_once(open, r#"{"type":"object","properties":{"a":{"type":["string","null"],"pattern":"^x"}}}"#, "`pattern`");
    breaks_once(
        open,
        r#"{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]}}}"#,
        "only some values",
    );
    breaks_once(
        r#"{"type":"object","properties":{"a":{"enum":["x","y"]}}}"#,
        r#"{"type":"object","properties":{"a":{"enum":["x"]}}}"#,
        r#"not "y""#,
    );
    breaks_once(
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{}}}"#,
        r#"{"type":"object","additionalProperties":false}"#,
        "no `a`",
    );
    breaks_once(
        r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"number"}}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}}}}"#,
        "arguments.a[]: no number",
    );
    breaks_once(r#"{"type":"object"}"#, r#"{"type":"object","additionalProperties":false}"#, "no other properties");
}

#[test]
fn answers_may_promise_more_and_never_less() {
    let few = Some(r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#);
    let more = Some(r#"{"type":"object","properties":{"n":{"type":"integer"},"m":{}},"required":["n","m"]}"#);
    let of = |output| [shape("t", r#"{"type":"object"}"#, output)];
    assert_eq!(breaks(&of(few), &of(more)), Vec::<String>::new());
    assert_eq!(breaks(&of(more), &of(few)), ["the tool `t` promised more before: answers: `m` is required"]);
    assert_eq!(breaks(&of(few), &of(None)), ["the tool `t` no longer says what it answers"]);
    assert_eq!(breaks(&of(None), &of(few)), Vec::<String>::new());
}

#[test]
fn tools_may_come_and_not_go() {
    let tool = |name: &str| shape(name, r#"{"type":"object"}"#, None);
    assert_eq!(breaks(&[tool("a")], &[tool("a"), tool("b")]), Vec::<String>::new());
    assert_eq!(breaks(&[tool("a"), tool("b")], &[tool("b")]), ["the tool `a` is gone"]);
    let many: Vec<Shape> = (0..20).map(|n| tool(&n.to_string())).collect();
    assert_eq!(breaks(&many, &[]).last().map(String::as_str), Some("12 more"));
}

#[test]
fn schemas_that_are_none_are_refused() {
    let wrong = |input: &str| check(&[shape("t", input, None)]).unwrap_err();
    assert_eq!(
        check(&[shape("t", r#"{"type":"object","properties":{"a":true}}"#, Some(r#"{"type":"object"}"#))]),
        Ok(())
    );
    assert!(wrong(&format!(r#"{{"type":"object","title":"{}"}}"#, "x".repeat(64 << 10))).contains("at most 65536"));
    assert!(wrong("{").contains("is not JSON"));
    assert!(wrong(r#"{"type":"string"}"#).contains("is not of an object"));
    assert!(wrong(r#"{"type":"object","properties":[]}"#).contains("`properties` that are no object"));
    assert!(wrong(r#"{"type":"object","properties":{"a":5}}"#).contains("has 5 where a schema belongs"));
    assert!(wrong(r#"{"type":"object","properties":{"a":{"type":"strin"}}}"#).contains(r#"says `"type": "strin"`"#));
    assert!(wrong(r#"{"type":"object","required":"a"}"#).contains("no list of names"));
    let deep =
        format!(r#"{}{{"type":"object"}}{}"#, r#"{"type":"object","properties":{"a":"#.repeat(40), "}}".repeat(40));
    assert!(wrong(&deep).contains("nested more than 32 deep"));
    assert!(check(&[shape("t", r#"{"type":"object"}"#, Some("5"))]).unwrap_err().contains("output schema"));
}

#[test]
fn long_names_and_many_breaks_are_told_in_short() {
    let name = "n".repeat(20_000);
    let required: Vec<String> = (0..5_000).map(|number| format!("\"{number}\"")).collect();
    let before = format!(r#"{{"type":"object","properties":{{"{name}":{{}}}}}}"#);
    let after = format!(r#"{{"type":"object","properties":{{"{name}":{{"required":[{}]}}}}}}"#, required.join(","));
    let found = input(&before, &after);
    assert_eq!(found.last().map(String::as_str), Some("4992 more"));
    assert!(found.iter().map(String::len).sum::<usize>() < 2_000, "{found:?}");
}
