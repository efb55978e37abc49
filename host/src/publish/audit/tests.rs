//! What stands in the audit log, and how large it gets.

use super::*;

fn deed<'a>(version: &'a str, outcome: &'a str) -> Deed<'a> {
    Deed { who: "ann", what: "publish", agent: "demo", version, outcome }
}

#[test]
fn deeds_are_appended_and_a_full_file_gives_way() {
    let data = tempfile::tempdir().unwrap();
    let text = |name: &str| std::fs::read_to_string(data.path().join(name)).unwrap_or_default();
    Audit::with_size(data.path(), 1_000).unwrap().note(deed("1.0.0", "done"));
    let audit = Audit::with_size(data.path(), 1_000).unwrap();
    audit.note(deed("1.0.1", &"x".repeat(10_000)));
    let lines: Vec<serde_json::Value> = text(FILE).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["who"].as_str(), lines[0]["version"].as_str()), (Some("ann"), Some("1.0.0")));
    assert_eq!(lines[1]["outcome"].as_str().map(str::len), Some(OUTCOME_BYTES_MAX));
    assert!(lines[0]["at"].as_u64() > Some(1_700_000_000_000));

    for _ in 0..100 {
        audit.note(deed("1.0.2", "done"));
        assert!(text(FILE).len() <= 1_000 && text(FILE_BEFORE).len() <= 1_000);
    }
    assert!(!text(FILE_BEFORE).is_empty() && text(FILE).ends_with("}\n"));
}
