//! Compiling, from the host's side: a child process per component, one at a time.
//!
//! Owns the child: what memory, CPU time and disk it may use, and what its death means. The host never runs the compiler
//! itself, because a small component can cost it minutes and gigabytes; here that costs the child its life.

use std::fs::File;
use std::io::Seek as _;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use stockade_ledger::{Account, Charge, Refusal, RefusalKind};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, watch};

use super::cache::{Cache, Code, Digest};
use crate::manifest::CompileLimits;
use crate::memory::{Accounts, Children};

/// What the compiler needs whatever it compiles, and per byte of component: below this it need not begin.
const NEEDED_BASE_BYTES: u64 = 16 << 20;
const NEEDED_PER_BYTE: u64 = 12;

/// What it is given if there is that much. Measured: 13 to 35 times the component, and 92 MiB for one function of 230 KiB; more by
/// half for quick code whose compiler may keep what it has freed, and is faster by a third for that.
const WANTED_BASE_BYTES: u64 = 256 << 20;
const WANTED_PER_BYTE: u64 = 40;

/// Threads that make quick code.
const THREADS_MAX: usize = 4;

/// What has the child's allocator keep nothing that was freed: with it, an interpreter of 12 MB takes 360 MB, and 500 without.
const THRIFTY: &str = "dirty_decay_ms:0,muzzy_decay_ms:0,retain:false";

/// Bytes of the child's complaint that are kept.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// Wall clock of the child, as a multiple of its CPU time: other processes may need the processor too.
const PATIENCE: u32 = 4;

/// Starts compiling children.
#[derive(Debug)]
pub(super) struct Compiler {
    /// The `stockade` executable.
    program: PathBuf,
    limits: CompileLimits,
    account: Account,
    /// Where the child is counted.
    children: Children,
    one_at_a_time: Semaphore,
    /// How many want to be compiled whom somebody waits for.
    urgent: watch::Sender<usize>,
}

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    #[error(
        "compiling needs {needed} bytes of memory and {free} are free; raise `memory`, or run `stockade check \
         --precompile` while the host is stopped"
    )]
    NoMemory { needed: u64, free: u64, kind: RefusalKind },
    #[error("not a component that can run here: {0}")]
    Invalid(String),
    #[error("the compiler was stopped: more than {} s of CPU time (`compile.cpu`)", .0.as_secs())]
    Cpu(Duration),
    #[error("the compiler was stopped: not done after {} s, on a busy machine", .0.as_secs())]
    Patience(Duration),
    #[error("the compiler was stopped: more than the {0} bytes of memory it was given (`compile.memory`)")]
    Memory(u64),
    #[error("the compiler was stopped: more than {0} bytes of compiled code (`compile.output`)")]
    Output(u64),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Compiler {
    pub fn new(program: PathBuf, limits: CompileLimits, accounts: &Accounts) -> Self {
        let (account, children) = (accounts.compile.clone(), accounts.children.clone());
        Self { program, limits, account, children, one_at_a_time: Semaphore::new(1), urgent: watch::Sender::new(0) }
    }

    /// Compiles the component in `file`, whose bytes have this digest, into `cache`, so that it is at least this good: for
    /// somebody who waits for it. Waits for its turn; dropping the future kills the child.
    pub async fn compile(&self, cache: &Cache, digest: &Digest, file: &File, code: Code) -> Result<(), CompileError> {
        let _urgent = Urgent::new(&self.urgent);
        self.in_turn(cache, (digest, code), file, || true).await
    }

    /// The same for nobody who waits: steps back whenever somebody does, and begins anew after that. Does nothing if it is not
    /// `wanted` any more when its turn comes.
    pub async fn compile_idly(
        &self,
        cache: &Cache,
        digest: &Digest,
        file: &File,
        wanted: impl Fn() -> bool,
    ) -> Result<(), CompileError> {
        let (mut calm, mut hurry) = (self.urgent.subscribe(), self.urgent.subscribe());
        loop {
            calm.wait_for(|urgent| *urgent == 0).await.context("the host is stopping")?;
            tokio::select! {
                biased;
                compiled = self.in_turn(cache, (digest, Code::Fast), file, &wanted) => return compiled,
                _ = hurry.wait_for(|urgent| *urgent > 0) => {}
            }
        }
    }

    /// Waits until nobody waits for the compiler.
    pub async fn until_calm(&self) -> Result<(), CompileError> {
        let mut calm = self.urgent.subscribe();
        calm.wait_for(|urgent| *urgent == 0).await.context("the host is stopping")?;
        Ok(())
    }

    async fn in_turn(
        &self,
        cache: &Cache,
        (digest, code): (&Digest, Code),
        file: &File,
        wanted: impl Fn() -> bool,
    ) -> Result<(), CompileError> {
        let _turn = self.one_at_a_time.acquire().await.context("the host is stopping")?;
        // Another agent of the same component may have been here before.
        if !wanted() || cache.size(digest, code)?.is_some() {
            return Ok(());
        }
        let bytes = file.metadata().context("cannot look at the component")?.len();
        let memory = self.reserve(bytes)?;
        let started = std::time::Instant::now();
        let attempt = |optimise| self.attempt(cache, (digest, code), file, &memory, optimise);
        let outcome = match code {
            Code::Quick => attempt("quick").await,
            // What takes for ever to optimise may well be quick to translate; it will only run slower.
            Code::Fast => match attempt("speed").await {
                Err(CompileError::Cpu(_)) => attempt("none").await,
                other => other,
            },
        };
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(digest = &digest.0[..12], bytes, ?code, seconds, ok = outcome.is_ok(), "compiled");
        outcome
    }

    /// As much memory as is sensible for a component of this size, and there; at least what it cannot do without.
    fn reserve(&self, component_bytes: u64) -> Result<Charge, CompileError> {
        let needed = NEEDED_BASE_BYTES + component_bytes * NEEDED_PER_BYTE;
        let wanted = wanted(component_bytes).min(self.limits.memory).max(needed);
        let free = self.account.free().min(self.limits.memory);
        if needed > self.limits.memory {
            return Err(CompileError::NoMemory { needed, free, kind: RefusalKind::Never });
        }
        let too_little = |refusal: Refusal| CompileError::NoMemory { needed, free, kind: refusal.kind };
        if free < needed {
            drop(self.account.charge(needed).map_err(too_little)?);
        }
        // A quarter stays for the calls of agents that are loaded.
        let given = wanted.min(free - free / 4).max(needed);
        self.account.charge(given).map_err(too_little)
    }

    async fn attempt(
        &self,
        cache: &Cache,
        (digest, code): (&Digest, Code),
        file: &File,
        memory: &Charge,
        optimise: &str,
    ) -> Result<(), CompileError> {
        let draft = cache.draft(digest, code)?;
        let mut input = file.try_clone().context("cannot hand the component to the compiler")?;
        input.rewind().context("cannot rewind the component")?;
        let output = draft.file.try_clone().context("cannot hand a file to the compiler")?.into_std();
        let bytes = file.metadata().context("cannot look at the component")?.len();
        let is_roomy = code == Code::Quick && memory.bytes() >= wanted(bytes);
        let mut child = self
            .command(digest, memory.bytes(), optimise, is_roomy)
            .stdin(input)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start the compiler {}", self.program.display()))?;
        let _counted = child.id().map(|id| self.children.add(id));
        let patience = self.limits.cpu * PATIENCE + Duration::from_secs(5);
        let (status, complaint) = tokio::time::timeout(patience, finish(&mut child))
            .await
            .map_err(|_| CompileError::Patience(patience))??;
        if !status.success() {
            return Err(self.why_died(status, complaint, memory.bytes()));
        }
        Ok(draft.keep()?)
    }

    fn command(&self, digest: &Digest, memory_bytes: u64, optimise: &str, is_roomy: bool) -> Command {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut command = Command::new(&self.program);
        command
            .arg("compile-child")
            .args(["--digest", &digest.0])
            .args(["--memory-bytes", &memory_bytes.to_string()])
            .args(["--cpu-seconds", &self.limits.cpu.as_secs().max(1).to_string()])
            .args(["--output-bytes", &self.limits.output.to_string()])
            .args(["--optimise", optimise])
            .env_clear()
            // Each holds what it works at, and others want to be served meanwhile.
            .env("RAYON_NUM_THREADS", THREADS_MAX.min(threads).to_string())
            .envs((!is_roomy).then_some(("_RJEM_MALLOC_CONF", THRIFTY)))
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn why_died(&self, status: ExitStatus, complaint: String, memory_bytes: u64) -> CompileError {
        use rustix::process::Signal;
        let killed_by = status.signal().and_then(Signal::from_named_raw);
        match killed_by {
            Some(Signal::XCPU) => CompileError::Cpu(self.limits.cpu),
            Some(Signal::XFSZ) => CompileError::Output(self.limits.output),
            // Out of memory ends in an abort; SIGKILL comes from the kernel, which picks this child first.
            Some(Signal::ABORT | Signal::KILL | Signal::SEGV | Signal::BUS) => CompileError::Memory(memory_bytes),
            _ if complaint.is_empty() => CompileError::Invalid(format!("the compiler ended with {status}")),
            _ => CompileError::Invalid(complaint),
        }
    }
}

fn wanted(component_bytes: u64) -> u64 {
    WANTED_BASE_BYTES + component_bytes * WANTED_PER_BYTE
}

/// One whom somebody waits for, until it is dropped.
struct Urgent<'a>(&'a watch::Sender<usize>);

impl<'a> Urgent<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Urgent<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

async fn finish(child: &mut Child) -> anyhow::Result<(ExitStatus, String)> {
    let mut complaint = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // The rest of a longer complaint finds no reader, and the child its end.
        stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint).await?;
    }
    let status = child.wait().await?;
    Ok((status, String::from_utf8_lossy(&complaint).trim().to_owned()))
}

#[cfg(test)]
mod tests;
