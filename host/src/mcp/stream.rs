//! A resource's bytes -> the inside of a JSON string, piece by piece.
//!
//! Text is checked to be UTF-8 across pieces and escaped, binary becomes base64. Holds at most three bytes of the last
//! piece; never the resource.

use super::buffer::{Buffer, Overflow};
use crate::agent::contract::Form;

/// Bytes of text that are looked at together: if none of them needs an escape, none is looked at alone.
const BLOCK_BYTES: usize = 32;

/// Writes the bytes of one resource between the quotes of a JSON string.
#[derive(Debug)]
pub struct StringWriter {
    form: Form,
    /// The start of a character, or of a group of three, whose rest is in the next piece.
    held: [u8; 3],
    held_length: usize,
}

/// Why a piece was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceError {
    /// The text is not UTF-8.
    NotText,
    /// The reply took no more.
    Full(Overflow),
}

impl From<Overflow> for PieceError {
    fn from(overflow: Overflow) -> Self {
        Self::Full(overflow)
    }
}

impl StringWriter {
    pub fn new(form: Form) -> Self {
        Self { form, held: [0; 3], held_length: 0 }
    }

    /// Writes all of `piece` but the few bytes that only make sense with the next one.
    pub fn write(&mut self, mut piece: &[u8], out: &mut Buffer) -> Result<(), PieceError> {
        while self.held_length > 0 && !piece.is_empty() {
            // At most three rounds: a character has at most four bytes, a group three.
            let mut joined = [0; 4];
            joined[..self.held_length].copy_from_slice(&self.held[..self.held_length]);
            joined[self.held_length] = piece[0];
            let length = self.held_length + 1;
            piece = &piece[1..];
            self.held_length = 0;
            self.encode(&joined[..length], out)?;
        }
        // An empty piece must not make what is held look written.
        if piece.is_empty() { Ok(()) } else { self.encode(piece, out) }
    }

    /// What is left to be written, if anything is. Text must not end inside a character.
    pub fn finish(self) -> Result<Option<[u8; 4]>, PieceError> {
        match (&self.held[..self.held_length], self.form) {
            ([], _) => Ok(None),
            (_, Form::Text) => Err(PieceError::NotText),
            (rest, Form::Binary) => {
                let mut last = [0; 4];
                let _ = base64_simd::STANDARD.encode(rest, base64_simd::Out::from_slice(&mut last));
                Ok(Some(last))
            }
        }
    }

    fn encode(&mut self, bytes: &[u8], out: &mut Buffer) -> Result<(), PieceError> {
        let whole = match self.form {
            Form::Binary => bytes.len() - bytes.len() % 3,
            Form::Text => valid_text(bytes)?,
        };
        let (now, later) = bytes.split_at(whole);
        match self.form {
            Form::Binary => out.extend_base64(now)?,
            Form::Text => escape(now, out)?,
        }
        self.held[..later.len()].copy_from_slice(later);
        self.held_length = later.len();
        Ok(())
    }
}

/// How much of `bytes` is text; what follows may be the start of a character.
fn valid_text(bytes: &[u8]) -> Result<usize, PieceError> {
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        return Ok(bytes.len());
    }
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        _ => Err(PieceError::NotText),
    }
}

/// Escapes what JSON does not allow inside a string, and leaves all else as it is.
fn escape(text: &[u8], out: &mut Buffer) -> Result<(), Overflow> {
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let block = &text[at..text.len().min(at + BLOCK_BYTES)];
        // Without branches, so that the compiler looks at many bytes with one instruction.
        if !block.iter().fold(false, |any, byte| any | needs_escape(*byte)) {
            at += block.len();
            continue;
        }
        for &byte in block {
            if needs_escape(byte) {
                out.extend(&text[start..at])?;
                out.extend(escaped(byte).as_bytes())?;
                start = at + 1;
            }
            at += 1;
        }
    }
    out.extend(&text[start..])
}

fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// A byte as JSON writes it: two characters where there is such a form, else six.
struct Escaped {
    text: [u8; 6],
    length: usize,
}

impl Escaped {
    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

fn escaped(byte: u8) -> Escaped {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = |letter| Escaped { text: [b'\\', letter, 0, 0, 0, 0], length: 2 };
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            Escaped { text: [b'\\', b'u', b'0', b'0', high, low], length: 6 }
        }
    }
}

#[cfg(test)]
mod tests;
