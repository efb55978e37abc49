//! Why bytes are refused that no client of the registry's document writes.

use std::fmt;

/// What is wrong with foreign bytes. A client that sends such is not to be spoken with any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// They end too early.
    Truncated,
    /// So many bytes follow behind the end.
    Trailing(usize),
    /// A number is longer than it need be, or than 64 bits.
    Number,
    /// A string is not UTF-8.
    Text,
    /// A state of awareness is not JSON.
    Json,
    /// A limit of the gate: its name, what it allows, and what there was.
    Beyond {
        /// Which limit.
        limit: &'static str,
        /// What it allows.
        max: u64,
        /// What there was.
        found: u64,
    },
    /// Something that has no place in the registry's document: what it is, and its number in the format.
    Foreign {
        /// Such as "content".
        what: &'static str,
        /// The number it has in the format.
        tag: u64,
    },
    /// A rule that every update keeps.
    Broken(&'static str),
}

impl Malformed {
    pub(crate) fn beyond(limit: &'static str, max: u64, found: u64) -> Self {
        Self::Beyond { limit, max, found }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends too early"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes follow behind its end"),
            Self::Number => f.write_str("a number is longer than it need be"),
            Self::Text => f.write_str("a string is not UTF-8"),
            Self::Json => f.write_str("a state of awareness is not JSON"),
            Self::Beyond { limit, max, found } => write!(f, "{limit}: {found}, and {max} are allowed"),
            Self::Foreign { what, tag } => write!(f, "{what} number {tag} has no place in this document"),
            Self::Broken(rule) => f.write_str(rule),
        }
    }
}

impl std::error::Error for Malformed {}
