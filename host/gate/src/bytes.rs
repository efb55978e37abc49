//! The encoding of lib0, within the bytes that are there.
//!
//! Numbers must be as short as they can be: who reads a longer one may well read another number.

use crate::Malformed;

/// Bytes yet to be read.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Nothing may follow.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.0.len())) }
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// `readVarUint`: seven bits a byte, the lowest first.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        self.number_after(0, 0)
    }

    /// Goes on with a number of which `bits` bits are read.
    fn number_after(&mut self, mut number: u64, mut bits: u32) -> Result<u64, Malformed> {
        let first = bits == 0;
        let mut bytes = 0;
        loop {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if bits >= 64 || (part << bits) >> bits != part {
                return Err(Malformed::Number);
            }
            number |= part << bits;
            bits += 7;
            bytes += 1;
            if byte < 0x80 {
                // A last byte of zero adds nothing, unless it is the only one.
                let idle = byte == 0 && !(first && bytes == 1);
                return if idle { Err(Malformed::Number) } else { Ok(number) };
            }
        }
    }

    /// `readVarInt`: the first byte has a sign and six bits. What it is does not matter here.
    pub fn pass_integer(&mut self) -> Result<(), Malformed> {
        let first = self.byte()?;
        if first & 0x80 != 0 {
            self.number_after(u64::from(first & 0x3f), 6)?;
        }
        Ok(())
    }

    /// A number that has a limit.
    pub fn number_within(&mut self, limit: &'static str, max: u64) -> Result<u64, Malformed> {
        let number = self.number()?;
        if number > max { Err(Malformed::beyond(limit, max, number)) } else { Ok(number) }
    }

    /// How many follow, of which each takes so many bytes at least: more than fit are not even begun.
    pub fn count(&mut self, limit: &'static str, max: usize, bytes_each: usize) -> Result<usize, Malformed> {
        let count = self.number_within(limit, max as u64)?;
        let there = (self.left() / bytes_each) as u64;
        if count > there { Err(Malformed::Truncated) } else { Ok(count as usize) }
    }

    /// `readVarUint8Array`.
    pub fn buffer(&mut self) -> Result<&'a [u8], Malformed> {
        let bytes = self.number()?;
        self.take(usize::try_from(bytes).map_err(|_| Malformed::Truncated)?)
    }

    /// `readVarString`.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.buffer()?).map_err(|_| Malformed::Text)
    }

    pub fn key(&mut self) -> Result<&'a str, Malformed> {
        let key = self.text()?;
        let (found, max) = (key.len(), crate::KEY_BYTES_MAX);
        if found > max { Err(Malformed::beyond("bytes of a key", max as u64, found as u64)) } else { Ok(key) }
    }

    pub fn client(&mut self) -> Result<u64, Malformed> {
        self.number_within("client id", crate::CLIENT_MAX)
    }

    pub fn clock(&mut self) -> Result<u32, Malformed> {
        Ok(self.number_within("clock", u64::from(crate::CLOCK_MAX))? as u32)
    }
}

/// Puts `writeVarUint(number)` at the end.
pub fn put_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Puts `writeVarUint8Array(bytes)` at the end.
pub fn put_buffer(bytes: &[u8], to: &mut Vec<u8>) {
    put_number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}
