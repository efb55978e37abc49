//! Calls that hold more than their reserve: the first to go when the host runs out of memory.
//!
//! Owns the list of them. A call enters it with its first byte beyond the reserve, so that all others pay nothing for it,
//! and leaves it with its last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use super::limiter::Stop;

/// All of them. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Large(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    next: u64,
    calls: HashMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    beyond: Arc<AtomicU64>,
    clock: Clock,
}

/// A call's place in the list, until it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    all: Large,
    key: u64,
    beyond: Arc<AtomicU64>,
}

impl Large {
    /// Enters a call that is so far beyond its reserve, and which `clock` can end.
    pub fn enter(&self, clock: &Clock, beyond: u64) -> Listed {
        let beyond = Arc::new(AtomicU64::new(beyond));
        let mut list = self.lock();
        let key = list.next;
        list.next += 1;
        list.calls.insert(key, Call { beyond: beyond.clone(), clock: clock.clone() });
        Listed { all: self.clone(), key, beyond }
    }

    /// Ends the call that is furthest beyond its reserve, and says how far that was: 0 when there is none.
    pub fn stop_largest(&self) -> u64 {
        let list = self.lock();
        let running = list.calls.values().filter(|call| !call.clock.is_halted());
        let Some(largest) = running.max_by_key(|call| call.beyond.load(Relaxed)) else { return 0 };
        let beyond = largest.beyond.load(Relaxed);
        largest.clock.halt(Stop::Pressure { beyond });
        beyond
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    /// Says how far beyond its reserve the call is now, in bytes.
    pub fn set(&self, beyond: u64) {
        self.beyond.store(beyond, Relaxed);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.all.lock().calls.remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
