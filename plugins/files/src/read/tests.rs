use super::*;
use std::time::{Duration, UNIX_EPOCH};

fn with_file(name: &str, content: &[u8]) -> (tempfile::TempDir, Grants, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    let grants = Grants::new([directory.path().to_str().unwrap().to_string()]);
    let uri = uri::of_path(path.to_str().unwrap());
    (directory, grants, uri)
}

fn refused(result: Result<Chunk, Error>) -> String {
    match result {
        Err(Error::InvalidInput(message)) => message,
        Err(other) => panic!("refused otherwise: {other:?}"),
        Ok(_) => panic!("it was read"),
    }
}

#[test]
fn a_file_is_read_whole_in_pieces_of_any_size() {
    let content: Vec<u8> = "Grüße, 世界! ".repeat(50).into();
    let (_directory, grants, uri) = with_file("Grüße.txt", &content);
    for max in [1, 7, 100, 10_000] {
        let (mut at, mut read_bytes) = (Position::Start, vec![]);
        loop {
            let chunk = read(&grants, &uri, at.clone(), max).unwrap();
            assert!(chunk.bytes.len() <= max as usize);
            assert_eq!(chunk.head.is_some(), matches!(at, Position::Start));
            read_bytes.extend(chunk.bytes);
            match chunk.next {
                Some(next) => at = Position::Cursor(next),
                None => break,
            }
        }
        assert_eq!(read_bytes, content, "in pieces of {max}");
    }
}

#[test]
fn the_head_tells_type_form_size_and_version() {
    let (_directory, grants, uri) = with_file("notes.md", b"# Notes");
    let head = read(&grants, &uri, Position::Start, 4).unwrap().head.unwrap();
    assert_eq!((head.mime_type.as_deref(), head.form, head.size), (Some("text/markdown"), Form::Text, Some(7)));
    let (_directory, grants, uri) = with_file("unknown", b"\x00\x01");
    let head = read(&grants, &uri, Position::Offset(1), 4).unwrap().head.unwrap();
    assert_eq!((head.mime_type.as_deref(), head.form), (Some("application/octet-stream"), Form::Binary));
}

#[test]
fn offsets_reach_every_byte_and_the_end_but_not_beyond() {
    let (_directory, grants, uri) = with_file("a.txt", b"0123456789");
    let chunk = read(&grants, &uri, Position::Offset(7), 2).unwrap();
    assert_eq!(chunk.bytes, b"78");
    assert!(chunk.next.unwrap().starts_with("9:"));
    let chunk = read(&grants, &uri, Position::Offset(10), 2).unwrap();
    assert!(chunk.bytes.is_empty() && chunk.next.is_none());
    assert!(refused(read(&grants, &uri, Position::Offset(11), 2)).contains("has 10 bytes"));
}

#[test]
fn an_empty_file_is_one_empty_last_chunk() {
    let (_directory, grants, uri) = with_file("empty", b"");
    let chunk = read(&grants, &uri, Position::Start, 100).unwrap();
    assert!(chunk.bytes.is_empty() && chunk.next.is_none());
    assert_eq!(chunk.head.unwrap().form, Form::Text);
}

#[test]
fn a_file_changed_under_way_ends_the_read() {
    let (directory, grants, uri) = with_file("a.txt", b"0123456789");
    let next = read(&grants, &uri, Position::Start, 4).unwrap().next.unwrap();
    let file = File::options().write(true).open(directory.path().join("a.txt")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(5)).unwrap();
    assert!(refused(read(&grants, &uri, Position::Cursor(next), 4)).contains("changed while it was read"));
}

#[test]
fn what_is_not_a_readable_file_is_refused_by_kind() {
    let (directory, grants, uri) = with_file("a.txt", b"0123");
    let root = directory.path().to_str().unwrap();
    assert!(refused(read(&grants, &uri::of_path(root), Position::Start, 4)).contains("is a directory"));
    assert!(refused(read(&grants, &uri, Position::Start, 0)).contains("max is 0"));
    for cursor in ["", "4", "-1:x", "4:wrong-version", ":", "99999999999999999999:x"] {
        refused(read(&grants, &uri, Position::Cursor(cursor.into()), 4));
    }
    for missing in ["nothing", "a.txt/below"] {
        let gone = read(&grants, &uri::of_path(&format!("{root}/{missing}")), Position::Start, 4);
        assert!(matches!(gone, Err(Error::NotFound(_))), "{missing}");
    }
    assert!(matches!(read(&grants, "file:///etc/passwd", Position::Start, 4), Err(Error::NotFound(_))));
}
