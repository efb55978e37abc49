//! What is written, kept, found and removed.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::{Algorithm, Blobs, Digest};

#[test]
fn a_draft_is_gone_unless_it_is_kept() {
    let data = TempDir::new().unwrap();
    let blobs = Blobs::open(data.path()).unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"abc");
    assert!(blobs.find(&digest).unwrap().is_none());
    for _ in 0..2 {
        let mut draft = blobs.draft("one").unwrap();
        draft.file.write_all(b"abc").unwrap();
        blobs.keep(&mut draft, &digest).unwrap();
    }
    drop(blobs.draft("two").unwrap());
    let at = |path: &str| data.path().join("oci").join(path);
    assert_eq!(std::fs::read_dir(at("uploads")).unwrap().count(), 0);
    let mut text = String::new();
    let mut found = blobs.find(&digest).unwrap().unwrap();
    found.file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), found.bytes), ("abc", 3));
    let mode = |path: &str| std::fs::metadata(at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode(""), mode("blobs/sha512"), mode(&format!("blobs/sha512/{}", digest.hex()))],
        [0o700, 0o700, 0o600]
    );

    let mut seen = Vec::new();
    std::fs::write(at("blobs/sha256/other"), "").unwrap();
    blobs.each(|digest| seen.push(digest)).unwrap();
    assert_eq!(seen, std::slice::from_ref(&digest));
    blobs.remove(&digest).unwrap();
    blobs.remove(&digest).unwrap();
    assert!(blobs.find(&digest).unwrap().is_none());
}

#[test]
fn a_start_removes_what_was_half_written() {
    let data = TempDir::new().unwrap();
    let blobs = Blobs::open(data.path()).unwrap();
    let draft = blobs.draft("left").unwrap();
    drop(Blobs::open(data.path()).unwrap());
    assert!(!data.path().join("oci/uploads/left").exists());
    drop(draft);

    let elsewhere = TempDir::new().unwrap();
    let digest = Digest::of(Algorithm::Sha256, b"");
    let file = elsewhere.path().join("secret");
    std::fs::write(&file, "secret").unwrap();
    std::os::unix::fs::symlink(&file, data.path().join("oci/blobs/sha256").join(digest.hex())).unwrap();
    assert!(blobs.find(&digest).is_err(), "no link leads out of the data");
}
