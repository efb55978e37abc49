//! A resource's bytes -> the inside of a JSON string, piece by piece.
//!
//! Text is checked to be UTF-8 across pieces and escaped, binary becomes base64. Holds at most three bytes of the last
//! piece; never the resource.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::agent::contract::Form;

/// Bytes that are encoded to base64 at a time; a multiple of three.
const BASE64_PIECE_BYTES: usize = 3 << 10;

/// Writes the bytes of one resource between the quotes of a JSON string.
#[derive(Debug)]
pub struct StringWriter {
    form: Form,
    /// The start of a character, or of a group of three, whose rest is in the next piece.
    held: [u8; 3],
    held_length: usize,
}

/// Why a piece was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceError {
    /// The text is not UTF-8.
    NotText,
    /// The reply took no more; it knows why.
    Full,
}

impl From<io::Error> for PieceError {
    fn from(_: io::Error) -> Self {
        Self::Full
    }
}

impl StringWriter {
    pub fn new(form: Form) -> Self {
        Self { form, held: [0; 3], held_length: 0 }
    }

    /// Writes all of `piece` but the few bytes that only make sense with the next one.
    pub fn write(&mut self, mut piece: &[u8], out: &mut impl Write) -> Result<(), PieceError> {
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

    /// Writes what is left. Text must not end inside a character.
    pub fn finish(self, out: &mut impl Write) -> Result<(), PieceError> {
        let rest = &self.held[..self.held_length];
        match self.form {
            Form::Text if rest.is_empty() => Ok(()),
            Form::Text => Err(PieceError::NotText),
            Form::Binary => Ok(base64(rest, out)?),
        }
    }

    fn encode(&mut self, bytes: &[u8], out: &mut impl Write) -> Result<(), PieceError> {
        let whole = match self.form {
            Form::Binary => bytes.len() - bytes.len() % 3,
            Form::Text => match std::str::from_utf8(bytes) {
                Ok(_) => bytes.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(PieceError::NotText),
            },
        };
        let (now, later) = bytes.split_at(whole);
        match self.form {
            Form::Binary => base64(now, out)?,
            Form::Text => escape(now, out)?,
        }
        self.held[..later.len()].copy_from_slice(later);
        self.held_length = later.len();
        Ok(())
    }
}

fn base64(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut encoded = [0; BASE64_PIECE_BYTES / 3 * 4];
    for piece in bytes.chunks(BASE64_PIECE_BYTES) {
        let length = STANDARD.encode_slice(piece, &mut encoded).expect("four bytes for each three fit");
        out.write_all(&encoded[..length])?;
    }
    Ok(())
}

/// Escapes what JSON does not allow inside a string, and leaves all else as it is.
fn escape(text: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut start = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_all(&text[start..at])?;
        start = at + 1;
        match byte {
            b'"' => out.write_all(br#"\""#)?,
            b'\\' => out.write_all(br"\\")?,
            b'\n' => out.write_all(br"\n")?,
            b'\r' => out.write_all(br"\r")?,
            b'\t' => out.write_all(br"\t")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
    }
    out.write_all(&text[start..])
}

#[cfg(test)]
mod tests;
