use super::*;

#[test]
fn dates_follow_the_gregorian_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(iso8601(seconds), expected);
    }
}

#[test]
fn a_version_changes_with_size_and_with_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut seen = vec![version(&file.as_file().metadata().unwrap())];
    std::fs::write(file.path(), "longer").unwrap();
    seen.push(version(&file.as_file().metadata().unwrap()));
    file.as_file().set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    seen.push(version(&file.as_file().metadata().unwrap()));
    assert_eq!(seen[2], "3b9aca00-6");
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
