//! What names a repository, a tag, a version.

use super::{NoRepository, Reference, Repository, Tag};

#[test]
fn repositories() {
    for right in ["a", "a/b", "a0/b-c", "a--b/c.d", "a_b", "a__b", "0", "x/blobs/uploads", &"a".repeat(255)] {
        assert_eq!(right.parse::<Repository>().map(|name| name.to_string()), Ok(right.to_owned()));
    }
    for wrong in [
        "", "/", "a/", "/a", "a//b", "A", "..", "a/..", "../a", ".a", "a.", "-a", "a-", "a..b", "a___b", "a._b",
        "a-_b", "a%2e%2e", "%2e%2e/a", "ä", "a b", "a:b", "a\0", "a\\b",
    ] {
        assert_eq!(wrong.parse::<Repository>(), Err(NoRepository::Malformed), "{wrong}");
    }
    assert_eq!("a".repeat(256).parse::<Repository>(), Err(NoRepository::TooLong(256)));
    let parts = |name: &str| {
        let name = name.parse::<Repository>().unwrap();
        (name.namespace().to_owned(), name.last().to_owned(), name.agent().is_some())
    };
    assert_eq!(parts("files"), ("default".into(), "files".into(), true));
    assert_eq!(parts("team/files"), ("team".into(), "files".into(), true));
    assert_eq!(parts("a/b/files"), ("a/b".into(), "files".into(), false));
    assert_eq!(parts("team/my_files"), ("team".into(), "my_files".into(), false));
}

#[test]
fn tags_versions_and_references() {
    for right in ["latest", "_", "V1.0-x", "sha256-abc", &"a".repeat(128)] {
        assert_eq!(right.parse::<Tag>().map(|tag| tag.to_string()), Ok(right.to_owned()));
    }
    for wrong in ["", ".a", "-a", "a:b", "a/b", "a+b", "..", "%2e", "ä", &"a".repeat(129)] {
        assert!(wrong.parse::<Tag>().is_err(), "{wrong}");
    }
    let is_version = |tag: &str| tag.parse::<Tag>().unwrap().version().is_some();
    assert!(["1.2.3", "0.0.0", "1.2.3-rc.1"].into_iter().all(is_version));
    assert!(!["1.2", "v1.2.3", "1.2.3.4", "01.2.3", "latest"].into_iter().any(is_version));
    let digest = format!("sha256:{}", "0".repeat(64));
    assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
    assert!("sha256:0".parse::<Reference>().is_err());
    assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
}
