use super::*;
use std::fs;

#[test]
fn typing_leads_from_grants_to_files() {
    let root = tempfile::tempdir().unwrap();
    let start = root.path().to_str().unwrap();
    let grants = Grants::new([start.to_string()]);
    fs::create_dir(root.path().join("notes")).unwrap();
    fs::write(root.path().join("ä.md"), "").unwrap();
    fs::write(root.path().join("no.md"), "").unwrap();
    let start = &start[1..];

    assert_eq!(paths(&grants, "").values, [format!("{start}/")]);
    assert_eq!(paths(&grants, &format!("{start}/no")).values, [format!("{start}/no.md"), format!("{start}/notes/")]);
    assert_eq!(paths(&grants, &format!("{start}/ä")).values, [format!("{start}/%C3%A4.md")]);
    assert_eq!(paths(&grants, &format!("{start}/%C3%A4")).values, [format!("{start}/%C3%A4.md")]);
    assert_eq!(paths(&grants, &format!("{start}/")).total, Some(3));
    assert!(paths(&grants, &format!("{start}/../")).values.is_empty());
    assert!(paths(&grants, "etc/pa").values.is_empty());
}

#[test]
fn suggestions_are_bounded_and_then_have_no_total() {
    let root = tempfile::tempdir().unwrap();
    let start = root.path().to_str().unwrap();
    for number in 0..SUGGESTIONS_MAX + 1 {
        fs::write(root.path().join(format!("{number:03}")), "").unwrap();
    }
    let suggestions = paths(&Grants::new([start.to_string()]), &format!("{start}/"));
    assert_eq!((suggestions.values.len(), suggestions.total), (SUGGESTIONS_MAX, None));
}
