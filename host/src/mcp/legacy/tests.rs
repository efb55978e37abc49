use super::{RequestMeta, version};

fn served(params: &str, header: Option<&str>, method: &str) -> Result<&'static str, i32> {
    let params = serde_json::from_str(params).unwrap();
    version(&RequestMeta::read(Some(params)).unwrap(), None, header, method).map_err(|error| error.body.code)
}

#[test]
fn every_known_revision_is_as_good_as_another() {
    for known in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        assert_eq!(served("{}", Some(known), "tools/list"), Ok(known));
    }
    assert_eq!(served("{}", None, "tools/list"), Ok("2025-03-26"));
    assert_eq!(served("{}", Some("1900-01-01"), "tools/list"), Err(-32022));
    assert_eq!(served("{}", Some("1900-01-01"), "initialize"), Ok("2025-11-25"), "its parameters say what it wants");
    let in_meta = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-06-18"}}"#;
    assert_eq!(served(in_meta, Some("2025-06-18"), "tools/list"), Ok("2025-06-18"));
}
