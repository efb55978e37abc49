use super::*;

#[test]
fn names_survive_the_way_there_and_back() {
    for name in ["data/orders.csv", "data/Größen & Maße #1?.csv", "data/100%.csv"] {
        assert_eq!(parse(&of_schema(name)).unwrap(), Address::Schema { name: name.into() });
        assert_eq!(parse(&of_rows(name)).unwrap(), Address::Rows { name: name.into(), offset: None, limit: None });
        assert!(of_rows(name).is_ascii());
    }
}

#[test]
fn rows_take_offset_and_limit_in_any_order() {
    let name = "d/a.csv".to_string();
    let rows = Address::Rows { name, offset: Some(20), limit: Some(10) };
    assert_eq!(parse("table:///d/a.csv/rows?limit=10&offset=20").unwrap(), rows);
}

#[test]
fn what_is_no_address_is_refused_with_the_reason() {
    for (uri, why) in [
        ("data/orders.csv", "expected table:///"),
        ("table://orders.csv", "expected table:///"),
        ("table:///d/a.csv?limit=1", "only rows take"),
        ("table:///d/a.csv/rows?limit=many", "limit is no number"),
        ("table:///d/a.csv/rows?offset=-1", "offset is no number"),
        ("table:///d/a.csv/rows?page=1", "nothing else"),
        ("table:///d/a.csv#x", "fragment"),
        ("table:///d/%zz.csv", "hexadecimal"),
        ("table:///d/%ff.csv", "UTF-8"),
    ] {
        let Err(Error::InvalidInput(message)) = parse(uri) else { panic!("{uri} was accepted") };
        assert!(message.contains(why), "{uri}: {message}");
    }
    assert!(matches!(parse("file:///d/a.csv"), Err(Error::NotFound(_))));
}
