//! The accounts of the process: who may hold how many bytes.
//!
//! Owns the list of accounts, their ceilings and floors (design, Memory 1). Sees only the ledger; never knows who charges.

use stockade_ledger::{Account, Ledger, Refusal, Spec};

/// Bytes guaranteed to requests, whatever else goes on.
pub const REQUESTS_FLOOR_BYTES: u64 = 4 << 20;

/// Bytes guaranteed to health answers.
pub const HEALTH_FLOOR_BYTES: u64 = 1 << 20;

/// Bytes the process itself may grow by after its start: connections, tasks, the allocator's slack.
pub const NATIVE_GROWTH_BYTES: u64 = 16 << 20;

/// What a host takes for itself at rest, where that cannot be measured; a measured one takes about half of it.
const NATIVE_BYTES_UNMEASURED: u64 = 32 << 20;

/// Whose the memory of this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// This host's alone: what the process holds is what the host holds.
    Sole,
    /// That of several hosts, as in tests: only its books are a host's own.
    Shared,
}

impl Tenancy {
    /// Bytes that a host holds for itself now.
    ///
    /// # Errors
    ///
    /// As [`measured`].
    pub fn native(self) -> anyhow::Result<u64> {
        match self {
            Self::Sole => measured(),
            Self::Shared => Ok(NATIVE_BYTES_UNMEASURED),
        }
    }
}

/// Ceilings, in percent of `memory`. They sum above 100: the root never lends more than it has, so a ceiling only says
/// how much of it one kind of holder may take.
pub mod percent {
    pub const GUESTS: u64 = 70;
    pub const CODE: u64 = 25;
    pub const COMPILE: u64 = 75;
    pub const COPIES: u64 = 20;
    pub const REPLIES: u64 = 10;
    pub const OTHERS: u64 = 5;
}

/// Every account of the ledger. A holder of bytes takes the one it charges.
#[derive(Debug, Clone)]
pub struct Accounts {
    pub ledger: Ledger,
    /// Linear memories and tables of running guests.
    pub guests: Account,
    /// Compiled code that is mapped.
    pub code: Account,
    /// The compiling child.
    pub compile: Account,
    /// Request bodies.
    pub requests: Account,
    /// What running calls may copy out of their guests, until it is written into a reply.
    pub copies: Account,
    /// Replies that are built or sent, and chunks that wait to be.
    pub replies: Account,
    /// Calls that wait for their turn.
    pub queues: Account,
    /// Sessions of clients, and what they are subscribed to.
    pub sessions: Account,
    /// Open streams: what their clients listen for, and what waits to be sent to them.
    pub streams: Account,
    /// Holds the process itself; opened so that nobody else can borrow what it takes.
    pub native: Account,
    /// Answers of the health endpoints, which must go out when nothing else can.
    pub health: Account,
}

impl Accounts {
    /// Opens all accounts of a process that may use `memory` bytes, of which `lendable` are lent, and which measured
    /// `native` bytes for itself at its start.
    ///
    /// # Errors
    ///
    /// When the guarantees alone do not fit.
    pub fn open(memory: u64, lendable: u64, native: u64) -> Result<Self, Refusal> {
        let ledger = Ledger::new(lendable);
        let account = |name: &str, percent: u64, floor: u64| {
            let ceiling = share(memory, percent).max(floor);
            ledger.account(Spec { name: name.into(), ceiling, floor })
        };
        Ok(Self {
            native: account("native", percent::OTHERS, native + NATIVE_GROWTH_BYTES)?,
            requests: account("requests", percent::OTHERS, REQUESTS_FLOOR_BYTES)?,
            health: account("health", percent::OTHERS, HEALTH_FLOOR_BYTES)?,
            guests: account("guests", percent::GUESTS, 0)?,
            code: account("code", percent::CODE, 0)?,
            compile: account("compile", percent::COMPILE, 0)?,
            copies: account("copies", percent::COPIES, 0)?,
            replies: account("replies", percent::REPLIES, 0)?,
            queues: account("queues", percent::OTHERS, 0)?,
            sessions: account("sessions", percent::OTHERS, 0)?,
            streams: account("streams", percent::OTHERS, 0)?,
            ledger,
        })
    }
}

/// Bytes that are so many percent of `memory`.
pub fn share(memory: u64, percent: u64) -> u64 {
    memory / 100 * percent
}

/// Memory that only this process holds now, in bytes: anonymous and shared pages (`/proc/self/status`).
///
/// # Errors
///
/// When `/proc` is not there or does not say.
pub fn measured() -> anyhow::Result<u64> {
    use anyhow::Context as _;
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let kib = |key: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(key))?.trim().strip_suffix(" kB")?.parse().ok()
    };
    let pages = kib("RssAnon:").zip(kib("RssShmem:")).context("/proc/self/status has no RssAnon")?;
    Ok((pages.0 + pages.1) << 10)
}
