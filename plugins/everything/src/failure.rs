//! Each error case of the contract on request, for tools, reads and prompts alike.

use crate::stockade::agent::types::Error;

/// The names [`of_kind`] knows.
pub const KINDS: [&str; 6] = ["not-found", "invalid-input", "denied", "failed", "busy", "missing-capability"];

/// What `busy` asks the client to wait.
const RETRY_AFTER_MS: u32 = 250;

/// The error case called `kind`, named as in the contract. An unknown kind is itself an invalid input.
pub fn of_kind(kind: &str) -> Error {
    match kind {
        "not-found" => Error::NotFound("not found, as asked".into()),
        "invalid-input" => Error::InvalidInput("invalid input, as asked".into()),
        "denied" => Error::Denied("denied, as asked".into()),
        "failed" => Error::Failed("failed, as asked".into()),
        "busy" => Error::Busy(RETRY_AFTER_MS),
        "missing-capability" => Error::MissingCapability(vec!["sampling".into(), "elicitation.url".into()]),
        other => Error::InvalidInput(format!("no error case {other}; there are {}", KINDS.join(", "))),
    }
}
