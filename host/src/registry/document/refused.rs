//! Why an update is not applied.

use std::sync::Arc;
use std::time::Duration;

use stockade_gate::Standing;

use super::size::RECORDS_BYTES_MAX;
use crate::registry::schema::AGENTS_MAX;

/// Why an update is not applied. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Gate(Standing),
    #[error("{touched} may not be written by `{principal}`")]
    Forbidden { touched: String, principal: Arc<str> },
    #[error("it writes as client {client}, which is `{author}`'s: begin with a document of your own")]
    Taken { client: u64, author: Arc<str> },
    #[error("there is no agent `{0}`; `stockade agents` lists all")]
    Unknown(Arc<str>),
    #[error("agent `{0}` would be one too many: the registry has the {AGENTS_MAX} that it may have; retire some")]
    TooMany(Arc<str>),
    #[error(
        "the registry would say {wanted} bytes, and {RECORDS_BYTES_MAX} are allowed; retire agents, or shorten their texts"
    )]
    TooLarge { wanted: usize },
    #[error("`{principal}` adds to the document faster than anybody but an operator may; there is room again in {} s", wait.as_secs() + 1)]
    TooFast { principal: Arc<str>, wait: Duration },
    /// A value that may not be, or a field that there is not.
    #[error("{0}")]
    Invalid(String),
    /// The gate lets nothing through that yrs refuses: a mistake in one of them.
    #[error("the document cannot take it: {0}")]
    Unapplied(String),
}

impl Refused {
    /// What edits are refused for, as they are counted.
    pub const KINDS: [&str; 5] = ["form", "rights", "room", "pace", "value"];

    /// Which of the [`KINDS`](Self::KINDS) it is; none of what is asked for again.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Gate(Standing::Gap { .. }) => None,
            Self::Gate(Standing::Malformed(_)) | Self::Unapplied(_) => Some("form"),
            Self::Gate(Standing::Forged(_)) | Self::Forbidden { .. } | Self::Taken { .. } => Some("rights"),
            Self::Gate(Standing::Full { .. }) | Self::TooMany(_) | Self::TooLarge { .. } => Some("room"),
            Self::TooFast { .. } => Some("pace"),
            Self::Unknown(_) | Self::Invalid(_) => Some("value"),
        }
    }
}
