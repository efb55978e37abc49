//! The audit log: who did what to which agent, when, and what came of it.
//!
//! Owns `audit.log` in the host's data: one JSON object a line, only ever appended. At a size it becomes `audit.log.1`, in the
//! place of the one before; so there are always the last changes, and never more than twice that size.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use cap_std::fs::{Dir, File};
use serde::Serialize;

/// Names of the files below the host's data.
const FILE: &str = "audit.log";
const FILE_BEFORE: &str = "audit.log.1";

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a reason; the rest is cut off.
const OUTCOME_BYTES_MAX: usize = 512;

/// The log.
#[derive(Debug)]
pub struct Audit {
    dir: Dir,
    open: Mutex<Open>,
    file_bytes_max: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

/// Something that was done, or refused.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Deed<'a> {
    /// Name of the token, or `host`.
    pub who: &'a str,
    /// Such as `publish` or `yank`.
    pub what: &'a str,
    pub agent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub version: &'a str,
    /// `done`, or why not.
    pub outcome: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    at: u64,
    #[serde(flatten)]
    deed: Deed<'a>,
}

impl Audit {
    /// Opens the log in the host's data.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        Self::with_size(data, FILE_BYTES_MAX)
    }

    fn with_size(data: &Path, file_bytes_max: u64) -> anyhow::Result<Self> {
        let dir = crate::data::open(data)?;
        let open = Open::new(&dir).with_context(|| format!("cannot write {FILE} in {}", data.display()))?;
        Ok(Self { dir, open: Mutex::new(open), file_bytes_max })
    }

    /// Notes a deed. What cannot be written is in the host's log all the same.
    pub fn note(&self, deed: Deed<'_>) {
        let Deed { who, what, agent, version, outcome } = deed;
        tracing::info!(who, what, agent, version, outcome, "audit");
        let outcome = &outcome[..outcome.floor_char_boundary(OUTCOME_BYTES_MAX)];
        if let Err(error) = self.write(&Line { at: super::now(), deed: Deed { outcome, ..deed } }) {
            tracing::error!(%error, "the audit log cannot be written");
        }
    }

    fn write(&self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes > 0 && open.bytes + text.len() as u64 > self.file_bytes_max {
            self.dir.rename(FILE, &self.dir, FILE_BEFORE)?;
            *open = Open::new(&self.dir)?;
        }
        open.file.write_all(&text)?;
        open.bytes += text.len() as u64;
        Ok(())
    }
}

impl Open {
    fn new(dir: &Dir) -> io::Result<Self> {
        let file = dir.open_with(FILE, crate::data::writable().append(true).create(true))?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

#[cfg(test)]
mod tests;
