//! The allocator of the program, jemalloc: its figures, and how fast it gives pages back to the system.
//!
//! The C library's own keeps what was once used: of 800 MB freed it kept all, jemalloc with a decay of one second an
//! eighth, two seconds later. The program chooses it; where another allocator is in use, as in tests, the figures are those
//! of a jemalloc that nobody uses.

use anyhow::Context as _;
use tikv_jemalloc_ctl::{Access as _, AsName as _, background_thread, epoch, stats};

/// Time after which pages that nobody uses are given back, in milliseconds.
const DECAY_MS: isize = 1_000;

/// The decay of arenas yet to be made, and of all that there are.
const DECAYS: [&[u8]; 4] = [
    b"arenas.dirty_decay_ms\0",
    b"arenas.muzzy_decay_ms\0",
    b"arena.4096.dirty_decay_ms\0",
    b"arena.4096.muzzy_decay_ms\0",
];

/// Native memory, as the allocator counts it, in bytes. What wasmtime maps by itself (guests, code) is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// What the program has asked for and not freed.
    pub allocated: u64,
    /// What that takes, with the allocator's own tables and what it has not given back yet.
    pub resident: u64,
}

/// Has pages that nobody uses given back within a second, by a thread of the allocator's own.
///
/// # Errors
///
/// When this jemalloc cannot.
pub fn configure() -> anyhow::Result<()> {
    for name in DECAYS {
        name.name().write(DECAY_MS).map_err(anyhow::Error::msg).context("cannot set the allocator's decay")?;
    }
    background_thread::write(true).map_err(anyhow::Error::msg).context("cannot start the allocator's thread")
}

/// Gives back at once what nobody uses. Takes as long as that needs: up to 100 ms after much was freed.
pub fn return_pages() {
    for decay in [0, DECAY_MS] {
        // A jemalloc that refuses this has refused `configure` as well.
        let _ = b"arena.4096.dirty_decay_ms\0".name().write(decay);
        let _ = b"arena.4096.muzzy_decay_ms\0".name().write(decay);
    }
}

/// The figures of this moment.
///
/// # Errors
///
/// When this jemalloc has none.
pub fn figures() -> anyhow::Result<Figures> {
    let read = || {
        // They are those of the last epoch.
        epoch::advance()?;
        Ok(Figures { allocated: stats::allocated::read()? as u64, resident: stats::resident::read()? as u64 })
    };
    read().map_err(|error: tikv_jemalloc_ctl::Error| anyhow::anyhow!("the allocator has no figures: {error}"))
}
