//! Rest for agents that keep failing.
//!
//! Owns the count of failures in a row. After five memory, time, stack or panic outcomes in a row the agent rests, 1 s at
//! first and doubling to 60 s; one good call forgives everything. Failures that a client or a full host causes never count.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::LimitName;

/// Failures in a row before an agent rests.
pub(super) const FAILURES_MAX: u32 = 5;

/// Different callers that must have seen them, when there is more than one caller at all: a single client cannot put an
/// agent to rest for the others.
pub(super) const PRINCIPALS_MIN: usize = 2;

const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// The record of one agent.
#[derive(Debug)]
pub(super) struct Quarantine {
    /// Principals that exist on this host.
    principals: usize,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    /// Who saw them; no more are kept than are asked for.
    seen_by: BTreeSet<Arc<str>>,
    rests: u32,
    until: Option<Instant>,
}

/// An agent that rests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resting {
    pub failures: u32,
    pub remaining: Duration,
}

impl Quarantine {
    /// `principals`: how many callers the host can tell apart.
    pub fn new(principals: usize) -> Self {
        Self { principals, record: Mutex::default() }
    }

    /// The rest that is left, if the agent rests.
    pub fn resting(&self) -> Option<Resting> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let remaining = record.until?.checked_duration_since(Instant::now())?;
        (!remaining.is_zero()).then_some(Resting { failures: record.failures, remaining })
    }

    /// A call that ended well.
    pub fn forgive(&self) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if record.failures > 0 {
            *record = Record::default();
        }
    }

    /// A call that ended at a limit. Answers the rest that begins with it, if one does.
    pub fn blame(&self, limit: LimitName, principal: &Arc<str>) -> Option<Duration> {
        if !counts(limit) {
            return None;
        }
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.failures += 1;
        if record.seen_by.len() < PRINCIPALS_MIN {
            record.seen_by.insert(principal.clone());
        }
        if record.failures < FAILURES_MAX || record.seen_by.len() < PRINCIPALS_MIN.min(self.principals) {
            return None;
        }
        // While it rests, calls that began earlier still end: they do not make the rest longer.
        if record.until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let rest = REST_MIN.saturating_mul(1 << record.rests.min(6)).min(REST_MAX);
        record.rests += 1;
        record.until = Some(Instant::now() + rest);
        Some(rest)
    }
}

/// Whether it is the agent's own failure.
pub(super) fn counts(limit: LimitName) -> bool {
    use LimitName::{Cpu, Deadline, Exit, Memory, Panic, Stack, Table};
    matches!(limit, Memory | Table | Cpu | Deadline | Stack | Panic | Exit)
}

#[cfg(test)]
mod tests;
