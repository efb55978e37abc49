//! Components that are loaded, ready to be instantiated.
//!
//! Owns the engine, the linker and the compiled code in memory: what the account `code` lends, and not more than
//! `compile.loaded` components that nobody uses. The least recently used leaves first; one in use stays until its last call
//! has ended. A component is loaded once, for all agents that run it.

mod better;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use stockade_ledger::{Account, Charge, RefusalKind, Spec};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::cache::{Cache, Code, Digest};
use super::clock::Lanes;
use super::compile::{CompileError, Compiler};
use super::contract::exports::stockade::agent::{completion, describe, prompts, resources, tools};
use super::contract::stockade::agent::{host, types};
use super::engine::{self, GUEST_STACK_BYTES, Lateness, Pool};
use super::fit::{self, Misfit};
use super::inspect::{self, Anatomy};
use super::release::Release;
use super::state::State;
use crate::manifest::CompileLimits;
use crate::memory::Accounts;
pub(super) use better::Hold;

/// What a loaded component is charged: a fixed part, and this share of its file. The rest of the file is clean mapped
/// pages, which the kernel takes back when it needs them. Measured: 45 KiB of 183, 1.9 MiB of 34.
const CODE_BASE_BYTES: u64 = 64 << 10;
const CODE_SHARE: u64 = 8;

/// The part of what is there for code that descriptions may take: those of agents that are served cannot be given back.
const DESCRIPTIONS_SHARE: u64 = 4;

/// How often code is compiled that is gone before it can be used.
const COMPILE_TRIES: u32 = 3;

/// The shelf of loaded components.
pub(super) struct Shelf {
    engine: Engine,
    /// How late running guests are interrupted.
    pub lateness: Lateness,
    lanes: Lanes,
    linker: Linker<State>,
    cache: Cache,
    compiler: Compiler,
    code: Account,
    /// What agents say of themselves, a part of that.
    descriptions: Account,
    limits: CompileLimits,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    by_digest: HashMap<Arc<Digest>, Slot>,
    uses: u64,
    /// Digests of which better code is being made, and by which use of the shelf.
    improving: BTreeMap<String, u64>,
    /// Components that somebody holds, and how often.
    held: HashMap<Digest, usize>,
}

struct Slot {
    loaded: Arc<Loaded>,
    used_at: u64,
}

/// A component that can be instantiated, and where its exports are. An absent interface is `None`.
pub(super) struct Loaded {
    pub pre: InstancePre<State>,
    pub describe: describe::GuestIndices,
    pub resources: Option<resources::GuestIndices>,
    pub tools: Option<tools::GuestIndices>,
    pub prompts: Option<prompts::GuestIndices>,
    pub completion: Option<completion::GuestIndices>,
    pub digest: Arc<Digest>,
    code: Code,
    /// Bytes of linear memory it declares: its largest memory, times how many it has.
    pub initial_memory: u64,
    /// What heavy calls of all agents run on.
    pub lanes: Lanes,
    /// After `pre`, so that the code is unmapped before it is given back to the books.
    charge: Charge,
}

/// Why a component is not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("{0}")]
    Misfit(Misfit),
    #[error("it does not fit this host: {0}")]
    Unlinkable(String),
    #[error("no room for its code: {0}")]
    NoRoom(stockade_ledger::Refusal),
    #[error("the component has {bytes} bytes; `compile.component` allows {max}")]
    TooLarge { bytes: u64, max: u64 },
    #[error("cannot read {path}: {reason}")]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("{path} is not what it was when it was loaded; restart the host to serve it as it is now")]
    Changed { path: PathBuf },
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl LoadError {
    /// Whether it is the host that is too busy or full.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Compile(CompileError::Patience(_))) || self.full_now().is_some()
    }

    /// What is too full now, if that is all: trying again may help.
    pub fn full_now(&self) -> Option<[u64; 3]> {
        match self {
            Self::NoRoom(refusal) => Some([refusal.limit, refusal.used, refusal.wanted]),
            Self::Compile(CompileError::NoMemory { needed, free, kind: RefusalKind::FullNow }) => {
                Some([*free, 0, *needed])
            }
            _ => None,
        }
    }
}

impl Shelf {
    /// # Errors
    ///
    /// When the pool's address space cannot be had, or the data directory cannot be written.
    pub fn new(
        pool: Pool,
        data: &Path,
        limits: CompileLimits,
        program: PathBuf,
        accounts: &Accounts,
    ) -> anyhow::Result<Self> {
        let (engine, lateness) = engine::for_running(pool)?;
        let linker = linker(&engine)?;
        let cache = Cache::open(data, &engine)?;
        let compiler = Compiler::new(program, limits, accounts);
        let code = accounts.code.clone();
        let own = Spec { name: "descriptions".into(), ceiling: code.ceiling() / DESCRIPTIONS_SHARE, floor: 0 };
        let (descriptions, lanes, slots) = (code.child(own), Lanes::default(), Mutex::default());
        Ok(Self { engine, lateness, lanes, linker, cache, compiler, code, descriptions, limits, slots })
    }

    /// A loaded component with code that is at least this good, which this marks as used.
    pub fn get(&self, digest: &Digest, least: Code) -> Option<Arc<Loaded>> {
        let mut slots = self.lock();
        slots.uses += 1;
        let now = slots.uses;
        let slot = slots.by_digest.get_mut(digest).filter(|slot| slot.loaded.code >= least)?;
        slot.used_at = now;
        Some(slot.loaded.clone())
    }

    /// Whether a component's compiled code lies in the cache.
    pub fn is_compiled(&self, digest: &str) -> bool {
        self.cache.size(&Digest(digest.to_owned()), Code::Quick).is_ok_and(|size| size.is_some())
    }

    /// Loads a release, compiling it first if that was never done. `known` is what was loaded before, which nothing may take
    /// the place of.
    pub async fn fetch(self: &Arc<Self>, release: &Release, known: Option<&Digest>) -> Result<Arc<Loaded>, LoadError> {
        let known = known.or(release.digest.as_ref());
        let (digest, size) = self.compiled(release, known).await?;
        // Another agent may run the same.
        let loaded = match self.get(&digest, release.least()) {
            Some(loaded) => loaded,
            None => {
                let charge = self.make_room(CODE_BASE_BYTES + size / CODE_SHARE)?;
                let (component, code) = self.map(release, &digest).await?;
                self.put(self.link(&component, (digest, code), charge)?)
            }
        };
        if loaded.code == Code::Quick {
            self.improve(release, &loaded.digest);
        }
        Ok(loaded)
    }

    /// Puts a component where its callers find it, unless somebody else has just put one there that is as good. Answers with
    /// what lies there now.
    fn put(&self, loaded: Loaded) -> Arc<Loaded> {
        let loaded = Arc::new(loaded);
        let mut slots = self.lock();
        slots.uses += 1;
        let used_at = slots.uses;
        if let Some(there) = slots.by_digest.get(&loaded.digest).filter(|there| there.loaded.code >= loaded.code) {
            return there.loaded.clone();
        }
        let slot = Slot { loaded: loaded.clone(), used_at };
        let before = slots.by_digest.insert(loaded.digest.clone(), slot);
        // Outside the lock: unmapping takes its time.
        drop(slots);
        drop(before);
        loaded
    }

    /// What a component is made of, without putting it on the shelf.
    pub async fn anatomy(&self, release: &Release) -> Result<Anatomy, LoadError> {
        let (digest, size) = self.compiled(release, None).await?;
        let _charge = self.make_room(CODE_BASE_BYTES + size / CODE_SHARE)?;
        let (component, _) = self.map(release, &digest).await?;
        Ok(inspect::anatomy(&self.engine, &component))
    }

    /// Maps compiled code. What cannot be mapped is damaged, or of a compiler that was exchanged under us: it is made anew,
    /// once.
    async fn map(&self, release: &Release, digest: &Digest) -> Result<(Component, Code), LoadError> {
        match self.cache.map(&self.engine, digest) {
            Ok(Some(found)) => return Ok(found),
            // Somebody who had it has gone since it was looked for.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    digest = &digest.0[..12],
                    error = format!("{error:#}"),
                    "compiled code cannot be mapped"
                );
                self.cache.remove(digest)?;
            }
        }
        self.compiled(release, Some(digest)).await?;
        let mapped = self.cache.map(&self.engine, digest);
        let component = mapped.map_err(|error| LoadError::Unlinkable(format!("{error:#}")))?;
        Ok(component.context("the compiled code vanished")?)
    }

    /// Sees to it that compiled code lies in the cache: whose, and how large it is.
    async fn compiled(&self, release: &Release, known: Option<&Digest>) -> Result<(Digest, u64), LoadError> {
        let least = release.least();
        if let Some(digest) = known
            && let Some(size) = self.cache.size(digest, least)?
        {
            return Ok((digest.clone(), size));
        }
        let (file, digest) = self.identify(&release.component).await?;
        if known.is_some_and(|known| *known != digest) {
            return Err(LoadError::Changed { path: release.component.clone() });
        }
        if let Some(size) = self.cache.size(&digest, least)? {
            return Ok((digest, size));
        }
        for _ in 0..COMPILE_TRIES {
            self.compiler.compile(&self.cache, &digest, &file, least).await?;
            if let Some(size) = self.cache.size(&digest, least)? {
                return Ok((digest, size));
            }
            // Whoever had the same component before has just been told that nobody wants it.
        }
        Err(anyhow::anyhow!("the compiled code vanished").into())
    }

    /// Opens and hashes a component, away from the threads that serve.
    async fn identify(&self, path: &Path) -> Result<(File, Digest), LoadError> {
        let (path, max) = (path.to_owned(), self.limits.component);
        let identify = move || {
            let unreadable = |reason| LoadError::Unreadable { path: path.clone(), reason };
            let mut file = File::open(&path).map_err(unreadable)?;
            let bytes = file.metadata().map_err(unreadable)?.len();
            if bytes > max {
                return Err(LoadError::TooLarge { bytes, max });
            }
            let digest = Digest::of_file(&mut file).map_err(unreadable)?;
            Ok((file, digest))
        };
        tokio::task::spawn_blocking(identify).await.context("the host is stopping")?
    }

    fn link(&self, component: &Component, (digest, code): (Digest, Code), charge: Charge) -> Result<Loaded, LoadError> {
        fit::check(&self.engine, component).map_err(LoadError::Misfit)?;
        let unlinkable = |error: wasmtime::Error| LoadError::Unlinkable(format!("{error:#}"));
        let pre = self.linker.instantiate_pre(component).map_err(unlinkable)?;
        let initial_memory = inspect::initial_memory(component);
        Ok(Loaded {
            describe: describe::GuestIndices::new(&pre).map_err(unlinkable)?,
            resources: resources::GuestIndices::new(&pre).ok(),
            tools: tools::GuestIndices::new(&pre).ok(),
            prompts: prompts::GuestIndices::new(&pre).ok(),
            completion: completion::GuestIndices::new(&pre).ok(),
            pre,
            digest: Arc::new(digest),
            code,
            initial_memory,
            lanes: self.lanes.clone(),
            charge,
        })
    }

    /// Charges code, and takes the least recently used components off the shelf until there is room. Those in use may be
    /// more than `compile.loaded`: what they all may take together is the account's business.
    fn make_room(&self, bytes: u64) -> Result<Charge, LoadError> {
        loop {
            let crowded = self.lock().by_digest.len() >= self.limits.loaded as usize;
            let charged = self.code.charge(bytes);
            if charged.is_ok() && !crowded {
                return charged.map_err(LoadError::NoRoom);
            }
            // Dropped here, outside the lock: unmapping takes its time.
            match self.take_oldest() {
                Some(evicted) => tracing::debug!(digest = &evicted.digest.0[..12], "component unloaded to make room"),
                None => return charged.map_err(LoadError::NoRoom),
            }
        }
    }

    /// Bytes that free slots of the pool keep for the next call: memories, tables, and of stacks the most that calls can
    /// have touched. What they did touch stays: to give it back after each call would cost a tenth of it.
    pub fn kept_by_pool(&self) -> u64 {
        let Some(metrics) = self.engine.pooling_allocator_metrics() else { return 0 };
        let stacks = metrics.unused_warm_stacks() as usize * GUEST_STACK_BYTES;
        (metrics.unused_memory_bytes_resident() + metrics.unused_table_bytes_resident() + stacks) as u64
    }

    /// Takes components that nobody runs off the shelf, the least recently used first, until so many bytes are given back;
    /// says how many were. They are loaded again when they are called.
    pub fn give_back(&self, bytes: u64) -> u64 {
        let mut gave = 0;
        while gave < bytes
            && let Some(evicted) = self.take_oldest()
        {
            gave += evicted.charge.bytes();
        }
        gave
    }

    /// Of those nobody runs: the others would keep their memory, and their charge, all the same.
    fn take_oldest(&self) -> Option<Arc<Loaded>> {
        let mut slots = self.lock();
        let idle = slots.by_digest.iter().filter(|(_, slot)| Arc::strong_count(&slot.loaded) == 1);
        let oldest = idle.min_by_key(|(_, slot)| slot.used_at)?.0.clone();
        slots.by_digest.remove(&oldest).map(|slot| slot.loaded)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What guests may import: all of WASI 0.2 with nothing behind it but what [`State`] grants, and our own interface.
fn linker(engine: &Engine) -> anyhow::Result<Linker<State>> {
    use wasmtime::component::HasSelf;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
