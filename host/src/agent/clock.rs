//! The time of one guest call: wall clock and CPU, both capped.
//!
//! CPU is what the thread really spent while it polled the guest, so that a guest is not billed for the time others ran.
//! Running guests are checked at every tick of the epoch; sleeping ones run no code, and end by the timer instead. The host
//! may also halt a guest from outside, which ends it in the same two ways.
//!
//! A guest that has run for a while takes turns with others of its kind at all processors but one: whoever needs little
//! finds a processor free, however many spin.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limiter::Stop;
use lanes::Lane;
pub(super) use lanes::Lanes;

/// CPU time after which a guest call is a heavy one.
const HEAVY: Duration = Duration::from_millis(4);

/// The clock of one instance, shared by whoever polls it and the epoch callback inside it.
#[derive(Debug, Clone)]
pub(super) struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cpu_max: Duration,
    wall_max: Duration,
    /// Thread CPU time when the running slice began, in nanoseconds.
    slice_began: AtomicU64,
    /// CPU time of this call so far, in nanoseconds.
    cpu_spent: AtomicU64,
    /// CPU time of all calls of the instance, in nanoseconds.
    cpu_total: AtomicU64,
    /// Why the host halts the guest, if it does.
    halted: OnceLock<Stop>,
    halt: Notify,
    lanes: Lanes,
    /// The lane that a heavy call runs on, until it yields.
    lane: Mutex<Option<Lane>>,
}

impl Clock {
    pub fn new(cpu_max: Duration, wall_max: Duration, lanes: Lanes) -> Self {
        let zero = || AtomicU64::new(0);
        let (halted, halt) = (OnceLock::new(), Notify::new());
        let (slice_began, cpu_spent, cpu_total) = (zero(), zero(), zero());
        let lane = Mutex::new(None);
        Self(Arc::new(Inner { cpu_max, wall_max, slice_began, cpu_spent, cpu_total, halted, halt, lanes, lane }))
    }

    /// CPU time of the whole instance so far.
    pub fn cpu_total(&self) -> Duration {
        Duration::from_nanos(self.0.cpu_total.load(Relaxed) + self.0.cpu_spent.load(Relaxed))
    }

    /// Runs one guest call to its end or to the first of its two deadlines. The caller drops the store afterwards.
    pub async fn bound<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        self.0.cpu_total.fetch_add(self.0.cpu_spent.swap(0, Relaxed), Relaxed);
        let mut call = pin!(call);
        let metered = poll_fn(|context| {
            self.0.slice_began.store(thread_cpu_nanos(), Relaxed);
            let polled = call.as_mut().poll(context);
            let spent = self.end_slice();
            // Whoever waits, for a turn or for the host, leaves its lane to the next.
            drop(self.lane().take());
            // A guest that yields in host calls may never meet the epoch: its CPU time is checked here as well.
            if polled.is_pending() && spent > self.0.cpu_max { Err(Stop::Cpu.into()).into() } else { polled }
        });
        let deadline = Instant::now() + self.0.wall_max;
        let timed = tokio::time::timeout_at(deadline, metered);
        tokio::select! {
            biased;
            ended = timed => ended.unwrap_or_else(|_| Err(Stop::Deadline.into())),
            () = self.0.halt.notified() => Err(self.0.halted.get().cloned().unwrap_or(Stop::Deadline).into()),
        }
    }

    /// Ends the guest for the host's own reasons: at its next tick if it runs, at once if it waits. The first reason counts.
    pub fn halt(&self, why: Stop) {
        // An error means that it was halted before.
        let _ = self.0.halted.set(why);
        self.0.halt.notify_one();
    }

    /// Whether the host has ended it.
    pub fn is_halted(&self) -> bool {
        self.0.halted.get().is_some()
    }

    /// What a running guest does at every tick: lets others go first. A heavy one waits for a lane.
    pub async fn take_turns(self) {
        // Not `Yield`: it would wake this task at once and starve the timers and sockets of its thread.
        tokio::task::yield_now().await;
        if Duration::from_nanos(self.0.cpu_spent.load(Relaxed)) < HEAVY {
            return;
        }
        let lane = self.0.lanes.take().await;
        *self.lane() = Some(lane);
    }

    fn lane(&self) -> MutexGuard<'_, Option<Lane>> {
        self.0.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the epoch callback asks at every tick.
    pub fn check(&self) -> Result<(), Stop> {
        let spent = self.end_slice();
        match self.0.halted.get() {
            Some(why) => Err(why.clone()),
            None if spent > self.0.cpu_max => Err(Stop::Cpu),
            None => Ok(()),
        }
    }

    /// Bills the slice that has run, and begins the next.
    fn end_slice(&self) -> Duration {
        let now = thread_cpu_nanos();
        let slice = now.saturating_sub(self.0.slice_began.swap(now, Relaxed));
        Duration::from_nanos(self.0.cpu_spent.fetch_add(slice, Relaxed) + slice)
    }
}

fn thread_cpu_nanos() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

mod lanes;
#[cfg(test)]
mod tests;
