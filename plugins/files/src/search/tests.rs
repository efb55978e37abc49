use super::*;
use std::fs;

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Grants) {
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in files {
        fs::write(directory.path().join(file), content).unwrap();
    }
    let grants = Grants::new([directory.path().to_str().unwrap().to_string()]);
    (directory, grants)
}

fn wanted(text: &str) -> Wanted {
    Wanted { text: Some(text.into()), name: None, letter_case: LetterCase::Ignored, hits_max: 100 }
}

/// File name and line number of each hit.
fn places(found: &Found) -> Vec<(String, u64)> {
    let place = |hit: &Hit| {
        let name = hit.path.rsplit('/').next().unwrap().to_string();
        (name, hit.line.as_ref().map_or(0, |line| line.number))
    };
    found.hits.iter().map(place).collect()
}

#[test]
fn lines_are_found_whatever_their_case_unless_it_matters() {
    let (_root, grants) = tree(&[("a", "one\nÜber TWO two\n\n two"), ("b", "nothing"), ("c", "Two\r\n")]);
    let found = search(&grants, grants.paths(), &wanted("two"), None);
    assert_eq!(places(&found), [("a".into(), 2), ("a".into(), 4), ("c".into(), 1)]);
    assert_eq!(found.hits[0].line.as_ref().unwrap().excerpt, "Über TWO two");
    assert!(found.next.is_none());
    let exact = Wanted { letter_case: LetterCase::Matters, ..wanted("Two") };
    assert_eq!(places(&search(&grants, grants.paths(), &exact, None)), [("c".into(), 1)]);
    assert_eq!(places(&search(&grants, grants.paths(), &wanted("ÜBER"), None)), [("a".into(), 2)]);
}

#[test]
fn names_are_found_by_pattern_alone_or_together_with_text() {
    let (_root, grants) = tree(&[("a.md", "x"), ("b.MD", "y"), ("c.txt", "x"), ("d.md.bak", "x")]);
    let by_name = Wanted { text: None, name: Some("*.md".into()), ..wanted("") };
    assert_eq!(places(&search(&grants, grants.paths(), &by_name, None)), [("a.md".into(), 0), ("b.MD".into(), 0)]);
    let both = Wanted { name: Some("*.md".into()), ..wanted("x") };
    assert_eq!(places(&search(&grants, grants.paths(), &both, None)), [("a.md".into(), 1)]);
}

#[test]
fn binary_files_hold_no_lines_and_foreign_bytes_do_no_harm() {
    let (root, grants) = tree(&[("binary", "two\0two")]);
    fs::write(root.path().join("latin1"), b"caf\xe9 two\n").unwrap();
    assert_eq!(places(&search(&grants, grants.paths(), &wanted("two"), None)), [("latin1".into(), 1)]);
}

#[test]
fn a_search_that_stopped_goes_on_where_it_was() {
    let (_root, grants) = tree(&[("a", "x1\nx2\nno\nx4"), ("b", "x1\n"), ("c", "no"), ("d", "x1")]);
    for hits_max in 1..6 {
        let wanted = Wanted { hits_max, ..wanted("x") };
        let (mut all, mut from): (Vec<_>, Option<Cursor>) = (vec![], None);
        loop {
            let found = search(&grants, grants.paths(), &wanted, from.as_ref());
            assert!(found.hits.len() <= hits_max);
            all.extend(places(&found));
            match found.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        let expected = [("a", 1), ("a", 2), ("a", 4), ("b", 1), ("d", 1)].map(|(name, line)| (name.to_string(), line));
        assert_eq!(all, expected, "{hits_max} at a time");
    }
}

#[test]
fn a_match_across_two_pieces_of_a_long_line_is_found_once() {
    let before = "a".repeat(PIECE_BYTES_MAX - 3);
    let (_root, grants) = tree(&[("a", &format!("{before}needle needle\nneedle"))]);
    let found = search(&grants, grants.paths(), &wanted("needle"), None);
    assert_eq!(places(&found), [("a".into(), 1), ("a".into(), 2)]);
    let excerpt = &found.hits[0].line.as_ref().unwrap().excerpt;
    assert!(excerpt.contains("needle") && excerpt.chars().count() <= EXCERPT_CHARS_MAX + 2, "{excerpt}");
}

#[test]
fn what_one_search_reads_and_returns_is_bounded() {
    let root = tempfile::tempdir().unwrap();
    let grants = Grants::new([root.path().to_str().unwrap().to_string()]);
    let text = format!("{}\n", "é".repeat(1000)).repeat(1000);
    fs::write(root.path().join("a"), &text).unwrap();
    let found = search(&grants, grants.paths(), &Wanted { hits_max: 10_000, ..wanted("é") }, None);
    let bytes: usize = found.hits.iter().map(|hit| hit.path.len() + hit.line.as_ref().unwrap().excerpt.len()).sum();
    assert!(found.next.is_some() && (HITS_BYTES_MAX..HITS_BYTES_MAX + 1000).contains(&bytes), "{bytes}");

    let long = "z\n".repeat(SCANNED_BYTES_MAX as usize / 2 + 10);
    fs::write(root.path().join("a"), long).unwrap();
    let found = search(&grants, grants.paths(), &wanted("é"), None);
    let (offset, _) = found.next.unwrap().within.unwrap();
    assert!((SCANNED_BYTES_MAX - OPEN_COST_BYTES..=SCANNED_BYTES_MAX).contains(&offset));
}

#[test]
fn patterns_match_whole_names() {
    for (pattern, name, expected) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abcd", false),
        ("?b*", "ab", true),
        ("?", "", false),
        ("**x", "yyx", true),
        ("*.tar.*", "a.tar.gz", true),
        ("ä?", "äö", true),
        ("abc", "ab", false),
    ] {
        assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
    }
}
