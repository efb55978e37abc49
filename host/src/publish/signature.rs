//! Who vouches for a version: a minisign signature by a key that the manifest pins to its namespace.
//!
//! What is signed is a statement of the version's name and digests, never the bytes alone: the same signature under another
//! name, or on another version, is none. It travels as an OCI referrer of the version's manifest, which may be pushed before
//! the version is; or it lies there since somebody else pushed it.

use minisign_verify::Signature;

use super::digest::Digest;
use super::name::Repository;
use crate::manifest::{SignatureMode, Signatures};

/// `artifactType` of a referrer that carries a signature, and the media type of its one layer: the text of a `.minisig` file.
pub const ARTIFACT_TYPE: &str = "application/vnd.stockade.signature.minisign.v1";

/// Bytes of a signature.
pub const SIGNATURE_BYTES_MAX: u64 = 4 << 10;

/// Signatures of one version that are looked at.
pub const SIGNATURES_MAX: usize = 16;

/// What a signature vouches for.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    pub repository: &'a Repository,
    pub version: &'a str,
    pub manifest: &'a Digest,
    pub component: &'a Digest,
}

/// What the signatures of a version come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A key of the namespace has signed it.
    Signed,
    /// Nobody asked.
    Unasked,
    /// It may be served all the same, and somebody should know.
    Warned(String),
}

impl Statement<'_> {
    /// The text that is signed: five lines, each ended by a line feed.
    pub fn text(&self) -> String {
        let Self { repository, version, manifest, component } = self;
        let (namespace, name) = (repository.namespace(), repository.last());
        format!(
            "stockade version 1\nname: {namespace}/{name}\nversion: {version}\nmanifest: {manifest}\ncomponent: {component}\n"
        )
    }

    /// Judges a version by the texts of its signatures.
    ///
    /// # Errors
    ///
    /// When the manifest wants a signature that is not there.
    pub fn judge(&self, policy: &Signatures, signatures: &[String]) -> Result<Verdict, String> {
        if policy.mode == SignatureMode::Off {
            return Ok(Verdict::Unasked);
        }
        let namespace = self.repository.namespace();
        let keys = policy.keys.get(namespace).map_or(&[][..], Vec::as_slice);
        let text = self.text();
        let decoded: Vec<Signature> = signatures.iter().filter_map(|text| Signature::decode(text).ok()).collect();
        let holds = |signature: &Signature| {
            // Only signatures of a hash, as minisign makes them by itself today.
            keys.iter().any(|key| key.key.verify(text.as_bytes(), signature, false).is_ok())
        };
        if decoded.iter().any(holds) {
            return Ok(Verdict::Signed);
        }
        let why = match (keys.len(), signatures.len(), decoded.len()) {
            (0, _, _) => format!("no key signs for the namespace `{namespace}`"),
            (_, 0, _) => "it is not signed".to_owned(),
            (_, _, 0) => "its signature is none of minisign's".to_owned(),
            (keys, _, signed) => format!(
                "none of its {signed} signatures is by one of the {keys} keys of the namespace `{namespace}` and on this very \
                 version"
            ),
        };
        match policy.mode {
            SignatureMode::Enforce => Err(why),
            SignatureMode::Warn | SignatureMode::Off => Ok(Verdict::Warned(why)),
        }
    }
}

#[cfg(test)]
mod tests;
