//! Counts what one call holds: all linear memories and tables of its store, against one cap.
//!
//! Owns the charge for growth beyond the call's reserve. Never lets a failed growth stay in the books, and never answers
//! "no" quietly: a refused growth traps, so that it cannot look like a panic of the guest.

use stockade_ledger::{Charge, Refusal, RefusalKind};
use wasmtime::ResourceLimiter;

use super::clock::Clock;
use super::engine::TABLE_ELEMENTS_MAX;
use super::large::{Large, Listed};
use crate::memory::{Ease, Relief};

/// Bytes one table element takes in the pool.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// Why the host stopped a guest. Travels through wasmtime as the cause of the trap.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Stop {
    #[error("memory cap of {cap} bytes: {used} used, {wanted} more wanted")]
    Memory { cap: u64, used: u64, wanted: u64 },
    #[error("table of more than {cap} elements: {used} there, {wanted} wanted")]
    Table { cap: u64, used: u64, wanted: u64 },
    #[error(transparent)]
    HostFull(#[from] Refusal),
    #[error("CPU time of one call is over")]
    Cpu,
    #[error("time of one call is over")]
    Deadline,
    #[error("more than {cap} bytes of output")]
    Output { cap: u64, used: u64 },
    #[error("the system refused {wanted} bytes: {reason}")]
    System { used: u64, wanted: u64, reason: String },
    #[error("the host is out of memory, and this call was the furthest beyond its reserve: by {beyond} bytes")]
    Pressure { beyond: u64 },
}

/// The books of one store.
#[derive(Debug)]
pub(super) struct Limiter {
    cap: u64,
    reserve: u64,
    used: u64,
    peak: u64,
    /// What is held beyond the reserve.
    growth: Growth,
    /// The last growth granted, until wasmtime says that it failed after all.
    pending: u64,
}

/// What a call holds beyond its reserve, and what that makes of it.
#[derive(Debug)]
pub(super) struct Growth {
    /// On the account that pays for it; empty at first.
    pub charge: Charge,
    /// Where it is entered with its first byte.
    pub large: Large,
    pub listed: Option<Listed>,
    /// Ends the call, if the host must.
    pub clock: Clock,
    /// Who is asked before growth is refused for want of room.
    pub relief: Relief,
}

impl Growth {
    fn grow(&mut self, more: u64) -> Result<(), Refusal> {
        let grown = self.charge.grow(more).or_else(|refusal| {
            // Not for code: who wants more than there is must not have the agents of others loaded anew for it.
            let others_can_help = refusal.is_by_root() && refusal.kind == RefusalKind::FullNow;
            if !others_can_help || self.relief.ask(more, ..=Ease::Cache).is_empty() {
                return Err(refusal);
            }
            self.charge.grow(more)
        });
        self.tell();
        grown
    }

    fn shrink(&mut self, to: u64) {
        self.charge.shrink(self.charge.bytes() - to);
        self.tell();
    }

    /// Keeps the list of large calls right.
    fn tell(&mut self) {
        match self.charge.bytes() {
            0 => self.listed = None,
            beyond => self.listed.get_or_insert_with(|| self.large.enter(&self.clock, beyond)).set(beyond),
        }
    }
}

impl Limiter {
    pub fn new(cap: u64, reserve: u64, growth: Growth) -> Self {
        Self { cap, reserve, used: 0, peak: 0, growth, pending: 0 }
    }

    /// Most bytes held at once.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    fn fits(&self, bytes: u64) -> Result<(), Stop> {
        if self.used.saturating_add(bytes) > self.cap {
            return Err(Stop::Memory { cap: self.cap, used: self.used, wanted: bytes });
        }
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> Result<(), Stop> {
        let total = self.used + bytes;
        let beyond = total.saturating_sub(self.reserve);
        if let Some(more @ 1..) = beyond.checked_sub(self.growth.charge.bytes()) {
            self.growth.grow(more)?;
        }
        self.used = total;
        self.peak = self.peak.max(total);
        self.pending = bytes;
        Ok(())
    }

    fn give_back(&mut self) {
        self.used -= std::mem::take(&mut self.pending);
        let beyond = self.used.saturating_sub(self.reserve);
        self.growth.shrink(beyond);
    }

    fn failed(&mut self, error: &wasmtime::Error) -> wasmtime::Error {
        let wanted = self.pending;
        self.give_back();
        Stop::System { used: self.used, wanted, reason: error.to_string() }.into()
    }
}

impl ResourceLimiter for Limiter {
    /// Called for initial memories too. Our caps come before the `maximum`, which is the module's own or the pool's: beyond
    /// it alone the guest is told a plain -1, as it expects.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.pending = 0;
        let bytes = (desired - current) as u64;
        self.fits(bytes)?;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.take(bytes)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.pending == 0 {
            return Ok(()); // refused above, so nothing was taken
        }
        Err(self.failed(&error))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.pending = 0;
        if desired > TABLE_ELEMENTS_MAX {
            let (used, wanted) = (current as u64, (desired - current) as u64);
            return Err(Stop::Table { cap: TABLE_ELEMENTS_MAX as u64, used, wanted }.into());
        }
        let bytes = (desired - current) as u64 * TABLE_ELEMENT_BYTES;
        self.fits(bytes)?;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.take(bytes)?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.pending == 0 {
            return Ok(());
        }
        Err(self.failed(&error))
    }
}

#[cfg(test)]
mod tests;
