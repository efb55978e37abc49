//! Which version takes the place of which.

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

#[test]
fn what_is_newer_is_served_and_no_release_gives_way_to_less_than_one() {
    let supersedes = |new: &str, live: &str| supersedes(&version(new), Some(&version(live)));
    assert!(super::supersedes(&version("1.0.0-rc.1"), None));
    assert!(supersedes("1.0.1", "1.0.0") && supersedes("1.10.0", "1.9.9") && supersedes("1.0.0", "1.0.0-rc.2"));
    assert!(supersedes("1.0.0-rc.2", "1.0.0-rc.1"));
    assert!(!supersedes("1.1.0-rc.1", "1.0.0") && !supersedes("1.0.9", "1.1.0"));
}

#[test]
fn a_major_version_may_break() {
    let is_major = |live: &str, new: &str| is_major(&version(live), &version(new));
    assert!(is_major("1.9.0", "2.0.0") && is_major("0.1.9", "0.2.0") && is_major("0.9.0", "1.0.0"));
    assert!(!is_major("1.0.0", "1.1.0") && !is_major("0.1.0", "0.1.1") && !is_major("2.0.0", "1.0.0"));
    assert_eq!((next_major(&version("1.2.3")), next_major(&version("0.2.3"))), ("2.0.0".into(), "0.3.0".into()));
}
