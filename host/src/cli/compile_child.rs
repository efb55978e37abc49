//! `stockade compile-child`: the compiler, in a process of its own. Only the host runs it.

use super::Stop;
use crate::agent::{self, ChildLimits, Optimise};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Sha256 of the component, in hex
    #[arg(long)]
    digest: String,
    /// Bytes the process may allocate
    #[arg(long)]
    memory_bytes: u64,
    /// Seconds of CPU time it may take
    #[arg(long)]
    cpu_seconds: u64,
    /// Bytes it may write
    #[arg(long)]
    output_bytes: u64,
    /// How much time to spend on fast code
    #[arg(long)]
    optimise: OptimiseFor,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OptimiseFor {
    None,
    Quick,
    Speed,
}

pub(super) fn compile_child(options: &Options) -> Result<(), Stop> {
    let limits = ChildLimits {
        memory_bytes: options.memory_bytes,
        cpu_seconds: options.cpu_seconds,
        output_bytes: options.output_bytes,
    };
    let optimise = match options.optimise {
        OptimiseFor::None => Optimise::None,
        OptimiseFor::Quick => Optimise::Quick,
        OptimiseFor::Speed => Optimise::Speed,
    };
    Ok(agent::compile_child(&options.digest, limits, optimise)?)
}
