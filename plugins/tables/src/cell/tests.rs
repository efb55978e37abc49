use super::*;

#[test]
fn kinds_are_the_narrowest_that_fit() {
    for (text, kind) in [
        ("0", Kind::Integer),
        ("-12", Kind::Integer),
        ("9223372036854775807", Kind::Integer),
        ("9223372036854775808", Kind::Number),
        ("1.50", Kind::Number),
        ("2.0", Kind::Number),
        ("1e3", Kind::Number),
        ("007", Kind::Text),
        ("+1", Kind::Text),
        (".5", Kind::Text),
        ("1,5", Kind::Text),
        ("NaN", Kind::Text),
        ("inf", Kind::Text),
        ("1e999", Kind::Text),
        ("True", Kind::Boolean),
        ("2024-02-29", Kind::Date),
        ("2024-13-01", Kind::Text),
        ("2024-2-1", Kind::Text),
        ("yes", Kind::Text),
    ] {
        assert_eq!(Kind::of(text), kind, "{text}");
    }
    assert_eq!(Kind::Integer.or(Kind::Number), Kind::Number);
    assert_eq!(Kind::Integer.or(Kind::Date), Kind::Text);
}

#[test]
fn cells_are_read_by_the_kind_of_their_column() {
    assert_eq!(Cell::parse(Kind::Integer, "2.0"), Cell::Integer(2));
    assert_eq!(Cell::parse(Kind::Integer, "2.5"), Cell::Number(2.5));
    assert_eq!(Cell::parse(Kind::Integer, "n/a"), Cell::Text("n/a".into()));
    assert_eq!(Cell::parse(Kind::Text, "12"), Cell::Text("12".into()));
    assert_eq!(Cell::parse(Kind::Text, ""), Cell::Null);
    assert_eq!(Cell::parse(Kind::Boolean, "FALSE"), Cell::Boolean(false));
}

#[test]
fn the_order_is_total_with_null_last() {
    let ordered = [
        Cell::Number(-1.5),
        Cell::Integer(-1),
        Cell::Integer(0),
        Cell::Number(0.5),
        Cell::Integer(9_007_199_254_740_992),
        Cell::Integer(9_007_199_254_740_993),
        Cell::Number(9_007_199_254_740_992.0),
        Cell::Number(1e300),
        Cell::Boolean(false),
        Cell::Boolean(true),
        Cell::Text("A".into()),
        Cell::Text("a".into()),
        Cell::Null,
    ];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} and {b:?}");
        }
    }
}

#[test]
fn cells_are_json_of_their_own_type() {
    let cells = [Cell::Integer(1), Cell::Number(0.5), Cell::Boolean(true), Cell::Text("x".into()), Cell::Null];
    assert_eq!(serde_json::to_string(&cells).unwrap(), r#"[1,0.5,true,"x",null]"#);
}
