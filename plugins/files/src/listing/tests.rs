use super::*;

#[test]
fn pages_together_hold_every_file_once() {
    let root = tempfile::tempdir().unwrap();
    let grants = Grants::new([root.path().to_str().unwrap().to_string()]);
    let names: Vec<_> = (0..PAGE_FILES_MAX * 2 + 1).map(|number| format!("{number:04}.md")).collect();
    for name in &names {
        fs::write(root.path().join(name), "x").unwrap();
    }
    let (mut found, mut cursor, mut pages) = (vec![], None, 0);
    loop {
        let page = page(&grants, cursor.as_deref()).unwrap();
        pages += 1;
        found.extend(page.resources.into_iter().map(|resource| resource.uri.rsplit('/').next().unwrap().to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (names, 3));
}

#[test]
fn an_entry_tells_what_is_known_without_reading() {
    let root = tempfile::tempdir().unwrap();
    let grants = Grants::new([root.path().to_str().unwrap().to_string()]);
    fs::write(root.path().join("ä b.md"), "12345").unwrap();
    let resource = page(&grants, None).unwrap().resources.remove(0);
    assert!(resource.uri.ends_with("/%C3%A4%20b.md") && resource.name.ends_with("/ä b.md"), "{resource:?}");
    assert_eq!((resource.mime_type.as_deref(), resource.size), (Some("text/markdown"), Some(5)));
    assert!(resource.version.is_some());
    assert!(resource.annotations.unwrap().last_modified.unwrap().ends_with('Z'));
}

#[test]
fn a_foreign_cursor_is_refused() {
    let grants = Grants::new(["/docs".to_string()]);
    assert!(matches!(page(&grants, Some("/docs/../etc/x")), Err(Error::InvalidInput(_))));
    assert!(matches!(page(&grants, Some("garbage")), Err(Error::InvalidInput(_))));
    assert!(matches!(page(&grants, Some("/etc/x")), Err(Error::InvalidInput(_))));
}
