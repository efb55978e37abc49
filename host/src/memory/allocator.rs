//! The allocator of the program, jemalloc: its figures, and how fast it gives pages back to the system.
//!
//! The C library's own keeps what was once used: of 800 MB freed it kept all, jemalloc with a decay of one second an
//! eighth, two seconds later. The program chooses it; where another allocator is in use, as in tests, the figures are those
//! of a jemalloc that nobody uses.

use anyhow::Context as _;
use tikv_jemalloc_ctl::{Access as _, AsName as _, arenas, background_thread, epoch, stats};

/// Time after which pages that nobody uses are given back, in milliseconds.
const DECAY_MS: isize = 1_000;

/// The kinds of pages that nobody uses.
const PAGES: [&str; 2] = ["dirty", "muzzy"];

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
    for pages in PAGES {
        // Of arenas yet to be made.
        let name = format!("arenas.{pages}_decay_ms\0");
        name.as_bytes()
            .name()
            .write(DECAY_MS)
            .map_err(anyhow::Error::msg)
            .context("cannot set the allocator's decay")?;
    }
    decay_all(DECAY_MS)?;
    background_thread::write(true).map_err(anyhow::Error::msg).context("cannot start the allocator's thread")
}

/// Gives back at once what nobody uses. Takes as long as that needs: up to 100 ms after much was freed.
///
/// # Errors
///
/// When this jemalloc cannot.
pub fn return_pages() -> anyhow::Result<()> {
    // A decay of nothing is a purge.
    decay_all(0)?;
    decay_all(DECAY_MS)
}

/// Sets the decay of every arena, one by one: the number that stands for all of them is good for purging alone, which
/// cannot be asked for without unsafe code.
fn decay_all(ms: isize) -> anyhow::Result<()> {
    let arenas = arenas::narenas::read().map_err(anyhow::Error::msg).context("the allocator has no arenas")?;
    for (arena, pages) in (0..arenas).flat_map(|arena| PAGES.map(|pages| (arena, pages))) {
        // An arena that nobody has used yet is not there, and says so.
        let _ = format!("arena.{arena}.{pages}_decay_ms\0").as_bytes().name().write(ms);
    }
    Ok(())
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
