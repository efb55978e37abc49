//! One piece of a file, from wherever the client is.
//!
//! A cursor is `offset:version`. The version makes sure that the pieces of one read are pieces of one content: a file
//! that was changed under way ends the read with an error instead of a mixture. One that was replaced by another is read to its
//! own end as long as it stays open.

#[cfg(test)]
mod tests;

use crate::exports::stockade::agent::resources::{Chunk, Form, Head, Position};
use crate::grants::Grants;
use crate::stockade::agent::types::Error;
use crate::{failure, media, stamp, uri};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

/// The contract's bound on a chunk, held here too so that a larger `max` costs no memory.
const CHUNK_BYTES_MAX: u32 = 512 * 1024;

/// A file that is open, and what it was when it was opened.
struct Opened {
    path: String,
    file: File,
    /// Where the file's own position is.
    at: u64,
    size: u64,
    version: String,
}

thread_local! {
    /// The file of the piece before. An instance serves the pieces of one read, so most of them find it open.
    static LAST: Cell<Option<Opened>> = const { Cell::new(None) };
}

/// Reads at most `max` bytes at `at`.
pub fn read(grants: &Grants, uri: &str, at: Position, max: u32) -> Result<Chunk, Error> {
    let path = uri::to_path(uri)?;
    if max == 0 {
        return Err(Error::InvalidInput("max is 0; ask for at least 1 byte".into()));
    }
    let is_first = !matches!(at, Position::Cursor(_));
    let mut opened = match LAST.take().filter(|last| last.path == path && !is_first) {
        Some(last) => last,
        None => {
            grants.check(&path)?;
            open(path)?
        }
    };
    let start = match &at {
        Position::Start => 0,
        Position::Offset(offset) => *offset,
        Position::Cursor(cursor) => offset_of_cursor(cursor, &opened.version)?,
    };
    if start > opened.size {
        let Opened { path, size, .. } = opened;
        return Err(Error::InvalidInput(format!("offset {start} is behind the end; {path} has {size} bytes")));
    }
    let chunk = piece(&mut opened, start, is_first, max.min(CHUNK_BYTES_MAX));
    let chunk = chunk.map_err(|error| failure::of(&opened.path, &error))?.ok_or_else(changed)?;
    if chunk.next.is_some() {
        LAST.set(Some(opened));
    }
    Ok(chunk)
}

/// One piece from `start`; none if the file was changed meanwhile.
fn piece(opened: &mut Opened, start: u64, is_first: bool, max: u32) -> std::io::Result<Option<Chunk>> {
    let head = if is_first { Some(head(opened)?) } else { None };
    let Opened { file, at, size, version, .. } = opened;
    if *at != start {
        file.seek(SeekFrom::Start(start))?;
    }
    let length = (*size - start).min(u64::from(max));
    let bytes = read_exactly(file, length as usize)?;
    *at = start + bytes.len() as u64;
    if stamp::version(&file.metadata()?) != *version {
        return Ok(None);
    }
    let next = (*at < *size).then(|| format!("{at}:{version}"));
    Ok(Some(Chunk { bytes, head, next }))
}

/// Opens a regular file.
fn open(path: String) -> Result<Opened, Error> {
    let failed = |error| failure::of(&path, &error);
    // Before opening: to open a named pipe would wait for its other end.
    let metadata = fs::metadata(&path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::InvalidInput(format!("{path} is a directory; list the resources or call search with path")));
    }
    if !metadata.is_file() {
        return Err(Error::InvalidInput(format!("{path} is not a regular file")));
    }
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok(Opened { path, file, at: 0, size: metadata.len(), version: stamp::version(&metadata) })
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

/// What is read, told by the name of the file and its first bytes.
fn head(opened: &mut Opened) -> std::io::Result<Head> {
    let Opened { path, file, at, size, version } = opened;
    // Wherever that look leaves the file's position, it is not where a piece begins.
    *at = u64::MAX;
    let (form, fallback) = match media::is_text(file)? {
        true => (Form::Text, "text/plain"),
        false => (Form::Binary, "application/octet-stream"),
    };
    let mime_type = media::by_name(path).unwrap_or(fallback).to_string();
    Ok(Head { mime_type: Some(mime_type), form, size: Some(*size), version: Some(version.clone()), cache: None })
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
