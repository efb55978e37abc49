//! One piece of a file, from wherever the client is.
//!
//! A cursor is `offset:version`. The version makes sure that the pieces of one read are pieces of one content: a file
//! that was changed under way ends the read with an error instead of a mixture.

#[cfg(test)]
mod tests;

use crate::exports::stockade::agent::resources::{Chunk, Form, Head, Position};
use crate::grants::Grants;
use crate::stockade::agent::types::Error;
use crate::{failure, media, stamp, uri};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

/// The contract's bound on a chunk, held here too so that a larger `max` costs no memory.
const CHUNK_BYTES_MAX: u32 = 256 * 1024;

/// Reads at most `max` bytes at `at`.
pub fn read(grants: &Grants, uri: &str, at: Position, max: u32) -> Result<Chunk, Error> {
    let path = uri::to_path(uri)?;
    grants.check(&path)?;
    let (mut file, size, version) = open(&path)?;
    let start = match &at {
        Position::Start => 0,
        Position::Offset(offset) => *offset,
        Position::Cursor(cursor) => offset_of_cursor(cursor, &version)?,
    };
    if start > size {
        return Err(Error::InvalidInput(format!("offset {start} is behind the end; {path} has {size} bytes")));
    }
    if max == 0 {
        return Err(Error::InvalidInput("max is 0; ask for at least 1 byte".into()));
    }
    let failed = |error| failure::of(&path, &error);
    let head = match at {
        Position::Cursor(_) => None,
        _ => Some(head(&path, &mut file, size, &version).map_err(failed)?),
    };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let length = (size - start).min(u64::from(max.min(CHUNK_BYTES_MAX)));
    let bytes = read_exactly(&mut file, length as usize).map_err(failed)?;
    if stamp::version(&file.metadata().map_err(failed)?) != version {
        return Err(changed());
    }
    let end = start + bytes.len() as u64;
    Ok(Chunk { bytes, head, next: (end < size).then(|| format!("{end}:{version}")) })
}

/// Opens a regular file; gives its size and version too.
fn open(path: &str) -> Result<(File, u64, String), Error> {
    // Before opening: to open a named pipe would wait for its other end.
    let metadata = fs::metadata(path).map_err(|error| failure::of(path, &error))?;
    if metadata.is_dir() {
        return Err(Error::InvalidInput(format!("{path} is a directory; list the resources or call search with path")));
    }
    if !metadata.is_file() {
        return Err(Error::InvalidInput(format!("{path} is not a regular file")));
    }
    let file = File::open(path).map_err(|error| failure::of(path, &error))?;
    let metadata = file.metadata().map_err(|error| failure::of(path, &error))?;
    Ok((file, metadata.len(), stamp::version(&metadata)))
}

/// So many bytes, or all there are: with as few questions to the host as it allows, each for as much as is still wanted.
fn read_exactly(file: &mut File, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read(&mut bytes[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn head(path: &str, file: &mut File, size: u64, version: &str) -> std::io::Result<Head> {
    let (form, fallback) = match media::is_text(file)? {
        true => (Form::Text, "text/plain"),
        false => (Form::Binary, "application/octet-stream"),
    };
    let mime_type = media::by_name(path).unwrap_or(fallback).to_string();
    Ok(Head { mime_type: Some(mime_type), form, size: Some(size), version: Some(version.into()), cache: None })
}

fn offset_of_cursor(cursor: &str, version: &str) -> Result<u64, Error> {
    let parts = cursor.split_once(':').and_then(|(offset, of)| Some((offset.parse().ok()?, of)));
    let Some((offset, of)) = parts else {
        return Err(Error::InvalidInput("not a cursor of this agent; start over without one".into()));
    };
    if of == version { Ok(offset) } else { Err(changed()) }
}

fn changed() -> Error {
    Error::InvalidInput("the file was changed while it was read; start over".into())
}
