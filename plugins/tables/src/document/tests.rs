use super::*;
use crate::testing::Granted;
use serde_json::Value;

const SALES: &[u8] = b"city;amount\nUlm;5\nBonn;7.5\nKiel\n";

/// A document read in pieces of `max`.
fn whole(granted: &Granted, uri: &str, max: u32) -> Result<Value, Error> {
    let (mut at, mut bytes) = (Position::Start, vec![]);
    loop {
        let chunk = read(&granted.catalog, uri, &at, max)?;
        assert!(chunk.bytes.len() <= max as usize);
        assert_eq!(chunk.head.is_some(), matches!(at, Position::Start));
        bytes.extend(chunk.bytes);
        match chunk.next {
            Some(next) => at = Position::Cursor(next),
            None => return Ok(serde_json::from_slice(&bytes).unwrap()),
        }
    }
}

#[test]
fn the_schema_tells_columns_count_and_what_is_odd() {
    let granted = Granted::new(&[("sales.csv", SALES)]);
    let name = granted.name("sales.csv");
    for max in [1, 50, 100_000] {
        let schema = whole(&granted, &address::of_schema(&name), max).unwrap();
        assert_eq!(schema["table"], name);
        assert_eq!(schema["delimiter"], ";");
        assert_eq!(schema["columns"][1], json!({"name": "amount", "type": "number"}));
        assert_eq!((&schema["row_count"], &schema["types_from_rows"]), (&json!(3), &json!(3)));
        assert_eq!(schema["warnings"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn rows_come_in_pages_that_name_the_next() {
    let granted = Granted::new(&[("sales.csv", SALES)]);
    let mut uri = format!("{}?limit=2", address::of_rows(&granted.name("sales.csv")));
    let first = whole(&granted, &uri, 40).unwrap();
    assert_eq!(first["rows"], json!([["Ulm", 5], ["Bonn", 7.5]]));
    uri = first["next"].as_str().unwrap().into();
    let second = whole(&granted, &uri, 40).unwrap();
    assert_eq!(
        (&second["offset"], &second["rows"], &second["next"]),
        (&json!(2), &json!([["Kiel", null]]), &Value::Null)
    );
}

#[test]
fn an_offset_reaches_into_the_json_but_not_beyond() {
    let granted = Granted::new(&[("sales.csv", SALES)]);
    let uri = address::of_rows(&granted.name("sales.csv"));
    let all = read(&granted.catalog, &uri, &Position::Start, 10_000).unwrap();
    let tail = read(&granted.catalog, &uri, &Position::Offset(5), 10_000).unwrap();
    assert_eq!(tail.bytes, all.bytes[5..]);
    assert_eq!(tail.head.unwrap().size, Some(all.bytes.len() as u64));
    assert!(matches!(read(&granted.catalog, &uri, &Position::Offset(1 << 40), 1), Err(Error::InvalidInput(_))));
}

#[test]
fn a_table_changed_under_way_ends_the_read() {
    let granted = Granted::new(&[("sales.csv", SALES)]);
    let uri = address::of_rows(&granted.name("sales.csv"));
    let next = read(&granted.catalog, &uri, &Position::Start, 5).unwrap().next.unwrap();
    fs::write(granted.directory.path().join("sales.csv"), "city\n").unwrap();
    let Err(Error::InvalidInput(message)) = read(&granted.catalog, &uri, &Position::Cursor(next), 5) else {
        panic!("it was read on")
    };
    assert!(message.contains("changed"), "{message}");
    assert!(matches!(read(&granted.catalog, &uri, &Position::Cursor("5".into()), 5), Err(Error::InvalidInput(_))));
}

#[test]
fn the_list_pages_over_all_tables_with_two_resources_each() {
    let names: Vec<_> = (0..PAGE_TABLES_MAX + 1).map(|number| format!("{number:03}.csv")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), SALES)).collect();
    let granted = Granted::new(&files);
    let first = list(&granted.catalog, None).unwrap();
    assert_eq!(first.resources.len(), PAGE_TABLES_MAX * 2);
    let last = list(&granted.catalog, first.next.as_deref()).unwrap();
    assert_eq!((last.resources.len(), last.next), (2, None));
    assert_eq!(last.resources[1].uri, address::of_rows(&granted.name("100.csv")));
    whole(&granted, &last.resources[0].uri, 1_000).unwrap();
}
