use http::HeaderMap;

use super::{MARKS_MAX, Mark, Marks, check, of_tool};
use crate::agent::contract::Tool;

fn tool(schema: &str) -> Tool {
    Tool {
        name: "run".into(),
        title: None,
        description: None,
        input_schema: schema.into(),
        output_schema: None,
        hints: None,
        icons: vec![],
    }
}

fn marks() -> Vec<Mark> {
    of_tool(&tool(
        r#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "retries":{"type":"integer","x-mcp-header":"Retries"},
            "deep":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry"}}},
            "price":{"type":"number","x-mcp-header":"Price"},
            "list":{"type":"array","items":{"properties":{"x":{"type":"string","x-mcp-header":"X"}}}},
            "odd":{"type":"string","x-mcp-header":"a b"},
            "any":true
        }}"#,
    ))
}

fn checked(arguments: &str, headers: &[(&'static str, &str)]) -> Result<(), i32> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    check(&marks(), "run", arguments, &map).map_err(|error| error.body.code)
}

#[test]
fn only_reachable_primitive_parameters_count() {
    let marks = marks();
    let found: Vec<String> = marks.iter().map(|mark| format!("{} {}", mark.header, mark.path.join("."))).collect();
    assert_eq!(found, ["mcp-param-region region", "mcp-param-retries retries", "mcp-param-dry deep.dry"]);
    assert!(of_tool(&tool(r#"{"type":"object"}"#)).is_empty());
    assert!(of_tool(&tool("x-mcp-header is no schema")).is_empty());
}

#[test]
fn an_argument_and_its_header_say_the_same() {
    assert_eq!(checked("{}", &[]), Ok(()));
    assert_eq!(
        checked(r#"{"region":"eu","retries":42}"#, &[("mcp-param-region", "eu"), ("mcp-param-retries", "42.0")]),
        Ok(())
    );
    assert_eq!(checked(r#"{"region":"Hello"}"#, &[("mcp-param-region", "=?base64?SGVsbG8=?=")]), Ok(()));
    assert_eq!(checked(r#"{"region":null}"#, &[]), Ok(()));
    assert_eq!(checked(r#"{"deep":{"dry":true}}"#, &[("mcp-param-dry", "true")]), Ok(()));
    assert_eq!(checked(r#"{"deep":7}"#, &[]), Ok(()));
    for (arguments, headers) in [
        (r#"{"region":"eu"}"#, &[][..]),
        (r#"{"region":"eu"}"#, &[("mcp-param-region", "us")]),
        (r#"{"region":"eu"}"#, &[("mcp-param-region", "EU")]),
        (r#"{"retries":42}"#, &[("mcp-param-retries", "43")]),
        (r#"{"retries":9007199254740993}"#, &[("mcp-param-retries", "9007199254740992")]),
        (r#"{"retries":1e999}"#, &[("mcp-param-retries", "inf")]),
        (r#"{"deep":{"dry":false}}"#, &[("mcp-param-dry", "true")]),
        ("{}", &[("mcp-param-region", "eu")]),
        (r#"{"region":"Hello"}"#, &[("mcp-param-region", "=?base64?SGVsbG8?=")]),
    ] {
        assert_eq!(checked(arguments, headers), Err(-32020), "{arguments} {headers:?}");
    }
    let twice = r#"{"region":"eu","region":"us"}"#;
    assert_eq!(checked(twice, &[("mcp-param-region", "eu")]), Err(-32602), "an agent could read the other one");
}

#[test]
fn marks_are_known_by_component_and_bounded() {
    let known = Marks::default();
    assert!(known.of("files", "d1").is_none());
    let many = marks().into_iter().cycle().take(MARKS_MAX + 9).collect();
    assert_eq!(known.learn(&"files".into(), "d1", many).len(), MARKS_MAX);
    assert_eq!(known.of("files", "d1").unwrap().len(), MARKS_MAX);
    assert!(known.of("files", "d2").is_none(), "another component, other tools");
}
