//! All agents of the host: made from the registry's entries, loaded one after the other, found by name.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use stockade_ledger::Spec;
use tokio::task::JoinSet;

use super::changes::{Changes, Kinds};
use super::engine::{GUEST_STACK_BYTES, Lateness, MEMORY_RESERVATION_BYTES, Pool};
use super::known::{Known, Subject};
use super::large::Large;
use super::quarantine::Quarantine;
use super::queue::{Door, LineId, Need, Terms as LineTerms, own_places};
use super::shelf::{LoadError, Loaded, Shelf};
use super::stats::{Classes, Stats};
use super::{Agent, Caller, Failure, Offer, Standing};
use crate::manifest::{AgentName, AgentSpec, CompileLimits, Manifest, RESERVE_BYTES_DEFAULT};
use crate::memory::{Accounts, Ease, percent, share};
use crate::registry::{Handle, Registry, uri};

/// Instances the pool holds at most, whatever the caps would allow: each takes 4 GiB of address space.
const INSTANCES_MAX: u64 = 1000;

/// Time for an agent to describe itself and to list its names.
const TRIAL_MAX: Duration = Duration::from_secs(30);

/// How often a start tries to load an agent for which there is no memory now, and the pause between two tries.
const LOAD_TRIES: u32 = 30;
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// Agents that are loaded at once at a start: each holds its component meanwhile.
const LOADING_MAX: usize = 64;

/// MCP revision that a guest is told of when the host itself calls.
pub(super) const OWN_REVISION: &str = "2026-07-28";

/// What all agents share.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// Bytes all guests may hold together.
    pub guests_ceiling: u64,
    pub compile: CompileLimits,
    /// The host's own data, where compiled code is kept.
    pub data: &'a Path,
    /// The `stockade` executable, which compiles.
    pub program: PathBuf,
    /// Callers the host can tell apart.
    pub principals: usize,
    /// Where agents have their entries.
    pub document: Handle,
}

/// All agents, by name. A cheap handle.
#[derive(Clone)]
pub struct Agents(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) document: Handle,
    by_name: BTreeMap<AgentName, Arc<Agent>>,
    changes: Changes,
    lateness: Lateness,
    slots: u64,
    shelf: Arc<Shelf>,
    /// What earlier starts found out.
    known: Arc<Known>,
    settled: AtomicBool,
}

/// An agent, and what an earlier start found.
type Recalled = (Arc<Agent>, Arc<Offer>);

impl Agents {
    /// Makes ready to load every agent of the registry.
    ///
    /// # Errors
    ///
    /// When the pool's address space cannot be had, or the data directory cannot be written.
    pub fn new(registry: &Registry, accounts: &Accounts, terms: Terms<'_>) -> anyhow::Result<Self> {
        let Terms { guests_ceiling, compile: limits, data, program, principals, document } = terms;
        let pool = pool(registry, guests_ceiling);
        let shelf = Arc::new(Shelf::new(pool, data, limits, program, accounts)?);
        let large = Large::default();
        register(accounts, &shelf, &large);
        let terms: Vec<LineTerms> = registry.entries().map(|entry| terms_of(&entry.spec)).collect();
        let (door, lines) = Door::new(accounts, pool.instances, &terms);
        let (growth, asked) = (door.shared(), door.shared_copies());
        let changes = Changes::default();
        let known = Arc::new(Known::open(data)?);
        let agent = |(entry, line): (&Arc<crate::registry::Entry>, LineId)| {
            // Nobody takes more than half of what guests may have beyond the reserves.
            let own = Spec { name: entry.name.as_str().into(), ceiling: guests_ceiling / 2, floor: 0 };
            let name: Arc<str> = entry.name.as_str().into();
            let agent = Agent {
                name,
                standing: RwLock::new(Standing::Loading),
                loading: tokio::sync::Mutex::new(()),
                shelf: shelf.clone(),
                door: door.clone(),
                line,
                growth: growth.child(own),
                asked: asked.clone(),
                large: large.clone(),
                relief: accounts.relief.clone(),
                replies: accounts.replies.clone(),
                changes: changes.clone(),
                quarantine: Quarantine::new(principals),
                stats: Stats::default(),
                document: document.clone(),
                known: known.clone(),
                spec: RwLock::new(Arc::new(entry.spec.clone())),
                enabled: AtomicBool::new(true),
                entry: entry.clone(),
            };
            (entry.name.clone(), Arc::new(agent))
        };
        let by_name = registry.entries().zip(lines).map(agent).collect();
        let (lateness, slots) = (shelf.lateness.clone(), pool.slots());
        Ok(Self(Arc::new(Inner {
            document,
            by_name,
            changes,
            lateness,
            slots,
            shelf,
            known,
            settled: AtomicBool::new(false),
        })))
    }

    /// Makes all agents ready: those that are as an earlier start found them at once, without loading them; the others are
    /// loaded, several at a time, and compiled, one at a time, if they never were. An agent that cannot be loaded is refused
    /// by name, and the others go on.
    pub async fn load(&self) {
        let mut new = self.recall().await.into_iter();
        let mut loading = JoinSet::new();
        loop {
            while loading.len() < LOADING_MAX
                && let Some(agent) = new.next()
            {
                loading.spawn(agent.settle());
            }
            match loading.join_next().await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::error!(%error, "an agent could not be loaded"),
                None => break,
            }
        }
        self.disable_missing().await;
        self.0.settled.store(true, Ordering::Release);
    }

    /// Makes those agents ready that are as an earlier start found them; answers with the others.
    async fn recall(&self) -> Vec<Arc<Agent>> {
        let agents = self.clone();
        // It reads a file of each.
        let looked = tokio::task::spawn_blocking(move || agents.look_up()).await;
        let (known, new) = looked.unwrap_or_else(|_| (Vec::new(), self.all().cloned().collect()));
        if !known.is_empty() {
            tracing::info!(agents = known.len(), "as an earlier start found them: each is loaded when it is called");
        }
        for (agent, offer) in &known {
            agent.stand(Standing::Ready(offer.clone()));
        }
        self.enroll_all(known.iter().map(|(agent, _)| agent)).await;
        new
    }

    /// Sorts out who is known. Agents that say the same of themselves share what they say.
    fn look_up(&self) -> (Vec<Recalled>, Vec<Arc<Agent>>) {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let mut shared: HashMap<[u8; 32], Arc<Offer>> = HashMap::new();
        for agent in self.all() {
            let recalled = self.0.known.recall(&agent.entry.name, &agent.entry.spec, SystemTime::now());
            match recalled.filter(|offer| self.0.shelf.is_compiled(&offer.digest)) {
                Some(offer) => {
                    let said = Sha256::digest(format!("{offer:?}")).into();
                    let offer = shared.entry(said).or_insert_with(|| Arc::new(offer)).clone();
                    known.push((agent.clone(), offer));
                }
                None => new.push(agent.clone()),
            }
        }
        (known, new)
    }

    /// True once every agent is loaded or refused.
    pub fn settled(&self) -> bool {
        self.0.settled.load(Ordering::Acquire)
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Agent>> {
        self.0.by_name.get(name)
    }

    /// Who hears of changes.
    pub fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// Address space that the slots of all instances may have mapped for writing, once each has been used, in bytes.
    pub fn slots(&self) -> u64 {
        self.0.slots
    }

    /// Bytes that free slots of the pool hold now.
    pub fn kept_by_pool(&self) -> u64 {
        self.0.shelf.kept_by_pool()
    }

    /// How late running guests were interrupted, in the classes of [`LATENESS`](super::LATENESS).
    pub fn lateness(&self) -> Classes<8> {
        self.0.lateness.classes()
    }

    /// Where agents have their entries.
    pub fn document(&self) -> &Handle {
        &self.0.document
    }

    /// In the order of their names, from this one on.
    pub fn from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<Agent>> + use<'a> {
        self.0.by_name.range::<str, _>((Bound::Included(name), Bound::Unbounded)).map(|(_, agent)| agent)
    }

    /// In the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.0.by_name.values()
    }
}

impl Agent {
    /// Loads the agent, and remembers what came of it.
    async fn settle(self: Arc<Self>) {
        let on_trial = self.clone();
        // A task of its own, so that even a panic is this agent's alone.
        let admitted = match tokio::spawn(async move { on_trial.admit().await }).await {
            Ok(admitted) => admitted,
            Err(error) => Err(format!("the host failed while loading it: {error}")),
        };
        let standing = match admitted {
            Ok(offer) => {
                let (version, digest) = (&*offer.version, &offer.digest[..12]);
                tracing::info!(agent = self.name(), version, digest, "agent loaded");
                Standing::Ready(Arc::new(offer))
            }
            Err(reason) => {
                tracing::error!(agent = self.name(), reason, "agent refused");
                Standing::Refused(reason.into())
            }
        };
        self.stand(standing);
        self.enroll().await;
    }

    fn stand(&self, standing: Standing) {
        // Nobody calls it before what the document says of it is in force.
        self.take_terms(self.document.record(&self.name).as_deref());
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
        self.changes.lists_changed(&self.name, Kinds::ALL);
        self.changes.of_host(&uri(&self.name), false);
    }

    /// Loads the component, and waits a while for memory where that is all it lacks.
    async fn fetch_patiently(&self) -> Result<Arc<Loaded>, LoadError> {
        let mut tries = 0;
        loop {
            let fetched = self.shelf.fetch(&self.entry.name, &self.entry.spec.component, None).await;
            tries += 1;
            match fetched {
                Err(error) if error.full_now().is_some() && tries < LOAD_TRIES => {
                    tracing::info!(agent = self.name(), reason = format!("{error:#}"), "waiting for memory to load it");
                    tokio::time::sleep(LOAD_PAUSE).await;
                }
                fetched => return fetched,
            }
        }
    }

    /// Loads the component and puts it on trial.
    async fn admit(&self) -> Result<Offer, String> {
        let before = Subject::of(&self.entry.spec, SystemTime::now());
        let loaded = self.fetch_patiently().await.map_err(|error| format!("{error:#}"))?;
        let (initial, cap) = (loaded.initial_memory, self.entry.spec.memory);
        if initial > cap {
            return Err(format!("it needs {initial} bytes of memory to start; its cap `memory` is {cap}"));
        }
        let by = Arc::new(Caller::new("host".into(), OWN_REVISION));
        let trial = async {
            let description = self.describe(&by).await?;
            self.check_names(&by).await?;
            Ok(description)
        };
        let description = match tokio::time::timeout(TRIAL_MAX, trial).await {
            Ok(outcome) => outcome.map_err(|failure| trial_failed(&failure))?,
            Err(_) => return Err(format!("its description and lists took more than {} s", TRIAL_MAX.as_secs())),
        };
        let offer = Offer {
            version: (&*description.version).into(),
            description,
            digest: loaded.digest.0.clone(),
            resources: loaded.resources.is_some(),
            tools: loaded.tools.is_some(),
            prompts: loaded.prompts.is_some(),
            completion: loaded.completion.is_some(),
        };
        // What was exchanged meanwhile is not what was looked at.
        if let Some(subject) =
            before.filter(|before| Subject::of(&self.entry.spec, SystemTime::now()).as_ref() == Some(before))
        {
            self.known.note(&self.entry.name, subject, &offer, initial);
        }
        Ok(offer)
    }
}

fn trial_failed(failure: &Failure) -> String {
    match failure {
        Failure::Broken { reason, .. } => reason.clone(),
        other => format!("its first call failed: {other}"),
    }
}

/// Loads every agent as a start would, and compiles what was never compiled, without serving anything. Answers for each
/// agent by name.
pub async fn precompile(agents: &Agents) -> Vec<(AgentName, Result<(), String>)> {
    let mut outcomes = Vec::new();
    for (name, agent) in &agents.0.by_name {
        outcomes.push((name.clone(), agent.admit().await.map(drop)));
    }
    outcomes
}

/// Who gives way when the host runs out of memory: code that nobody runs, then the call furthest beyond its reserve.
fn register(accounts: &Accounts, shelf: &Arc<Shelf>, large: &Large) {
    let shelf = Arc::downgrade(shelf);
    let relieve = move |bytes| shelf.upgrade().map_or(0, |shelf| shelf.give_back(bytes));
    accounts.relief.register("code", Ease::Code, relieve);
    let large = large.clone();
    accounts.relief.register("calls", Ease::Running, move |_| large.stop_largest());
}

/// The agents of a manifest whose calls have no place of their own.
pub fn without_own_place(manifest: &Manifest) -> Vec<AgentName> {
    let registry = &Registry::from_manifest(manifest);
    let (guests, copies) = (share(manifest.memory, percent::GUESTS), share(manifest.memory, percent::COPIES));
    let terms: Vec<LineTerms> = registry.entries().map(|entry| terms_of(&entry.spec)).collect();
    let all = Need { reserve: guests, copies, goes_on: false };
    let owned = own_places(&terms, all, pool(registry, guests).instances);
    registry.entries().zip(owned).filter(|(_, owned)| !owned).map(|(entry, _)| entry.name.clone()).collect()
}

/// What a call of this agent takes when it begins: guest memory with its stack, and copies.
pub fn first_bytes(spec: &AgentSpec) -> u64 {
    let Need { reserve, copies, .. } = terms_of(spec).first;
    reserve + copies
}

fn terms_of(spec: &AgentSpec) -> LineTerms {
    let reserve = spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT).min(spec.memory);
    // Its stack is memory, too.
    let first = Need { reserve: reserve + GUEST_STACK_BYTES as u64, copies: spec.copies, goes_on: false };
    LineTerms { concurrency: spec.concurrency, waiting_max: spec.queue, weight: spec.weight, first }
}

/// Room for as many instances as the caps let run at once, and memories as large as the largest cap.
fn pool(registry: &Registry, guests_ceiling: u64) -> Pool {
    let specs = || registry.entries().map(|entry| &entry.spec);
    let concurrency: u64 = specs().map(|spec| u64::from(spec.concurrency)).sum();
    let reserve = specs().map(|spec| spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT).max(1)).min().unwrap_or(1);
    let instances = INSTANCES_MAX.min(concurrency).min(guests_ceiling / (reserve + GUEST_STACK_BYTES as u64)).max(1);
    let memory_bytes_max = specs().map(|spec| spec.memory).max().unwrap_or(RESERVE_BYTES_DEFAULT);
    // A cap may be larger, since it counts all memories; a single one cannot.
    let memory_bytes_max = memory_bytes_max.min(MEMORY_RESERVATION_BYTES);
    Pool { instances: u32::try_from(instances).expect("at most INSTANCES_MAX"), memory_bytes_max }
}

#[cfg(test)]
mod tests;
