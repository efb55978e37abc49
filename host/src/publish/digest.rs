//! Digests as OCI writes them, `sha256:` or `sha512:` and hex digits, and the counting of one while bytes come.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

/// A digest. Once parsed, its parts are legal names of files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The whole text; hex digits are lower case.
    text: Box<str>,
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` with 64, or `sha512:` with 128 hex digits in lower case")]
pub struct NoDigest;

/// Counts a digest while bytes come.
#[derive(Debug, Clone)]
pub enum Hasher {
    Sha256(Sha256),
    // Boxed: it is three times the other.
    Sha512(Box<Sha512>),
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// As it stands before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// Begins a digest.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::from_bytes(Algorithm::Sha256, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::from_bytes(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

impl Digest {
    /// The digest of bytes that are all there.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        let text = std::iter::once(format!("{}:", algorithm.name())).chain(hex).collect::<String>();
        Self { algorithm, text: text.into() }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What stands behind the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let (name, hex) = text.split_once(':').ok_or(NoDigest)?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(NoDigest)?;
        let is_legal = hex.len() == algorithm.hex_digits()
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_legal { Ok(Self { algorithm, text: text.into() }) } else { Err(NoDigest) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
