//! What the calls of one agent have cost and how they ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::failure::LimitName;

/// Upper ends of the classes of times, in seconds. A call of a small agent takes a tenth of a millisecond.
pub const SECONDS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// Upper ends of the classes of guest memory, in bytes.
pub const BYTES: [f64; 9] = [
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
];

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
    /// By the function of the contract that was called, such as `tools.call`.
    pub functions: BTreeMap<&'static str, Function>,
    /// Time that calls waited for their turn, those that waited in vain included.
    pub waited: Classes<12>,
}

/// Figures of one function of the contract.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// Calls by how they ended: `ok`, `error` (the agent's own answer), `broken` or the name of a limit.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Their wall clock.
    pub wall: Classes<12>,
    /// The most guest memory each has held.
    pub memory: Classes<9>,
}

/// How many values fell into which class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classes<const N: usize> {
    /// Values of each class, and not of those below it.
    pub counts: [u64; N],
    /// Values above all classes.
    pub above: u64,
    pub sum: f64,
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

impl<const N: usize> Default for Classes<N> {
    fn default() -> Self {
        Self { counts: [0; N], above: 0, sum: 0.0 }
    }
}

impl<const N: usize> Classes<N> {
    /// Counts one value more.
    pub fn add(&mut self, value: f64, ends: &[f64; N]) {
        match ends.iter().position(|end| value <= *end) {
            Some(class) => self.counts[class] += 1,
            None => self.above += 1,
        }
        self.sum += value;
    }

    /// Values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// Takes those of another in.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.above += other.above;
        self.sum += other.sum;
    }
}

impl Stats {
    pub fn snapshot(&self) -> Figures {
        self.lock().clone()
    }

    /// A call of `function` has ended.
    pub fn ran(&self, function: &'static str, outcome: &'static str, cost: Cost) {
        let Cost { memory_peak, cpu, wall } = cost;
        let mut figures = self.lock();
        figures.calls += 1;
        figures.memory_last = memory_peak;
        figures.memory_peak = figures.memory_peak.max(memory_peak);
        figures.cpu_total += cpu;
        figures.cpu_longest = figures.cpu_longest.max(cpu);
        figures.wall_total += wall;
        figures.wall_longest = figures.wall_longest.max(wall);
        let function = figures.functions.entry(function).or_default();
        *function.outcomes.entry(outcome).or_default() += 1;
        function.wall.add(wall.as_secs_f64(), &SECONDS);
        function.memory.add(memory_peak as f64, &BYTES);
    }

    /// A call has waited for its turn, in vain perhaps.
    pub fn waited(&self, time: Duration) {
        self.lock().waited.add(time.as_secs_f64(), &SECONDS);
    }

    pub fn stopped(&self, limit: LimitName) {
        *self.lock().stopped.entry(limit).or_default() += 1;
    }

    pub fn refused(&self, limit: LimitName) {
        *self.lock().refused.entry(limit).or_default() += 1;
    }

    pub fn broken(&self) {
        self.lock().broken += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
