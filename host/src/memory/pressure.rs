//! Pressure: looks at memory four times a second, and answers before the kernel does.
//!
//! Owns what follows from a level of the [`Ladder`]: log lines, relief, the trap of the largest call, and what `/healthz`
//! says. A thread of its own, so that guests which keep all others busy do not keep this one from looking.

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use stockade_ledger::{Account, Charge, Ledger, Snapshot};

use super::allocator;
use super::ladder::{Ladder, Level, Thresholds};
use super::measure::{Measured, Meter};
use super::relief::{Ease, Relief, Relieved};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Time between two lines in the log while nothing happens.
const QUIET: Duration = Duration::from_secs(30);

/// Room below which the books are full: a call of the default reserve finds none.
const FULL_BYTES: u64 = 2 << 20;

/// Time between two demands that the allocator give back what it keeps; each may take 100 ms.
const RETURN_PAUSE: Duration = Duration::from_secs(2);

/// How memory stood at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    pub level: Level,
    /// Whether measured memory alone is at `maximum`: then nothing new may begin, not even what the books guarantee.
    pub refusing: bool,
    /// What the kernel counts; nothing where this process is not the host's alone.
    pub measured: Option<Measured>,
    /// What the ledger has lent or set aside, in bytes.
    pub books: u64,
    /// The most of that at this look and the one before: what was given back in between, the kernel may still count.
    pub books_lately: u64,
    /// Bytes at which nothing new begins: `pressure.maximum`.
    pub limit: u64,
    /// Native memory, as the allocator counts it.
    pub native: Option<allocator::Figures>,
    /// What free slots of the pool keep for the next call.
    pub pool: u64,
}

impl Reading {
    /// Bytes that count: the higher of what is measured and what is promised.
    pub fn used(&self) -> u64 {
        self.measured.map_or(0, |measured| measured.used).max(self.books)
    }

    /// Bytes in use that no account has lent.
    pub fn drift(&self) -> u64 {
        self.measured.map_or(0, |measured| measured.used.saturating_sub(self.books.max(self.books_lately)))
    }

    /// Bytes that are lent and not in use.
    pub fn reserved_untouched(&self) -> u64 {
        self.measured.map_or(0, |measured| self.books.saturating_sub(measured.used))
    }
}

/// The last reading, for whoever acts by it. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Pressure(Arc<Mutex<Reading>>);

impl Pressure {
    /// How memory stood at the last look.
    pub fn reading(&self) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, reading: Reading) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}

/// What the thread looks at, and whom it asks.
pub struct Lookout {
    pub memory: u64,
    pub thresholds: Thresholds,
    pub ledger: Ledger,
    pub relief: Relief,
    pub pressure: Pressure,
    /// None where the process is not the host's alone.
    pub meter: Option<Meter>,
    /// Pays for the host's own heap and for what the pool keeps in free slots.
    pub native: Account,
    /// Bytes that the pool keeps now.
    pub pool: Box<dyn Fn() -> u64 + Send>,
}

/// The running thread; it ends with this.
#[derive(Debug)]
pub struct Watch {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    /// Starts looking.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub fn start(self) -> anyhow::Result<Watch> {
        let (stop, stopped) = mpsc::sync_channel(0);
        let mut watchman = Watchman::new(self);
        let run = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
                watchman.look(Instant::now());
            }
        };
        let thread = std::thread::Builder::new().name("memory".into()).spawn(run);
        let thread = thread.context("no thread to watch memory")?;
        Ok(Watch { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has logged its panic, if that was its end.
            let _ = thread.join();
        }
    }
}

/// The thread's own state.
struct Watchman {
    of: Lookout,
    ladder: Ladder,
    /// When a line was last written that says how memory stands.
    said: Option<Instant>,
    /// When the allocator was last told to give pages back.
    returned: Option<Instant>,
    /// Whether the books were last found wrong.
    drifting: bool,
    /// Whether memory could not be measured at the last look.
    blind: bool,
    /// What nobody could be asked for before it was there: it follows what is measured.
    native: Charge,
    /// What was lent at the last look.
    books_before: u64,
}

impl Watchman {
    fn new(of: Lookout) -> Self {
        let ladder = Ladder::new(of.thresholds, of.memory);
        let native = of.native.empty();
        Self { of, ladder, said: None, returned: None, drifting: false, blind: false, native, books_before: 0 }
    }

    /// One look, and what follows from it.
    fn look(&mut self, now: Instant) {
        let (mut reading, snapshot) = self.read();
        let changed = self.ladder.step(self.standing(&reading, &snapshot));
        reading.level = self.ladder.level();
        reading.books_lately = reading.books.max(self.books_before);
        self.books_before = reading.books;
        reading.refusing = reading.measured.is_some_and(|measured| measured.used >= self.of.thresholds.maximum);
        // Before anybody is asked: what is done now must not be undone by what begins meanwhile.
        self.of.pressure.publish(reading);
        let before = reading.used();
        let gave = self.relieve(&reading, now);
        let after = if gave.is_empty() { before } else { self.read().0.used() };
        self.tell(changed, before, after, &gave, now);
        self.compare(&reading, &snapshot);
    }

    fn read(&mut self) -> (Reading, Snapshot) {
        let before = self.of.ledger.snapshot().used;
        let measured = self.of.meter.as_ref().map(Meter::read);
        let blind = matches!(measured, Some(Err(_)));
        if let Some(Err(error)) = &measured
            && !self.blind
        {
            tracing::error!(error = format!("{error:#}"), "memory cannot be measured: the books alone count");
        }
        self.blind = blind;
        let native = self.of.meter.as_ref().and_then(|_| allocator::figures().ok());
        let pool = self.of.meter.as_ref().map_or(0, |_| (self.of.pool)());
        let heap = native.map_or(0, |native| native.resident);
        self.pay(heap.saturating_sub(paid_otherwise(&self.of.ledger.snapshot())) + pool);
        let snapshot = self.of.ledger.snapshot();
        let measured = measured.and_then(Result::ok);
        let limit = self.of.thresholds.maximum;
        // What was given back while the kernel was asked may still have been measured: that is no drift.
        let books = snapshot.used.max(before);
        (Reading { measured, books, limit, native, pool, ..Reading::default() }, snapshot)
    }

    /// Lets the books know of what the host holds for itself; as much of it as there is room for.
    fn pay(&mut self, bytes: u64) {
        let held = self.native.bytes();
        if bytes < held {
            self.native.shrink(held - bytes);
        } else if self.native.grow(bytes - held).is_err() {
            let room = self.of.native.free();
            // A refusal now would mean that somebody was faster; there is a next look.
            let _ = self.native.grow(room.min(bytes - held));
        }
    }

    /// Bytes that decide about the level. Books in which no call finds room any more are at their end.
    fn standing(&self, reading: &Reading, snapshot: &Snapshot) -> u64 {
        let full = snapshot.lendable - snapshot.used < FULL_BYTES;
        if full { reading.used().max(self.of.thresholds.maximum) } else { reading.used() }
    }

    /// Asks for as much as makes the host calm again. What runs is spared below `maximum`.
    fn relieve(&mut self, reading: &Reading, now: Instant) -> Vec<Relieved> {
        if reading.level < Level::Critical {
            return Vec::new();
        }
        let excess = reading.used().saturating_sub(self.ladder.calm()).max(1);
        let mut gave = self.of.relief.ask(excess, ..=Ease::Idle);
        let freed: u64 = gave.iter().map(|gave| gave.bytes).sum();
        if self.of.meter.is_some() && self.returned.is_none_or(|at| now - at >= RETURN_PAUSE) {
            self.returned = Some(now);
            if let Err(error) = allocator::return_pages() {
                tracing::warn!("no pages are given back: {error:#}");
            }
        }
        if reading.level == Level::Maximum && freed < excess {
            // One a look: the next look sees what that was worth.
            gave.extend(self.of.relief.ask(1, Ease::Running..));
        }
        gave
    }

    /// Says how memory stands: when that has changed, and from time to time.
    fn tell(&mut self, changed: bool, before: u64, after: u64, gave: &[Relieved], now: Instant) {
        let (level, memory) = (self.ladder.level(), self.of.memory);
        let quiet = level == Level::Normal && self.said.is_none_or(|at| now - at >= QUIET);
        if !changed && !quiet {
            return;
        }
        self.said = Some(now);
        let gave: String = gave.iter().map(|Relieved { holder, bytes }| format!("{holder} {bytes} ")).collect();
        let (used, gave) = (before, gave.trim_end());
        match level {
            Level::Normal => tracing::info!(used, before, after, memory, "Memory usage normal"),
            Level::Warning => tracing::warn!(used, before, after, memory, "WARNING: High memory usage detected"),
            Level::Critical => {
                tracing::error!(used, before, after, memory, gave, "CRITICAL: Memory usage approaching maximum");
            }
            Level::Maximum => {
                tracing::error!(used, before, after, memory, gave, "CRITICAL: Memory usage at maximum threshold");
            }
        }
    }

    /// Warns once when more is in use than the books know of, by a tenth of `memory`; and takes it back.
    fn compare(&mut self, reading: &Reading, snapshot: &Snapshot) {
        let drift = reading.drift();
        let (begins, ends) = (self.of.memory / 10, self.of.memory / 20);
        if drift > begins && !self.drifting {
            self.drifting = true;
            let suspects = suspects(reading, snapshot);
            tracing::warn!(drift, books = reading.books, suspects, "more memory is in use than the books know of");
        } else if drift < ends && self.drifting {
            self.drifting = false;
            tracing::info!(drift, books = reading.books, "the books hold again");
        }
    }
}

/// Accounts whose bytes lie in the host's heap. Not `copies`, which are mostly promised and not used.
const IN_HEAP: [&str; 9] =
    ["requests", "replies", "queues", "uploads", "sessions", "streams", "connections", "cache", "health"];

/// Bytes of the heap that are paid for by those who use them.
fn paid_otherwise(snapshot: &Snapshot) -> u64 {
    let in_heap = snapshot.accounts.iter().filter(|account| IN_HEAP.contains(&&*account.name));
    in_heap.map(|account| account.used).sum()
}

/// Who may hold what the books do not know of, the likeliest first.
fn suspects(reading: &Reading, snapshot: &Snapshot) -> String {
    let mut found = Vec::new();
    let measured = reading.measured.unwrap_or_default();
    let lent =
        |name: &str| snapshot.accounts.iter().find(|account| &*account.name == name).map(|account| account.floor);
    if let (Some(native), Some(floor)) = (reading.native, lent("native"))
        && native.resident > floor
    {
        let beyond = native.resident - floor;
        found.push((
            beyond,
            format!("the host's own heap ({beyond} bytes beyond `native`, {} in use)", native.allocated),
        ));
    }
    if let Some(beyond @ 1..) = measured.used.checked_sub(measured.own) {
        found.push((beyond, format!("the control group ({beyond} bytes of the kernel or of other processes)")));
    }
    let heap = reading.native.map_or(0, |native| native.resident) + reading.pool;
    let guests: u64 = ["guests", "code", "compile"]
        .iter()
        .filter_map(|name| Some(snapshot.accounts.iter().find(|account| &*account.name == *name)?.used))
        .sum();
    if let Some(beyond @ 1..) = measured.own.checked_sub(heap + guests) {
        found.push((beyond, format!("guests' slots, stacks or code ({beyond} bytes beyond their charges)")));
    }
    found.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
