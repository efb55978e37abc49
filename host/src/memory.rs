//! The memory of the process: who may hold how many bytes, how many there really are, and what is done when they run out.
//!
//! Owns the list of accounts, their ceilings and floors (design, Memory 1), the measuring and the ladder (Memory 7). Sees only
//! the ledger: holders of bytes charge accounts, and register closures that give bytes back. Never knows who they are.
//!
//! - `measure`: what the kernel counts. `allocator`: what the heap counts. `fuse`: what the kernel is told to stop.
//! - `ladder`: from bytes to a level. `relief`: who gives bytes back. `pressure`: looks, tells, and asks for relief.

pub mod allocator;
pub mod fuse;
mod ladder;
mod measure;
mod pressure;
mod relief;

use stockade_ledger::{Account, Ledger, Refusal, Spec};

pub use ladder::{Level, Thresholds};
pub(crate) use measure::read as read_kernel_file;
pub use measure::{Child, Children, ControlGroup, Measured, Meter};
pub use pressure::{Lookout, Pressure, Reading, Watch};
pub use relief::{Ease, Relief, Relieved};

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
    /// Reads what this host's memory is; nothing where it is not the host's alone.
    pub fn meter(self, memory: u64, group: Option<&ControlGroup>, children: Children) -> Option<Meter> {
        match self {
            Self::Sole => Some(Meter::new(memory, group, children)),
            Self::Shared => None,
        }
    }
}

/// Bytes that a host holds for itself now, if that can be measured.
///
/// # Errors
///
/// As [`Meter::read`].
pub fn native(meter: Option<&Meter>) -> anyhow::Result<u64> {
    meter.map_or(Ok(NATIVE_BYTES_UNMEASURED), |meter| Ok(meter.read()?.own))
}

/// Ceilings, in percent of `memory`. They sum above 100: the root never lends more than it has, so a ceiling only says
/// how much of it one kind of holder may take.
pub mod percent {
    pub const GUESTS: u64 = 70;
    pub const CODE: u64 = 25;
    pub const COMPILE: u64 = 75;
    pub const COPIES: u64 = 20;
    pub const REPLIES: u64 = 10;
    pub const CACHE: u64 = 10;
    pub const DOCUMENT: u64 = 25;
    pub const CONNECTIONS: u64 = 50;
    pub const NATIVE: u64 = 25;
    pub const OTHERS: u64 = 5;
}

/// What one of a kind is charged, in bytes, where that is the same for each: its holder charges it, `check` multiplies it.
pub mod each {
    /// An open connection: its task, hyper's buffers and the socket. Measured: 12.6 KiB idle.
    pub const CONNECTION: u64 = 13 << 10;
    /// A session: its entry in the table, and what it points to.
    pub const SESSION: u64 = 768;
    /// An agent's entry in the registry's document, every field of it written, with short texts. Not charged one by one.
    pub const ENTRY: u64 = 5 << 10;
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
    /// Uploads of publishers: their state, and the pieces that are being written.
    pub uploads: Account,
    /// Calls that wait for their turn.
    pub queues: Account,
    /// Sessions of clients, and what they are subscribed to.
    pub sessions: Account,
    /// Open streams: what their clients listen for, and what waits to be sent to them.
    pub streams: Account,
    /// Holds the process itself: its heap, and what the pool keeps in free slots. Its floor is what nobody else can borrow.
    pub native: Account,
    /// Answers of the health endpoints, which must go out when nothing else can.
    pub health: Account,
    /// Open connections of clients, idle ones included.
    pub connections: Account,
    /// Results that are kept for whoever asks next.
    pub cache: Account,
    /// The registry's document.
    pub document: Account,
    /// Those who hold bytes that the host can do without.
    pub relief: Relief,
    /// How memory stands.
    pub pressure: Pressure,
    /// Processes whose memory counts as ours.
    pub children: Children,
}

impl Accounts {
    /// Opens all accounts of a process that may use `memory` bytes, of which `lendable` are lent, and which measured
    /// `native` bytes for itself at its start. `children` are the processes it starts.
    ///
    /// # Errors
    ///
    /// When the guarantees alone do not fit.
    pub fn open(memory: u64, lendable: u64, native: u64, children: Children) -> Result<Self, Refusal> {
        let ledger = Ledger::new(lendable);
        let account = |name: &str, percent: u64, floor: u64| {
            let ceiling = share(memory, percent).max(floor);
            ledger.account(Spec { name: name.into(), ceiling, floor })
        };
        Ok(Self {
            native: account("native", percent::NATIVE, native + NATIVE_GROWTH_BYTES)?,
            requests: account("requests", percent::OTHERS, REQUESTS_FLOOR_BYTES)?,
            health: account("health", percent::OTHERS, HEALTH_FLOOR_BYTES)?,
            guests: account("guests", percent::GUESTS, 0)?,
            code: account("code", percent::CODE, 0)?,
            compile: account("compile", percent::COMPILE, 0)?,
            copies: account("copies", percent::COPIES, 0)?,
            replies: account("replies", percent::REPLIES, 0)?,
            uploads: account("uploads", percent::OTHERS, 0)?,
            queues: account("queues", percent::OTHERS, 0)?,
            sessions: account("sessions", percent::OTHERS, 0)?,
            streams: account("streams", percent::OTHERS, 0)?,
            connections: account("connections", percent::CONNECTIONS, 0)?,
            cache: account("cache", percent::CACHE, 0)?,
            document: account("document", percent::DOCUMENT, 0)?,
            relief: Relief::default(),
            pressure: Pressure::default(),
            children,
            ledger,
        })
    }
}

/// Bytes that are so many percent of `memory`.
pub fn share(memory: u64, percent: u64) -> u64 {
    memory / 100 * percent
}
