//! What the operating system refuses, in the words of the contract.

use crate::stockade::agent::types::Error;
use std::io::{self, ErrorKind};

/// Why `path` could not be used.
pub fn of(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotFound(format!("no file {path}")),
        // Also WASI's answer to a symbolic link that leads out of its grant.
        ErrorKind::PermissionDenied => Error::Denied(format!("{path} may not be read")),
        ErrorKind::InvalidFilename => Error::InvalidInput(format!("{path} is not a possible file name")),
        _ => Error::Failed(format!("cannot read {path}: {error}")),
    }
}
