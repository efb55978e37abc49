//! The last fuse: a limit of the kernel's on what this process may map for writing (`RLIMIT_DATA`, setrlimit(2)).
//!
//! Should the books be wrong and the ladder fail, this process ends, and not the neighbours in its container: an allocation
//! beyond the limit fails, which Rust answers with an abort. It counts address space, not memory, and some of that is
//! never touched or was given back: the threads' stacks, and the slots of the pool, which stay mapped as large as the
//! largest call that ever used them (measured: 375 MiB after six calls of 60 MiB). So it stands far above `memory`, and
//! only a runaway meets it. Where a control group has a limit the kernel has a better one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::measure::Meter;

/// Beyond what is expected, as a part of `memory`.
const MARGIN_PART: u64 = 10;

/// Address space that may be mapped for writing without anything being wrong, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Mapped {
    /// Stacks of threads that may yet start.
    pub stacks: u64,
    /// Slots of the pool, each as large as the largest call.
    pub slots: u64,
}

/// The limit of a process, which moves as agents come and go.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    /// Bytes that were mapped at its start.
    base: u64,
    /// What the process may use.
    memory: u64,
}

impl Fuse {
    /// From what is mapped now.
    ///
    /// # Errors
    ///
    /// When the system does not say what is mapped.
    pub fn new(meter: &Meter, memory: u64) -> anyhow::Result<Self> {
        Ok(Self { base: meter.mapped()?, memory })
    }

    /// Sets the limit, and says how high it is.
    ///
    /// # Errors
    ///
    /// When the system does not take it.
    pub fn arm(self, mapped: Mapped) -> anyhow::Result<u64> {
        use anyhow::Context as _;
        let used = self.base.saturating_add(self.memory + self.memory / MARGIN_PART);
        let limit = used.saturating_add(mapped.stacks).saturating_add(mapped.slots);
        let maximum = getrlimit(Resource::Data).maximum;
        let limit = maximum.map_or(limit, |maximum| limit.min(maximum));
        setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum }).context("cannot set RLIMIT_DATA")?;
        Ok(limit)
    }
}

#[cfg(test)]
mod tests;
