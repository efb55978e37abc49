//! Whose signatures are wanted on what is published, and which keys are whose.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minisign_verify::PublicKey;

use super::problem::{Findings, quote};
use super::raw::{Entry, Node, Value};
use super::table::{Table, join};

/// Keys of one namespace.
const KEYS_MAX: usize = 16;

/// What is done about a version that is not signed by a key of its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMode {
    /// Nobody looks.
    Off,
    /// It is served, and said so in the log and to whoever publishes it.
    Warn,
    /// It is neither taken nor served.
    Enforce,
}

/// Signatures on published versions.
#[derive(Debug, Clone)]
pub struct Signatures {
    pub mode: SignatureMode,
    /// The keys that sign for a namespace.
    pub keys: BTreeMap<Arc<str>, Vec<Key>>,
}

/// A minisign public key.
#[derive(Clone)]
pub struct Key {
    pub key: PublicKey,
    /// As it is written.
    pub text: Arc<str>,
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Key").field(&self.text).finish()
    }
}

pub(super) fn check(mut table: Table<'_>) -> Signatures {
    let modes = [("off", SignatureMode::Off), ("warn", SignatureMode::Warn), ("enforce", SignatureMode::Enforce)];
    let mode = table.choice("mode", SignatureMode::Off, &modes).value;
    let (findings, place) = (table.findings, table.place_of("mode"));
    let path = join(&table.path, "keys");
    let entries = table.table("keys").names();
    let keys: BTreeMap<_, _> =
        entries.iter().map(|entry| (entry.key.as_str().into(), keys(entry, &path, findings))).collect();
    if mode == SignatureMode::Enforce && keys.is_empty() {
        let suggestion = "add `keys: { default: [RW...] }`, the public key that `minisign -G` prints";
        findings.error(
            place,
            "`signatures.mode: enforce` without any key would refuse everything".to_owned(),
            suggestion,
        );
    }
    table.end();
    Signatures { mode, keys }
}

fn keys(entry: &Entry, path: &str, findings: &Findings<'_>) -> Vec<Key> {
    let path = join(path, &entry.key);
    let Value::List(items) = &entry.node.value else {
        let suggestion = format!("write `{}: [RW...]`", entry.key);
        findings.error(Some(entry.node.place), format!("`{path}` is not a list of public keys"), suggestion);
        return Vec::new();
    };
    if items.len() > KEYS_MAX {
        let text = format!("`{path}` has {} keys; at most {KEYS_MAX} are allowed", items.len());
        findings.error(Some(entry.place), text, "delete those that nobody signs with any more");
    }
    items.iter().take(KEYS_MAX).filter_map(|item| key(item, &path, findings)).collect()
}

fn key(item: &Node, path: &str, findings: &Findings<'_>) -> Option<Key> {
    let text = match &item.value {
        Value::Text(text) => text.as_str(),
        Value::Empty | Value::List(_) | Value::Table(_) => "",
    };
    match PublicKey::from_base64(text) {
        Ok(key) => Some(Key { key, text: text.into() }),
        Err(_) => {
            let suggestion = "it is the second line of a minisign .pub file: RW and 54 more letters";
            findings.error(
                Some(item.place),
                format!("`{path}` has {}, which is no public key", quote(text)),
                suggestion,
            );
            None
        }
    }
}
