//! The operator's token: a file in the host's data, made at the first start and read by `stockade status`.
//!
//! Whoever may read the file is the operator, so it is created with its final mode: nobody else can read it, not for an
//! instant. The running host keeps its hash alone.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use cap_std::fs::{Dir, File, MetadataExt as _};

use super::Token;
use crate::manifest::TokenHash;

/// Name of the file below the host's data.
pub const FILE: &str = "operator.token";

/// Permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Bytes of the file that are read: a token, a line break, and room to see that it is something else.
const FILE_BYTES_MAX: u64 = 256;

/// The hash of the operator's token, which is made if there is none yet.
///
/// # Errors
///
/// When the file cannot be made or read, is no token, or could be read by others.
pub fn open(data: &Path) -> anyhow::Result<TokenHash> {
    let dir = crate::data::open(data)?;
    match dir.open_with(FILE, crate::data::writable().create_new(true)) {
        Ok(file) => create(&dir, file, data),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(load(&dir, data)?.sha256()),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", data.join(FILE).display())),
    }
}

/// The operator's token of a host with this data.
///
/// # Errors
///
/// As [`open`], and when there is none.
pub fn read(data: &Path) -> anyhow::Result<Token> {
    load(&crate::data::open(data)?, data)
}

/// Fills the file that was just made, or takes it away again.
fn create(dir: &Dir, mut file: File, data: &Path) -> anyhow::Result<TokenHash> {
    let path = data.join(FILE);
    let written = Token::fresh().and_then(|token| {
        file.write_all(format!("{}\n", token.reveal()).as_bytes())?;
        file.sync_all()?;
        Ok(token)
    });
    let token = written.or_else(|error| {
        dir.remove_file(FILE).context("nor can the empty file be deleted")?;
        Err(error)
    });
    let token = token.with_context(|| format!("cannot write {}; is the disk full?", path.display()))?;
    tracing::info!(file = %path.display(), "operator's token written");
    Ok(token.sha256())
}

fn load(dir: &Dir, data: &Path) -> anyhow::Result<Token> {
    let path = data.join(FILE);
    let shown = path.display();
    let file = dir.open(FILE).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::anyhow!("there is no {shown}: `stockade serve` writes it at its first start")
        }
        _ => anyhow::anyhow!("cannot open {shown}: {error}"),
    })?;
    let mode = file.metadata().with_context(|| format!("cannot look at {shown}"))?.mode();
    anyhow::ensure!(
        mode & OTHERS == 0,
        "{shown} can be used by others (its mode is {:o}): delete it, so that `stockade serve` writes a new one; \
         `chmod 600` would do only if nobody has read it",
        mode & 0o777
    );
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    let token = read.ok().and_then(|_| Token::parse(text.trim_end()));
    token.with_context(|| format!("{shown} holds no token: delete it, and `stockade serve` writes a new one"))
}
