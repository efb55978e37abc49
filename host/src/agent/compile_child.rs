//! Compiling, from the child's side: takes limits upon itself, then a component from standard input to compiled code on
//! standard output.

use std::io::{self, Read as _, Write as _};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::cache::Digest;
use super::engine;
use super::inspect::misform;

/// What the child may use. The parent has charged the memory already.
#[derive(Debug, Clone, Copy)]
pub struct ChildLimits {
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub output_bytes: u64,
}

/// How much time to spend on fast code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimise {
    Speed,
    /// None of it, but for registers.
    None,
    /// As little as can be, by several threads.
    Quick,
}

/// Runs in a process of its own, and ends with it. Errors are for the parent to pass on.
///
/// # Errors
///
/// When what comes in does not have this sha256, or is not a component that this host can run.
pub fn compile_child(digest: &str, limits: ChildLimits, optimise: Optimise) -> anyhow::Result<()> {
    restrict(limits, optimise)?;
    let mut component = Vec::new();
    io::stdin().lock().take(limits.memory_bytes).read_to_end(&mut component).context("cannot read the component")?;
    anyhow::ensure!(Digest::of(&component).0 == digest, "the file changed while it was read");
    let engine = engine::for_compiling(optimise)?;
    if wasmtime::Engine::detect_precompiled(&component).is_some() {
        anyhow::bail!("this is compiled code, not a component; publish the .wasm file it was made from");
    }
    if let Some(misform) = misform(&component) {
        anyhow::bail!(misform);
    }
    let compiled = engine.precompile_component(&component).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    io::stdout().lock().write_all(&compiled).context("cannot write the compiled code")?;
    Ok(())
}

/// From here on nothing can be allocated, computed or written beyond the limits; and if the kernel must end somebody, it
/// is to be this process, never the host.
fn restrict(limits: ChildLimits, optimise: Optimise) -> anyhow::Result<()> {
    let set = |resource, bytes| {
        setrlimit(resource, Rlimit { current: Some(bytes), maximum: Some(bytes) })
            .context("cannot set a resource limit")
    };
    set(Resource::Core, 0)?;
    set(Resource::Data, limits.memory_bytes)?;
    set(Resource::Fsize, limits.output_bytes)?;
    // One second more before the kernel's SIGKILL, so that SIGXCPU is what the parent sees.
    let cpu = Rlimit { current: Some(limits.cpu_seconds), maximum: Some(limits.cpu_seconds + 1) };
    setrlimit(Resource::Cpu, cpu).context("cannot set a limit on CPU time")?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot tie the child to its parent")?;
    std::fs::write("/proc/self/oom_score_adj", "1000").context("cannot offer the child to the kernel")?;
    if optimise == Optimise::Speed {
        // Nobody waits for it who could not wait longer; who waits for quick code waits for a version to go live.
        rustix::process::nice(10).context("cannot lower the child's priority")?;
    }
    Ok(())
}
