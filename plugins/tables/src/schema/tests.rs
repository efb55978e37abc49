use super::*;
use crate::testing::Granted;

#[test]
fn kinds_come_from_the_cells_that_are_not_empty() {
    let content = b"i,n,b,d,t,e,m\n1,1,true,2024-01-01,x,,1\n,2.5,,,,,x\n3,,FALSE,2024-01-02,5,,2\n";
    let granted = Granted::new(&[("t.csv", content)]);
    let schema = Schema::infer(&granted.table("t.csv")).unwrap();
    let kinds: Vec<_> = schema.columns.iter().map(|column| column.kind).collect();
    let expected = [Kind::Integer, Kind::Number, Kind::Boolean, Kind::Date, Kind::Text, Kind::Text, Kind::Text];
    assert_eq!((kinds.as_slice(), schema.sampled_rows), (&expected[..], 3));
}

#[test]
fn only_the_first_rows_decide() {
    let content = format!("a\n{}later\n", "1\n".repeat(SAMPLED_ROWS_MAX));
    let granted = Granted::new(&[("t.csv", content.as_bytes())]);
    let schema = Schema::infer(&granted.table("t.csv")).unwrap();
    assert_eq!((schema.columns[0].kind, schema.sampled_rows), (Kind::Integer, SAMPLED_ROWS_MAX));
}

#[test]
fn an_unknown_column_is_answered_with_the_known_ones() {
    let granted = Granted::new(&[("t.csv", b"name,size\n")]);
    let schema = Schema::infer(&granted.table("t.csv")).unwrap();
    let Err(Error::InvalidInput(message)) = schema.index("colour") else { panic!("it was found") };
    assert_eq!(message, "no column colour; there are name, size");
}
