//! Which signatures count.

use std::io::Cursor;

use super::*;
use crate::manifest::Manifest;

/// A key, the manifest's line for it, and a signature of a text by it.
struct Signer(minisign::KeyPair);

impl Signer {
    fn new() -> Self {
        Self(minisign::KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    fn sign(&self, text: &str) -> String {
        minisign::sign(Some(&self.0.pk), &self.0.sk, Cursor::new(text), None, None).unwrap().to_string()
    }
}

fn policy(mode: &str, keys: &[(&str, &Signer)]) -> Signatures {
    let keys: String = keys.iter().map(|(name, signer)| format!("    {name}: [\"{}\"]\n", signer.public())).collect();
    let keys = if keys.is_empty() { String::new() } else { format!("  keys:\n{keys}") };
    let text = format!("memory: 512M\nsignatures:\n  mode: {mode}\n{keys}");
    let folder = tempfile::tempdir().unwrap();
    Manifest::parse(&text, folder.path()).expect("right").signatures
}

fn digest(of: &str) -> Digest {
    Digest::of(super::super::digest::Algorithm::Sha256, of.as_bytes())
}

#[test]
fn a_signature_counts_for_the_very_version_it_is_on() {
    let (manifest, component, other) = (digest("m"), digest("c"), digest("o"));
    let (demo, elsewhere): (Repository, Repository) = ("demo".parse().unwrap(), "team/demo".parse().unwrap());
    let statement = Statement { repository: &demo, version: "1.0.0", manifest: &manifest, component: &component };
    let (signer, stranger) = (Signer::new(), Signer::new());
    let enforce = policy("enforce", &[("default", &signer), ("team", &signer)]);
    let signed = [signer.sign(&statement.text())];
    assert_eq!(statement.judge(&enforce, &signed), Ok(Verdict::Signed));

    // Replayed elsewhere.
    let replays = [
        Statement { repository: &elsewhere, ..statement },
        Statement { version: "1.0.1", ..statement },
        Statement { manifest: &other, ..statement },
        Statement { component: &other, ..statement },
    ];
    for replay in replays {
        assert!(replay.judge(&enforce, &signed).unwrap_err().contains("on this very version"), "{}", replay.text());
    }
    assert!(statement.judge(&enforce, &[]).unwrap_err().contains("not signed"));
    assert!(statement.judge(&enforce, &[stranger.sign(&statement.text())]).is_err());
    assert!(statement.judge(&enforce, &["nonsense".into()]).unwrap_err().contains("none of minisign's"));
    let tampered = signed[0].replace("timestamp", "timestomp");
    assert!(statement.judge(&enforce, &[tampered]).is_err(), "the trusted comment is signed, too");
    // One of several will do.
    assert_eq!(statement.judge(&enforce, &["nonsense".into(), signed[0].clone()]), Ok(Verdict::Signed));
}

#[test]
fn the_mode_decides_what_is_done_about_it() {
    let (manifest, component, demo) = (digest("m"), digest("c"), "demo".parse().unwrap());
    let statement = Statement { repository: &demo, version: "1.0.0", manifest: &manifest, component: &component };
    let signer = Signer::new();
    assert_eq!(statement.judge(&policy("off", &[]), &[]), Ok(Verdict::Unasked));
    let warned = statement.judge(&policy("warn", &[("other", &signer)]), &[]).unwrap();
    assert!(
        matches!(&warned, Verdict::Warned(why) if why.contains("no key signs for the namespace `default`")),
        "{warned:?}"
    );
    assert!(statement.judge(&policy("enforce", &[("other", &signer)]), &[]).is_err());
}
