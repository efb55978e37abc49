//! What the calls of one agent have cost and how they ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::LimitName;

/// Figures of one agent since the host started.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Calls that ran, however they ended.
    pub calls: u64,
    /// Calls that ended at a limit, by its name.
    pub stopped: BTreeMap<LimitName, u64>,
    /// Calls that were refused before they ran, by the name of the limit.
    pub refused: BTreeMap<LimitName, u64>,
    /// Calls that broke the contract.
    pub broken: u64,
    /// Most guest memory one call held, in bytes.
    pub memory_peak: u64,
    /// Guest memory of the last call, in bytes.
    pub memory_last: u64,
    /// CPU time of all calls, and of the longest.
    pub cpu_total: Duration,
    pub cpu_longest: Duration,
    /// Wall clock of all calls, waiting for a turn excluded, and of the longest.
    pub wall_total: Duration,
    pub wall_longest: Duration,
}

/// The record that calls write to.
#[derive(Debug, Default)]
pub(super) struct Stats(Mutex<Figures>);

/// One call that has run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub memory_peak: u64,
    pub cpu: Duration,
    pub wall: Duration,
}

impl Stats {
    pub fn snapshot(&self) -> Figures {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn ran(&self, cost: Cost) {
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.calls += 1;
        figures.memory_last = cost.memory_peak;
        figures.memory_peak = figures.memory_peak.max(cost.memory_peak);
        figures.cpu_total += cost.cpu;
        figures.cpu_longest = figures.cpu_longest.max(cost.cpu);
        figures.wall_total += cost.wall;
        figures.wall_longest = figures.wall_longest.max(cost.wall);
    }

    pub fn stopped(&self, limit: LimitName) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).stopped.entry(limit).or_default() += 1;
    }

    pub fn refused(&self, limit: LimitName) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.entry(limit).or_default() += 1;
    }

    pub fn broken(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).broken += 1;
    }
}
