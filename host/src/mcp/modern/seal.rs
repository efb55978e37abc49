//! What an agent wants to remember between two rounds, sealed for the way through the client (MRTR, `requestState`).
//!
//! The client can neither read it, nor alter it, nor use it for another request, as another principal, or too late: it is
//! encrypted, and all of that is authenticated with it (XChaCha20-Poly1305, random nonces). The key lives as long as the
//! process, so a restart ends the rounds that are under way. A state may be used again within its time; an agent whose
//! state is worth only once must see to that itself, as the specification says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Bytes of the time until which a state is good.
const EXPIRY_BYTES: usize = 8;

/// Seals states, and opens those it has sealed.
pub struct Seal {
    cipher: XChaCha20Poly1305,
    good_for: Duration,
}

/// What a state belongs to: whoever presents it must be the same.
#[derive(Debug, Clone, Copy)]
pub struct Bond<'a> {
    pub principal: &'a str,
    /// Of the request.
    pub digest: &'a [u8; 32],
}

/// Why a state is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Altered, of another request, another principal, or another life of this host.
    Foreign,
    Expired,
}

impl Seal {
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn new(good_for: Duration) -> anyhow::Result<Self> {
        let key = crate::access::random::<KEY_BYTES>()?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()), good_for })
    }

    /// Seals a state.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn close(&self, state: &str, bond: Bond<'_>) -> anyhow::Result<String> {
        let nonce = crate::access::random::<NONCE_BYTES>()?;
        let expiry = now() + self.good_for.as_secs();
        let text = [&expiry.to_be_bytes(), state.as_bytes()].concat();
        let payload = Payload { msg: &text, aad: &bond.bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| anyhow::anyhow!("a state that is too long to be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// The state, if it was sealed here for the same bond and is still good.
    pub fn open(&self, sealed: &str, bond: Bond<'_>) -> Result<String, Broken> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Broken::Foreign)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(Broken::Foreign)?;
        let payload = Payload { msg: sealed, aad: &bond.bytes() };
        let text = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Broken::Foreign)?;
        let (expiry, state) = text.split_first_chunk::<EXPIRY_BYTES>().ok_or(Broken::Foreign)?;
        if u64::from_be_bytes(*expiry) < now() {
            return Err(Broken::Expired);
        }
        String::from_utf8(state.to_vec()).map_err(|_| Broken::Foreign)
    }
}

impl Bond<'_> {
    /// The digest has a fixed length, so no two bonds read the same.
    fn bytes(&self) -> Vec<u8> {
        [&self.digest[..], self.principal.as_bytes()].concat()
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests;
