//! What ended a call: turns the library's errors into the names of [`Failure`].
//!
//! The only place that looks into errors of the engine. Some of them have no type, only a text; those texts are pinned by
//! the tests of the hostile guests. Never passes a backtrace on.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use super::failure::{Failure, Limit, LimitName, Unit};
use super::limiter::Stop;
use super::queue::Closed;
use super::state::{HANDLES_MAX, RANDOM_BYTES_MAX};

/// Bytes of a guest's last words that clients get to see.
const DETAIL_BYTES_MAX: usize = 256;

/// When to come back to a host or an agent that is full.
const RETRY: Duration = Duration::from_secs(1);

/// Who failed, and the figures an error may need.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub agent: &'a Arc<str>,
    pub version: Arc<str>,
    pub copies_max: u64,
    pub cpu_max: Duration,
    pub deadline: Duration,
    pub cpu_spent: Duration,
    pub last_words: String,
}

impl Scene<'_> {
    /// Why a guest was stopped.
    pub fn stopped(&self, error: &wasmtime::Error) -> Failure {
        use LimitName as Name;
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return self.by_host(stop);
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return self.at(Name::Exit, Unit::Code, [0, u64::from(exit.0.unsigned_abs()), 0]);
        }
        if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
            let limit = self.limit(Name::HostFull, Unit::Calls, [0, 0, 1]);
            return Failure::Refused(Limit { detail: Some(full.to_string()), ..limit }.retry(RETRY));
        }
        if error.downcast_ref::<ResourceTableError>().is_some() {
            return self.at(Name::Handles, Unit::Handles, [HANDLES_MAX as u64, HANDLES_MAX as u64, 1]);
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                // A Rust guest's own stack lies in linear memory: running off its end looks like a wild pointer.
                Trap::StackOverflow | Trap::MemoryOutOfBounds => self.crash(Name::Stack, trap),
                _ => self.crash(Name::Panic, trap),
            };
        }
        self.by_text(error)
    }

    /// Errors that the library gives no type.
    fn by_text(&self, error: &wasmtime::Error) -> Failure {
        let text = format!("{error:#}");
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            return self.at(LimitName::Copies, Unit::Bytes, [self.copies_max, self.copies_max, 1]);
        }
        if text.contains("store handle limit exceeded") {
            return self.at(LimitName::Handles, Unit::Handles, [HANDLES_MAX as u64, HANDLES_MAX as u64, 1]);
        }
        let cause = cause(error);
        // `wasi:random` was asked for more than its bound: bytes the host would have had to make.
        if cause.starts_with("requested len") && cause.contains("exceeds limit") {
            let limit = self.limit(LimitName::Copies, Unit::Bytes, [RANDOM_BYTES_MAX, 0, RANDOM_BYTES_MAX + 1]);
            return Failure::Stopped(Limit { detail: Some(format!("random bytes: {cause}")), ..limit });
        }
        self.broken(cause)
    }

    /// A limit of our own, thrown into the guest as a trap.
    fn by_host(&self, stop: &Stop) -> Failure {
        use LimitName as Name;
        match stop {
            Stop::Memory { cap, used, wanted } => self.at(Name::Memory, Unit::Bytes, [*cap, *used, *wanted]),
            Stop::Table { cap, used, wanted } => self.at(Name::Table, Unit::Elements, [*cap, *used, *wanted]),
            Stop::Output { cap, used } => self.at(Name::Output, Unit::Bytes, [*cap, *used, 1]),
            Stop::Cpu => self.at(Name::Cpu, Unit::Milliseconds, [ms(self.cpu_max), ms(self.cpu_spent), 0]),
            Stop::Deadline => self.at(Name::Deadline, Unit::Milliseconds, [ms(self.deadline), ms(self.deadline), 0]),
            Stop::HostFull(refusal) => {
                let figures = [refusal.limit, refusal.used, refusal.wanted];
                let limit = self.limit(Name::HostFull, Unit::Bytes, figures);
                Failure::Stopped(Limit { detail: Some(refusal.to_string()), ..limit }.retry(RETRY))
            }
            Stop::Pressure { beyond } => {
                let limit = self.limit(Name::HostFull, Unit::Bytes, [0, *beyond, 0]);
                Failure::Stopped(Limit { detail: Some(stop.to_string()), ..limit }.retry(RETRY))
            }
            Stop::System { used, wanted, reason } => {
                let limit = self.limit(Name::HostFull, Unit::Bytes, [0, *used, *wanted]);
                Failure::Stopped(Limit { detail: Some(reason.clone()), ..limit }.retry(RETRY))
            }
        }
    }

    /// Why a call could not start.
    pub fn closed(&self, closed: &Closed) -> Failure {
        let limit = match closed {
            Closed::Busy { cap, used } => self.limit(LimitName::Busy, Unit::Calls, [*cap, *used, 1]),
            Closed::NoInstance { cap } => self.limit(LimitName::HostFull, Unit::Calls, [*cap, *cap, 1]),
            Closed::Pressure { cap, used } => {
                let limit = self.limit(LimitName::HostFull, Unit::Bytes, [*cap, *used, 0]);
                Limit { detail: Some("memory use is near `pressure.maximum`".into()), ..limit }
            }
            Closed::HostFull(refusal) => {
                let figures = [refusal.limit, refusal.used, refusal.wanted];
                let limit = self.limit(LimitName::HostFull, Unit::Bytes, figures);
                Limit { detail: Some(refusal.to_string()), ..limit }
            }
        };
        Failure::Refused(limit.retry(RETRY))
    }

    /// The agent did something the contract rules out.
    pub fn broken(&self, reason: impl Into<String>) -> Failure {
        Failure::Broken { agent: self.agent.clone(), version: self.version.clone(), reason: reason.into() }
    }

    fn crash(&self, name: LimitName, trap: &Trap) -> Failure {
        let words = match &*self.last_words {
            "" => trap.to_string(),
            words => words[words.floor_char_boundary(words.len().saturating_sub(DETAIL_BYTES_MAX))..].to_owned(),
        };
        Failure::Stopped(Limit { detail: Some(words), ..self.limit(name, Unit::None, [0; 3]) })
    }

    fn at(&self, name: LimitName, unit: Unit, figures: [u64; 3]) -> Failure {
        Failure::Stopped(self.limit(name, unit, figures))
    }

    fn limit(&self, limit: LimitName, unit: Unit, [cap, used, wanted]: [u64; 3]) -> Limit {
        let (agent, version) = (self.agent.clone(), self.version.clone());
        Limit { agent, version, limit, unit, cap, used, wanted, retry_after_ms: None, detail: None }
    }
}

/// The innermost cause, without the backtrace that the library puts around it.
pub(super) fn cause(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
