use super::*;
use crate::testing::Granted;

#[test]
fn tables_are_the_csv_files_below_the_grants_by_name() {
    let granted = Granted::new(&[
        ("b.csv", b"x"),
        ("a/deep/c.TSV", b"x"),
        ("notes.txt", b"x"),
        (".csv.bak", b"x"),
        (".hidden.csv", b"x"),
    ]);
    std::os::unix::fs::symlink("b.csv", granted.directory.path().join("link.csv")).unwrap();
    std::os::unix::fs::symlink("nowhere", granted.directory.path().join("dead.csv")).unwrap();
    std::os::unix::fs::symlink(".", granted.directory.path().join("circle")).unwrap();
    fs::create_dir(granted.directory.path().join("directory.csv")).unwrap();
    let names: Vec<_> = granted.catalog.tables().unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, [".hidden.csv", "a/deep/c.TSV", "b.csv", "link.csv"].map(|file| granted.name(file)));
}

#[test]
fn a_table_is_found_by_its_name_or_the_end_of_it() {
    let granted = Granted::new(&[("orders.csv", b"x"), ("old/orders.csv", b"x"), ("old/cities.csv", b"x")]);
    let catalog = &granted.catalog;
    assert_eq!(catalog.table_like("cities").unwrap().name, granted.name("old/cities.csv"));
    assert_eq!(catalog.table_like("old/orders").unwrap().name, granted.name("old/orders.csv"));
    assert_eq!(catalog.table_like(&granted.name("orders.csv")).unwrap().name, granted.name("orders.csv"));
    assert!(matches!(catalog.table_like("orders.csv"), Err(Error::InvalidInput(why)) if why.contains("2 tables")));
    assert!(matches!(catalog.table_like("ities"), Err(Error::NotFound(_))));
}

#[test]
fn a_name_cannot_leave_the_grants() {
    let granted = Granted::new(&[("a.csv", b"x")]);
    for name in ["../a.csv", "data/./a.csv", "data//a.csv", "", "a\0.csv"] {
        assert!(matches!(granted.catalog.table(name), Err(Error::InvalidInput(_))), "{name}");
    }
    let outside = Granted::new(&[("b.csv", b"x")]);
    assert!(matches!(granted.catalog.table(&outside.name("b.csv")), Err(Error::NotFound(_))));
}

#[test]
fn too_many_tables_are_refused_not_cut() {
    let names: Vec<_> = (0..=TABLES_MAX).map(|number| format!("{number}.csv")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let granted = Granted::new(&files);
    assert!(matches!(granted.catalog.tables(), Err(Error::Failed(why)) if why.contains("narrower")));
}

#[test]
fn suggestions_start_with_what_is_typed_before_they_contain_it() {
    let granted = Granted::new(&[("b-a.csv", b"x"), ("a.csv", b"x"), ("c.csv", b"x")]);
    let suggestions = granted.catalog.suggestions("a.csv").unwrap();
    assert_eq!((suggestions.values.len(), suggestions.total), (2, Some(2)));
    let suggestions = granted.catalog.suggestions(&granted.name("c")).unwrap();
    assert_eq!(suggestions.values, [granted.name("c.csv")]);
}
