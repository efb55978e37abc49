//! Paths that ask for something, and games with paths.

use super::{Nothing, Target, read};
use crate::publish::name::NoRepository;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn asked(rest: &str) -> (String, Target) {
    let asked = read(rest).unwrap_or_else(|error| panic!("{rest}: {error}"));
    (asked.repository.to_string(), asked.target)
}

#[test]
fn every_path_there_is() {
    let digest = || DIGEST.parse().unwrap();
    for name in ["a", "a/b", "a/b/c", "blobs", "a/blobs/uploads", "manifests/tags/list", "blobs/uploads"] {
        for (rest, target) in [
            ("blobs/uploads/".to_owned(), Target::Uploads),
            ("blobs/uploads".to_owned(), Target::Uploads),
            ("blobs/uploads/0a".to_owned(), Target::Upload("0a".to_owned())),
            (format!("blobs/{DIGEST}"), Target::Blob(digest())),
            (format!("manifests/{DIGEST}"), Target::Manifest(DIGEST.to_owned())),
            ("manifests/latest".to_owned(), Target::Manifest("latest".to_owned())),
            ("tags/list".to_owned(), Target::Tags),
            (format!("referrers/{DIGEST}"), Target::Referrers(digest())),
        ] {
            assert_eq!(asked(&format!("{name}/{rest}")), (name.to_owned(), target));
        }
    }
}

#[test]
fn games_with_paths() {
    for name in ["..", "a/..", "../../etc", "%2e%2e", "a/%2e%2e/b", "a//b", "/a", "a/", "A", "a\\b", ".", "a%2fb", ""] {
        let read = read(&format!("{name}/tags/list"));
        assert_eq!(read, Err(Nothing::Repository(NoRepository::Malformed)), "{name}");
    }
    let long = format!("{}/tags/list", "a".repeat(300));
    assert_eq!(read(&long), Err(Nothing::Repository(NoRepository::TooLong(300))));
    for digest in ["sha256:..", "..", "", "sha256:%2e", "sha256:0"] {
        assert!(matches!(read(&format!("a/blobs/{digest}")), Err(Nothing::Digest(_))), "{digest}");
    }
    for rest in ["", "/", "a", "a/b", "a/tags", "a/tags/list/", "tags/list", "a/blob/x", "_catalog", "manifests/latest"]
    {
        assert!(matches!(read(rest), Err(Nothing::Path)), "{rest}");
    }
}
