//! What is asked of the document's thread, and what comes of it.

use std::sync::Arc;

use serde_json::Value;
use stockade_gate::StateVector;
use stockade_ledger::Charge;
use tokio::sync::oneshot;

use crate::access::Principal;
use crate::registry::document::Refused;
use crate::registry::outbox::Frame;

/// Something that is asked of the document.
#[derive(Debug)]
pub enum Command {
    /// What somebody lacks who has this much: as `SyncStep2`, or as what has just happened.
    Diff { known: StateVector, step_2: bool, paid: Option<Charge>, answer: Answer<Difference> },
    /// What the document has.
    Vector { answer: Answer<StateVector> },
    /// Begins the document anew, if that gives much memory back.
    Compact,
    /// Takes a client's update.
    Apply { bytes: Vec<u8>, charge: Charge, sync: bool, by: Arc<Principal>, answer: Answer<Done> },
    /// Sets fields of an agent for somebody who asks the host to.
    Edit { agent: Arc<str>, fields: Vec<(String, Value)>, by: Arc<Principal>, answer: Answer<Done> },
    /// Writes fields of agents, in the host's name.
    Write { entries: Vec<Fields>, answer: Answer<Done> },
    /// Removes entries of agents; if a time is given, in milliseconds since 1970, those that are retired since then or longer.
    Remove { agents: Vec<Arc<str>>, retired: Option<u64>, answer: Answer<Done> },
}

impl Command {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Diff { .. } | Self::Vector { .. } | Self::Compact)
    }

    /// Answers that it was not done. Whoever has gone needs no answer.
    pub fn fail(self, why: &Failed) {
        match self {
            Self::Diff { answer, .. } => drop(answer.send(Err(why.clone()))),
            Self::Vector { answer } => drop(answer.send(Err(why.clone()))),
            Self::Compact => {}
            Self::Apply { answer, .. }
            | Self::Edit { answer, .. }
            | Self::Write { answer, .. }
            | Self::Remove { answer, .. } => drop(answer.send(Err(why.clone()))),
        }
    }
}

/// Fields of an agent, and what they are to hold.
pub type Fields = (Arc<str>, Vec<(&'static str, Value)>);

/// Where an answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Failed>>;

/// What was put back in an update that was taken, and why.
pub type Done = Vec<String>;

/// What somebody lacks.
#[derive(Debug)]
pub enum Difference {
    Frame(Arc<Frame>),
    /// He has a document of an earlier epoch.
    Retired,
}

/// Why a command was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk does not take it; it may later.
    #[error("the document cannot be stored now: {0}")]
    Disk(Arc<str>),
    #[error("there is no memory for it now: {0}")]
    NoRoom(Arc<str>),
    #[error("the host is stopping")]
    Stopping,
}

impl Failed {
    pub fn disk() -> Self {
        Self::Disk("its disk is full or fails; see the host's log".into())
    }
}
