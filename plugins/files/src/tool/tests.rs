use super::*;

fn called(grants: &Grants, arguments: serde_json::Value) -> Result<(ToolResult, serde_json::Value), Error> {
    let result = call_search(grants, &arguments.to_string())?;
    let structured = serde_json::from_str(result.structured.as_ref().unwrap()).unwrap();
    Ok((result, structured))
}

#[test]
fn the_schemas_are_json_and_agree_with_the_bounds() {
    let input: serde_json::Value = serde_json::from_str(INPUT_SCHEMA).unwrap();
    assert_eq!(input["properties"]["limit"]["maximum"], HITS_MAX);
    assert_eq!(input["properties"]["limit"]["default"], HITS_DEFAULT);
    assert_eq!(input["properties"]["query"]["maxLength"], QUERY_BYTES_MAX);
    serde_json::from_str::<serde_json::Value>(OUTPUT_SCHEMA).unwrap();
}

#[test]
fn a_result_is_text_links_and_json_of_the_same_hits() {
    let root = tempfile::tempdir().unwrap();
    let start = root.path().to_str().unwrap();
    let grants = Grants::new([start.to_string()]);
    fs::write(root.path().join("a b.md"), "x 1\nx 2\n").unwrap();
    let (result, structured) = called(&grants, serde_json::json!({"query": "X", "path": format!("{start}/")})).unwrap();
    let uri = uri::of_path(&format!("{start}/a b.md"));
    let hits = serde_json::json!([{"uri": uri, "line": 1, "text": "x 1"}, {"uri": uri, "line": 2, "text": "x 2"}]);
    let expected = serde_json::json!({"hits": hits, "truncated": false});
    assert_eq!(structured, expected);
    let [Content::Text(text), Content::ResourceLink(link)] = &result.content[..] else {
        panic!("{:?}", result.content)
    };
    assert_eq!(text.text, format!("{uri}:1: x 1\n{uri}:2: x 2\n"));
    assert_eq!(link.uri, uri);
}

#[test]
fn next_is_accepted_as_cursor() {
    let root = tempfile::tempdir().unwrap();
    let grants = Grants::new([root.path().to_str().unwrap().to_string()]);
    fs::write(root.path().join("a:b"), "x 1\nx 2\n").unwrap();
    fs::write(root.path().join("b"), "x 3\n").unwrap();
    let (mut lines, mut cursor) = (vec![], None);
    for _ in 0..3 {
        let (_, structured) = called(&grants, serde_json::json!({"query": "x", "limit": 1, "cursor": cursor})).unwrap();
        lines.push(structured["hits"][0]["text"].as_str().unwrap().to_string());
        cursor = structured["next"].as_str().map(str::to_string);
        assert_eq!(structured["truncated"], cursor.is_some());
    }
    assert_eq!(lines, ["x 1", "x 2", "x 3"]);
}

#[test]
fn wrong_arguments_are_refused_with_what_would_be_right() {
    let root = tempfile::tempdir().unwrap();
    let grants = Grants::new([root.path().to_str().unwrap().to_string()]);
    for (arguments, why) in [
        (serde_json::json!({}), "give query, name or both"),
        (serde_json::json!({"query": ""}), "1 to 512 bytes"),
        (serde_json::json!({"query": "x".repeat(513)}), "1 to 512 bytes"),
        (serde_json::json!({"query": "x", "limit": 0}), "1 to 100"),
        (serde_json::json!({"query": "x", "limit": 101}), "1 to 100"),
        (serde_json::json!({"name": "a/b"}), "without /"),
        (serde_json::json!({"query": "x", "colour": 1}), "unknown field `colour`"),
        (serde_json::json!({"query": "x", "cursor": "/etc/passwd"}), "not a cursor"),
        (serde_json::json!({"query": "x", "cursor": "1:/x"}), "not a cursor"),
        (serde_json::json!({"query": "x", "path": "/docs/../etc"}), ".."),
    ] {
        let Err(Error::InvalidInput(message)) = called(&grants, arguments.clone()) else {
            panic!("{arguments} passed")
        };
        assert!(message.contains(why), "{arguments}: {message}");
    }
    let foreign = called(&grants, serde_json::json!({"query": "x", "path": "/etc"}));
    assert!(matches!(foreign, Err(Error::NotFound(_))));
}
