//! The processors that heavy calls share, a lane for each.
//!
//! Who runs on a lane leaves it at its next tick, some milliseconds later. One that does not is stuck in the host, in a read of
//! a dead disk, say: its lane is written off, so that the others go on, and it brings none back.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long nobody may get a lane before one of those taken is written off: many times what a healthy call keeps it for.
const LOST: Duration = Duration::from_millis(100);

/// All lanes of a host. A cheap handle.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Semaphore,
    /// When somebody last got a lane, or one was written off.
    moved: Mutex<Instant>,
    /// Lanes written off, whose calls have not come back.
    lost: AtomicUsize,
}

/// Of a call that runs. Left when it is dropped.
#[derive(Debug)]
pub struct Lane {
    lanes: Lanes,
    taken: Instant,
}

impl Default for Lanes {
    /// All processors that this process has but one; one, if that is all there is.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new((processors - 1).max(1))
    }
}

impl Lanes {
    pub fn new(count: usize) -> Self {
        let moved = Mutex::new(Instant::now());
        Self(Arc::new(Inner { free: Semaphore::new(count), moved, lost: AtomicUsize::new(0) }))
    }

    /// Waits for a lane, in turn.
    pub async fn take(&self) -> Lane {
        // Asked for once, so that nobody loses the place in the line.
        let mut turn = pin!(self.0.free.acquire());
        loop {
            match tokio::time::timeout(LOST, &mut turn).await {
                // Given back by `Lane`.
                Ok(taken) => taken.expect("the semaphore is never closed").forget(),
                Err(_) => {
                    self.write_off();
                    continue;
                }
            }
            let now = Instant::now();
            *self.moved() = now;
            return Lane { lanes: self.clone(), taken: now };
        }
    }

    /// Makes a lane for one that is stuck, if nobody has got any for long.
    fn write_off(&self) {
        let mut moved = self.moved();
        if moved.elapsed() >= LOST {
            *moved = Instant::now();
            self.0.lost.fetch_add(1, Relaxed);
            self.0.free.add_permits(1);
        }
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lanes that nobody is on.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.0.free.available_permits()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let Inner { free, lost, .. } = &*self.lanes.0;
        // As many are made as were written off, and as many are not brought back, by whomever.
        let late = self.taken.elapsed() >= LOST;
        if late && lost.fetch_update(Relaxed, Relaxed, |lost| lost.checked_sub(1)).is_ok() {
            return;
        }
        free.add_permits(1);
    }
}
