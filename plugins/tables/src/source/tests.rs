use super::*;
use crate::testing::Granted;

/// Header, rows and warnings of a file.
fn read(content: &[u8]) -> (Vec<String>, Vec<Vec<String>>, Vec<String>) {
    let granted = Granted::new(&[("t.csv", content)]);
    let mut source = Source::open(&granted.table("t.csv")).unwrap();
    let columns = source.header.len();
    let mut rows = vec![];
    while let Some(row) = source.next().unwrap() {
        rows.push((0..columns).map(|column| row.text(column).into_owned()).collect());
    }
    (source.header.clone(), rows, source.oddities.warnings())
}

#[test]
fn quotes_breaks_and_spaces_are_read_as_meant() {
    let (header, rows, warnings) = read(b"\xef\xbb\xbf a ,b\r\n\"x, \"\"y\"\"\nz\", 2 \r\n\r\n3,4");
    assert_eq!(header, ["a", "b"]);
    assert_eq!(rows, [["x, \"y\"\nz", "2"], ["3", "4"]]);
    assert!(warnings.is_empty());
}

#[test]
fn the_delimiter_is_the_one_the_first_line_uses() {
    for (content, expected) in [
        (&b"a;b;\"c,d,e,f\"\n1;2;3"[..], b';'),
        (b"a\tb\n1,2\t3", b'\t'),
        (b"a|b|c,d", b'|'),
        (b"alone\n1;2;3", b','),
        (b"", b','),
    ] {
        assert_eq!(delimiter(content), expected, "{content:?}");
    }
}

#[test]
fn ragged_and_foreign_rows_are_read_and_counted() {
    let (_, rows, warnings) = read(b"a,b\n1\n1,2,3\ncaf\xe9,x\n4,5\n");
    assert_eq!(rows, [["1", ""], ["1", "2"], ["caf\u{fffd}", "x"], ["4", "5"]]);
    assert_eq!(warnings.len(), 3);
    assert!(warnings.iter().all(|warning| warning.starts_with("1 rows")), "{warnings:?}");
}

#[test]
fn every_column_has_a_name_of_its_own() {
    let (header, _, _) = read(b"a,,a,a_2,a\n");
    assert_eq!(header, ["a", "column_2", "a_2", "a_2_2", "a_3"]);
}

#[test]
fn an_empty_file_is_a_table_without_columns() {
    assert_eq!(read(b""), (vec![], vec![], vec![]));
}

#[test]
fn a_quote_left_open_ends_the_read_instead_of_the_memory() {
    let mut content = b"a,b\n1,2\n\"open,".to_vec();
    content.resize(4 * ROW_BYTES_MAX, b'x');
    let granted = Granted::new(&[("t.csv", &content)]);
    let mut source = Source::open(&granted.table("t.csv")).unwrap();
    assert!(source.next().unwrap().is_some());
    let Err(Error::Failed(message)) = source.next() else { panic!("it was read") };
    assert!(message.contains("line 3") && message.contains("quote"), "{message}");
}

#[test]
fn too_many_columns_are_refused() {
    let granted = Granted::new(&[("t.csv", ",".repeat(COLUMNS_MAX).as_bytes())]);
    assert!(matches!(Source::open(&granted.table("t.csv")), Err(Error::Failed(_))));
}
