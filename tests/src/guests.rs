//! Hostile guests: what each does, and what it must end in.
//!
//! Those that Rust can express are the tools and resources of one component, `tests/guests`. The others are made here, byte
//! by byte: an agent in WAT that keeps the contract but for the one thing that is its point, or a file that is no
//! agent at all. [`ALL`] lists every one of both kinds, so that a test that walks it leaves none out.

mod agent;
mod bombs;
mod cases;
mod contract;
mod image;
mod lies;
mod memory;
mod misfits;
mod time;

#[cfg(test)]
mod tests;

pub use cases::ALL;

/// One attack on the host.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub source: Source,
    pub act: Act,
    pub end: End,
}

/// Where the component comes from.
#[derive(Debug)]
pub enum Source {
    /// The crate `guests`, built for `wasm32-wasip2`.
    Built,
    /// Made when asked for: a component, or a file that claims to be one.
    Made(fn() -> Vec<u8>),
}

/// What a client does to set it off.
#[derive(Debug)]
pub enum Act {
    /// Nothing: it strikes when the agent is loaded.
    Load,
    /// Calls this tool, without arguments.
    Call(&'static str),
    /// Reads this resource.
    Read(&'static str),
    /// Lists resources from this cursor of the agent's.
    List(&'static str),
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A result: the host has nothing to fear from it.
    Served,
    /// The client hears that this limit was met, by its name in `limit`.
    Stopped(&'static str),
    /// The client hears that its time was over: CPU time or, on a busy machine, wall clock first.
    OutOfTime,
    /// The client hears that the agent broke the contract.
    Broken,
    /// The client hears that the resource is longer than any may be.
    TooLarge,
    /// The reply has begun, and breaks off so that nobody can take it for a whole one.
    BrokenOff,
    /// The agent itself says no: `invalid-input`.
    Answered,
    /// There is no such agent, and the reason contains this word, in upper or lower case.
    NotLoaded(&'static str),
}

/// The case of this name.
///
/// # Panics
///
/// When there is none, which is a mistake in a test.
pub fn case(name: &str) -> &'static Case {
    ALL.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no hostile guest is called {name}"))
}
