//! Bytes that grow under a charge: request bodies while they arrive, replies while they are written.
//!
//! Owns the rule that no byte is allocated before an account has lent it. A [`Buffer`] never waits and never grows
//! beyond its cap; what does not fit is a [`Overflow`], a value.

use std::io;

use bytes::Bytes;
use stockade_ledger::{Account, Charge, Refusal};

/// Capacity of a buffer at its first byte; most replies fit.
const FIRST_STEP_BYTES: usize = 1 << 10;

/// Largest step by which a buffer grows, so that little is charged that nobody uses.
const STEP_BYTES: usize = 64 << 10;

/// Bytes and the charge that pays for their whole capacity.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    charge: Charge,
    cap: usize,
    overflow: Option<Overflow>,
}

/// Why a buffer could not grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overflow {
    /// It would be longer than its cap. `wanted` is by how much it should have grown.
    Cap { cap: u64, used: u64, wanted: u64 },
    /// The account did not lend the bytes.
    Refused(Refusal),
}

impl Buffer {
    /// An empty buffer, which holds and charges nothing yet.
    pub fn new(account: &Account, cap: u64) -> Self {
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        Self { bytes: Vec::new(), charge: account.empty(), cap, overflow: None }
    }

    /// A buffer whose first bytes are paid for already: room for as many as the charge holds. It may grow beyond that.
    pub fn funded(charge: Charge) -> Self {
        let bytes = Vec::with_capacity(usize::try_from(charge.bytes()).unwrap_or(usize::MAX));
        debug_assert_eq!(bytes.capacity() as u64, charge.bytes());
        Self { bytes, charge, cap: usize::MAX, overflow: None }
    }

    /// Puts `more` at the end, or changes nothing.
    pub fn extend(&mut self, more: &[u8]) -> Result<(), Overflow> {
        self.fit(more.len())?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Puts `bytes` at the end as base64, without padding where they are whole groups of three; or changes nothing.
    pub fn extend_base64(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        self.fit(base64_simd::STANDARD.encoded_length(bytes.len()))?;
        base64_simd::STANDARD.encode_append(bytes, &mut self.bytes);
        Ok(())
    }

    /// Makes room for `more` bytes.
    fn fit(&mut self, more: usize) -> Result<(), Overflow> {
        let length = self.bytes.len().saturating_add(more);
        if length > self.cap {
            let (cap, used, wanted) = (self.cap as u64, self.bytes.len() as u64, more as u64);
            return Err(Overflow::Cap { cap, used, wanted });
        }
        if length > self.bytes.capacity() { self.grow_to(length).map_err(Overflow::Refused) } else { Ok(()) }
    }

    /// Makes room for `length` bytes: charge first, then allocate, then charge what the allocator gave on top.
    fn grow_to(&mut self, length: usize) -> Result<(), Refusal> {
        let step = length.max(self.bytes.capacity() * 4).max(FIRST_STEP_BYTES);
        let capacity = if step <= STEP_BYTES { step } else { length.next_multiple_of(STEP_BYTES) };
        let capacity = capacity.min(self.cap);
        self.charge.grow(capacity as u64 - self.charge.bytes())?;
        self.bytes.reserve_exact(capacity - self.bytes.len());
        // The allocator may give more than asked for; a `Vec` does not, today.
        debug_assert_eq!(self.bytes.capacity() as u64, self.charge.bytes());
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that it may still grow by, as far as its cap goes.
    pub fn room(&self) -> usize {
        self.cap - self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets all but the first `length` bytes, and that anything did not fit.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.overflow = None;
    }

    /// Why the last [`io::Write`] failed.
    pub fn overflow(&mut self) -> Option<Overflow> {
        self.overflow.take()
    }

    /// The bytes for somebody who sends them; the charge lives until the last clone is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes one line of JSON: a line break can only come from a guest's own JSON text, where it is white space, and
/// becomes a space. So a reply fits an SSE `data:` line, and a log line.
impl io::Write for Buffer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let start = self.bytes.len();
        if let Err(overflow) = self.extend(more) {
            self.overflow = Some(overflow);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        for byte in &mut self.bytes[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
