use super::*;

fn grants(paths: &[&str]) -> Grants {
    Grants::new(paths.iter().map(|path| path.to_string()))
}

#[test]
fn grants_are_normalised_sorted_by_segment_and_unique() {
    let grants = grants(&["docs/", "/data-x", "/data", "/docs"]);
    assert_eq!(grants.paths(), ["/data", "/data-x", "/docs"]);
    assert_eq!(grants.to_string(), "/data, /data-x, /docs");
    assert_eq!(path_order("/data/z", "/data-x/a"), Ordering::Less);
}

#[test]
fn a_path_belongs_to_a_grant_by_whole_segments() {
    let grants = grants(&["/docs"]);
    assert!(grants.check("/docs").is_ok());
    assert!(grants.check("/docs/a").is_ok());
    let Err(Error::NotFound(message)) = grants.check("/docs-secret/a") else { panic!("a foreign path was accepted") };
    assert!(message.contains("granted: /docs"), "{message}");
}

#[test]
fn the_root_can_be_granted() {
    let grants = grants(&["/"]);
    assert!(grants.check("/etc/a").is_ok());
    assert_eq!(grants.to_string(), "/");
}
