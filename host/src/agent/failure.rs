//! Why a call has no result: the one error type of this room.
//!
//! Every limit a call can meet has a name here, and every way out of a call that is not a result is one of the cases of
//! [`Failure`]. Never holds a guest's backtrace: that goes to the log only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Charged;
use super::contract::{self, InputRequired};

/// Questions an agent may ask at once, and bytes of the key of each.
pub const QUESTIONS_MAX: usize = 16;
pub const KEY_BYTES_MAX: usize = 128;

/// Bytes of one question, and of the state an agent wants to have back.
pub const QUESTION_BYTES_MAX: usize = 32 << 10;
pub const STATE_BYTES_MAX: usize = 32 << 10;

/// Why a call has no result.
#[derive(Debug)]
pub enum Failure {
    /// The agent answered with an error of the contract.
    Answered(contract::Error),
    /// No failure: the agent wants to be asked again, with answers to these questions. Holds what it may, at most 16 of
    /// them, and pays for it.
    Asks(Box<Charged<InputRequired>>),
    /// The host did not let the guest run: full, busy, in quarantine, or not loaded. Worth trying again when
    /// [`Limit::retry_after_ms`] is set.
    Refused(Limit),
    /// The guest ran into a limit and was stopped.
    Stopped(Limit),
    /// The agent broke the contract; the text says how.
    Broken { agent: Arc<str>, version: Arc<str>, reason: String },
}

/// The limit that was met, in the one shape clients see (design, Memory 8).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    pub agent: Arc<str>,
    pub version: Arc<str>,
    pub limit: LimitName,
    pub unit: Unit,
    pub cap: u64,
    pub used: u64,
    pub wanted: u64,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What the guest last wrote to its standard error (at most 256 bytes of it), or why an agent is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitName {
    /// All linear memories and tables of the call.
    Memory,
    /// Elements of one table.
    Table,
    /// CPU time of one guest call.
    Cpu,
    /// Wall clock of one guest call.
    Deadline,
    /// Bytes the host copies out of the guest.
    Copies,
    /// Handles the guest holds.
    Handles,
    /// The guest's stack, or a wild pointer: the two look alike.
    Stack,
    /// The guest ended its process.
    Exit,
    /// The guest panicked, or met another trap.
    Panic,
    /// Bytes written to standard output and standard error.
    Output,
    /// Calls of the agent that run or wait.
    Busy,
    /// Memory of the whole host.
    HostFull,
    /// The agent failed too often and rests.
    Quarantine,
    /// The agent is being loaded.
    Loading,
    /// The agent could not be loaded; `detail` says why.
    NotLoaded,
    /// The registry's document says that it is not to be served.
    Disabled,
}

/// What the figures of a [`Limit`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Elements,
    Milliseconds,
    Calls,
    Handles,
    Failures,
    /// `used` is the guest's exit code.
    Code,
    /// The figures mean nothing here and are 0.
    None,
}

impl LimitName {
    /// As clients and logs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Cpu => "cpu",
            Self::Deadline => "deadline",
            Self::Copies => "copies",
            Self::Handles => "handles",
            Self::Stack => "stack",
            Self::Exit => "exit",
            Self::Panic => "panic",
            Self::Output => "output",
            Self::Busy => "busy",
            Self::HostFull => "host-full",
            Self::Quarantine => "quarantine",
            Self::Loading => "loading",
            Self::NotLoaded => "not-loaded",
            Self::Disabled => "disabled",
        }
    }
}

impl Unit {
    /// As clients and logs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Elements => "elements",
            Self::Milliseconds => "milliseconds",
            Self::Calls => "calls",
            Self::Handles => "handles",
            Self::Failures => "failures",
            Self::Code => "code",
            Self::None => "none",
        }
    }
}

impl Serialize for LimitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Limit {
    pub(super) fn retry(self, after: Duration) -> Self {
        Self { retry_after_ms: Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    /// The hint for clients, if waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

/// For operators; clients get words that fit their protocol.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(error) => write!(f, "the agent answered {error:?}"),
            Self::Asks(asks) => write!(f, "the agent asks {} questions", asks.value.requests.len()),
            Self::Refused(limit) => write!(f, "refused: {limit}"),
            Self::Stopped(limit) => write!(f, "stopped: {limit}"),
            Self::Broken { reason, .. } => write!(f, "the contract was broken: {reason}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, unit, cap, used, wanted, detail, .. } = self;
        write!(f, "limit `{}`", limit.as_str())?;
        if *unit != Unit::None {
            write!(f, " of {cap} {}: {used} used, {wanted} wanted", unit.as_str())?;
        }
        match detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}
