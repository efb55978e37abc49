use super::*;
use crate::testing::Granted;
use serde_json::{Value, json};

fn text(result: &ToolResult) -> &str {
    let Content::Text(text) = &result.content[0] else { panic!("no text first") };
    &text.text
}

#[test]
fn the_schemas_are_json_and_agree_with_the_bounds() {
    for schema in [QUERY_INPUT, QUERY_OUTPUT, TABLES_INPUT, TABLES_OUTPUT] {
        serde_json::from_str::<Value>(schema).unwrap();
    }
    let query: Value = serde_json::from_str(QUERY_INPUT).unwrap();
    assert_eq!(query["properties"]["limit"]["maximum"], query::ROWS_MAX);
    assert_eq!(query["properties"]["limit"]["default"], query::ROWS_DEFAULT);
    let tables: Value = serde_json::from_str(TABLES_INPUT).unwrap();
    assert_eq!(tables["properties"]["limit"]["maximum"], TABLES_MAX);
    assert_eq!(tables["properties"]["limit"]["default"], TABLES_DEFAULT);
}

#[test]
fn an_answer_is_markdown_that_no_cell_can_break() {
    let content = format!("a,b\n\"x|y\nz\",{}\n1,2\n", "é".repeat(300));
    let granted = Granted::new(&[("t.csv", content.as_bytes())]);
    let result = call_query(&granted.catalog, r#"{"table": "t", "limit": 1}"#).unwrap();
    let shown = format!("| a | b |\n| --- | --- |\n| x\\|y z | {}… |\n", "é".repeat(200));
    assert_eq!(text(&result), format!("{shown}\n(there are more rows: call again with \"offset\": 1)\n"));
    let structured: Value = serde_json::from_str(result.structured.as_ref().unwrap()).unwrap();
    assert_eq!(structured["rows"][0][0], "x|y\nz");
}

#[test]
fn tables_are_listed_with_columns_and_those_that_cannot_be_read_with_the_reason() {
    let broken = format!("\"{}", "x".repeat(1 << 20));
    let granted = Granted::new(&[("a.csv", b"x,y\n1,b\n"), ("b.csv", broken.as_bytes()), ("c.csv", b"z\n")]);
    let result = call_tables(&granted.catalog, r#"{"limit": 2}"#).unwrap();
    let structured: Value = serde_json::from_str(result.structured.as_ref().unwrap()).unwrap();
    assert_eq!(
        structured["tables"][0]["columns"],
        json!([{"name": "x", "type": "integer"}, {"name": "y", "type": "text"}])
    );
    assert!(structured["tables"][1]["problem"].as_str().unwrap().contains("quote"));
    assert_eq!(structured["next"], granted.name("b.csv"));
    assert_eq!(result.content.len(), 3);
    assert!(text(&result).starts_with(&format!("{}: x integer, y text\n", granted.name("a.csv"))));

    let rest = json!({"after": structured["next"], "contains": "C.csv"}).to_string();
    let result = call_tables(&granted.catalog, &rest).unwrap();
    assert_eq!(text(&result), format!("{}: z text\n", granted.name("c.csv")));
}

#[test]
fn wrong_arguments_are_refused() {
    let granted = Granted::new(&[]);
    for arguments in ["", "[]", r#"{"limit": 0}"#, r#"{"limit": 101}"#, r#"{"colour": 1}"#] {
        assert!(matches!(call_tables(&granted.catalog, arguments), Err(Error::InvalidInput(_))), "{arguments}");
    }
}
