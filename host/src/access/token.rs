//! Fresh tokens, and the hash a token is known by.

use std::fmt;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};

use crate::manifest::{TOKEN_PREFIX, TokenHash};

/// Random bytes of a token: none can be guessed, so a plain hash keeps it as safe as a slow one would.
const RANDOM_BYTES: usize = 32;

/// A token in full. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one, from the kernel's random bytes.
    ///
    /// # Errors
    /// When the kernel has none.
    pub fn fresh() -> anyhow::Result<Self> {
        let random = random::<RANDOM_BYTES>()?;
        Ok(Self(format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random))))
    }

    /// Reads a token that [`fresh`](Self::fresh) made; none of any other form.
    pub fn parse(text: &str) -> Option<Self> {
        let random = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(TOKEN_PREFIX)?).ok()?;
        (random.len() == RANDOM_BYTES).then(|| Self(text.to_owned()))
    }

    /// The text its bearer sends.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the host keeps of it.
    pub fn sha256(&self) -> TokenHash {
        hash(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token")
    }
}

/// Bytes that nobody can guess, from the kernel.
///
/// # Errors
/// When the kernel has none.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    let given = getrandom(&mut bytes, GetRandomFlags::empty()).context("the system gives no random bytes")?;
    anyhow::ensure!(given == N, "the system gives too few random bytes");
    Ok(bytes)
}

/// sha256 of a token's text.
pub(super) fn hash(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}
