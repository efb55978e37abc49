//! What is a digest, and what counts one.

use super::{Algorithm, Digest};

#[test]
fn digests_are_read_and_counted() {
    let empty = Digest::of(Algorithm::Sha256, b"");
    assert_eq!(empty.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!((empty.algorithm(), empty.hex().len()), (Algorithm::Sha256, 64));
    for algorithm in Algorithm::ALL {
        let mut hasher = algorithm.hasher();
        hasher.update(b"a");
        hasher.update(b"bc");
        let digest = hasher.finish();
        assert_eq!(digest, Digest::of(algorithm, b"abc"));
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}

#[test]
fn nothing_else_is_a_digest() {
    let hex = "a".repeat(64);
    for wrong in [
        String::new(),
        hex.clone(),
        format!("sha256:{}", "A".repeat(64)),
        format!("sha256:{hex}a"),
        format!("sha512:{hex}"),
        format!("md5:{hex}"),
        format!("SHA256:{hex}"),
        format!("sha256:../{}", "a".repeat(61)),
        format!("sha256:{}%2e", "a".repeat(61)),
        format!("sha256:sha256:{}", "a".repeat(57)),
    ] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
}
