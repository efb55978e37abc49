//! A file an operator wrote -> its text, bounded.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::problem::Fault;
use super::{FILE_BYTES_MAX, size};

/// Reads a whole file.
///
/// # Errors
/// What is wrong with the file as a whole.
pub(super) fn read(path: &Path) -> Result<String, Fault> {
    let fault = |message: String, suggestion: &str| Fault { place: None, message, suggestion: suggestion.to_owned() };
    let file = File::open(path).map_err(|error| {
        fault(
            format!("cannot be opened: {error}"),
            "name the file with --manifest FILE; the default is ./manifest.yaml",
        )
    })?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(format!("cannot be read: {error}"), "a manifest is a YAML file"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("is larger than {}", size::show(FILE_BYTES_MAX));
        return Err(fault(message, "a manifest is a short YAML file: is this the right one?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        fault(format!("is not UTF-8 text, in line {line}"), "save it as UTF-8")
    })
}
