//! All agents of the host: made from the registry's entries, loaded one after the other, found by name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Semaphore, mpsc, watch};

use super::Agent;
use super::changes::Changes;
use super::engine::{GUEST_STACK_BYTES, Lateness, MEMORY_RESERVATION_BYTES, Pool};
use super::home::{Home, Means};
use super::known::Known;
use super::large::Large;
use super::probation::Troubled;
use super::queue::{Door, Need, Terms as LineTerms, own_places};
use super::release::{Release, Version};
use super::shelf::Shelf;
use super::stats::Classes;
use super::versions::{LOOKING_MAX, Published, Versions};
use crate::manifest::{AgentName, AgentSpec, CompileLimits, Manifest, RESERVE_BYTES_DEFAULT};
use crate::memory::{Accounts, Ease, percent, share};
use crate::registry::{Handle, Registry};

/// Instances the pool holds at most, whatever the caps would allow: each takes 4 GiB of address space.
const INSTANCES_MAX: u64 = 1000;

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
    pub published: Offered,
    /// Who hears of new versions that fail.
    pub troubles: mpsc::Sender<Troubled>,
}

/// What publishers have brought.
#[derive(Debug, Clone)]
pub struct Offered {
    /// The caps of agents that the manifest does not have.
    pub spec: AgentSpec,
    /// In the order of their names.
    pub agents: Vec<Published>,
}

/// All agents, by name. A cheap handle.
#[derive(Clone)]
pub struct Agents(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) means: Means,
    /// The version of each agent that is served under its bare name.
    roll: RwLock<Roll>,
    /// Those that were published.
    pub(super) versions: Versions,
    /// The caps of agents that the manifest does not have.
    pub(super) published: AgentSpec,
    /// Who hears of new versions that fail.
    pub(super) troubles: mpsc::Sender<Troubled>,
    /// Places for trials of older versions.
    pub(super) looking: Arc<Semaphore>,
    lateness: Lateness,
    pool: Pool,
    /// Agents that have come since the start.
    arrivals: watch::Sender<u64>,
    settled: AtomicBool,
}

/// Agents in the order of their names, as they were at one moment. A cheap handle.
#[derive(Clone)]
pub struct Roll(Arc<[Arc<Agent>]>);

impl Agents {
    /// Makes ready to load every agent of the registry.
    ///
    /// # Errors
    ///
    /// When the pool's address space cannot be had, or the data directory cannot be written.
    pub fn new(registry: &Registry, accounts: &Accounts, terms: Terms<'_>) -> anyhow::Result<Self> {
        let Terms { guests_ceiling, compile: limits, data, program, principals, document, published, troubles } = terms;
        let Offered { spec, agents: offered } = published;
        let pool = pool(registry, &spec, guests_ceiling);
        let shelf = Arc::new(Shelf::new(pool, data, limits, program, accounts)?);
        let large = Large::default();
        register(accounts, &shelf, &large);
        let (versions, entries) = (Versions::new(&offered), entries(registry, &offered, &spec));
        let terms: Vec<LineTerms> = entries.values().map(terms_of).collect();
        let (door, lines) = Door::new(accounts, pool.instances, &terms);
        let lateness = shelf.lateness.clone();
        let means = Means {
            shelf,
            growth: door.shared(),
            // Nobody takes more than half of what guests may have beyond the reserves.
            growth_max: guests_ceiling / 2,
            asked: door.shared_copies(),
            door,
            large,
            relief: accounts.relief.clone(),
            replies: accounts.replies.clone(),
            changes: Changes::default(),
            document,
            known: Arc::new(Known::open(data)?),
            principals,
        };
        let live: HashMap<&AgentName, Option<&Version>> =
            offered.iter().map(|agent| (&agent.name, agent.live())).collect();
        let agents = entries.into_iter().zip(lines).map(|((name, spec), line)| {
            let release = Release::of_file(&name, &spec).or_else(|| {
                let version = live.get(&name).copied().flatten()?;
                Some(Release::published(name.as_str(), version))
            });
            let fixed = registry.has(&name);
            Agent::new(Home::new(&means, &name, (spec, fixed), line), release)
        });
        let roll = RwLock::new(Roll(agents.collect()));
        let settled = AtomicBool::new(false);
        let arrivals = watch::Sender::new(0);
        Ok(Self(Arc::new(Inner {
            means,
            roll,
            versions,
            published: spec,
            troubles,
            looking: Arc::new(Semaphore::new(LOOKING_MAX)),
            lateness,
            pool,
            arrivals,
            settled,
        })))
    }

    /// Every agent is loaded or refused now.
    pub fn all_settled(&self) {
        self.0.settled.store(true, Ordering::Release);
    }

    /// True once every agent is loaded or refused.
    pub fn settled(&self) -> bool {
        self.0.settled.load(Ordering::Acquire)
    }

    /// The agent that is served at an address: a name, or `name@version`, `name@alias`.
    pub fn get(&self, address: &str) -> Option<Arc<Agent>> {
        match address.split_once('@') {
            None => self.roll().find(address).cloned(),
            Some((name, wanted)) => self.version(name, wanted),
        }
    }

    /// Who hears of changes.
    pub fn changes(&self) -> &Changes {
        &self.0.means.changes
    }

    /// Address space that the slots of all instances may have mapped for writing, once each has been used by the calls that
    /// may run at once, in bytes.
    pub fn slots(&self) -> u64 {
        let calls: u64 = self.roll().iter().map(|agent| u64::from(agent.home.ceiling.concurrency)).sum();
        self.0.pool.slots(calls)
    }

    /// Changes whenever an agent has come.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.0.arrivals.subscribe()
    }

    /// Bytes that free slots of the pool hold now.
    pub fn kept_by_pool(&self) -> u64 {
        self.0.means.shelf.kept_by_pool()
    }

    /// How late running guests were interrupted, in the classes of [`LATENESS`](super::LATENESS).
    pub fn lateness(&self) -> Classes<8> {
        self.0.lateness.classes()
    }

    /// Where agents have their entries.
    pub fn document(&self) -> &Handle {
        &self.0.means.document
    }

    /// In the order of their names, from this one on.
    pub fn from(&self, name: &str) -> impl Iterator<Item = Arc<Agent>> + use<> {
        let roll = self.roll();
        let begin = roll.0.partition_point(|agent| agent.name() < name);
        (begin..roll.0.len()).map(move |place| roll.0[place].clone())
    }

    /// In the order of their names.
    pub fn all(&self) -> impl Iterator<Item = Arc<Agent>> + use<> {
        self.from("")
    }

    /// All that are served under their bare names now.
    pub fn roll(&self) -> Roll {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves this one under its bare name, instead of what was.
    pub(super) fn enlist(&self, agent: Arc<Agent>) {
        let mut roll = self.0.roll.write().unwrap_or_else(PoisonError::into_inner);
        let mut agents = roll.0.to_vec();
        match roll.place(agent.name()) {
            Ok(place) => agents[place] = agent,
            Err(place) => {
                agents.insert(place, agent);
                self.0.arrivals.send_modify(|arrivals| *arrivals += 1);
            }
        }
        *roll = Roll(agents.into());
    }

    /// Serves nothing under this name any more.
    pub(super) fn strike(&self, name: &str) {
        let mut roll = self.0.roll.write().unwrap_or_else(PoisonError::into_inner);
        let agents = roll.0.iter().filter(|agent| agent.name() != name).cloned();
        *roll = Roll(agents.collect());
    }
}

impl Roll {
    /// The agent of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Agent>> {
        self.place(name).ok().map(|place| &self.0[place])
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.0.iter()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|agent| agent.name().cmp(name))
    }
}

/// The agents of the manifest, and those that were published under other names.
fn entries(registry: &Registry, offered: &[Published], published: &AgentSpec) -> BTreeMap<AgentName, AgentSpec> {
    let offered = offered.iter().map(|agent| (agent.name.clone(), published.clone()));
    let of_manifest = registry.entries().map(|entry| (entry.name.clone(), entry.spec.clone()));
    offered.chain(of_manifest).collect()
}

/// Loads every agent as a start would, and compiles what was never compiled, without serving anything. Answers for each
/// agent by name.
pub async fn precompile(agents: &Agents) -> Vec<(Arc<str>, Result<(), String>)> {
    let mut outcomes = Vec::new();
    for agent in agents.all().filter(|agent| agent.release.is_some()) {
        outcomes.push((agent.home.name.clone(), agent.admit(None).await.map(drop).map_err(|unfit| unfit.to_string())));
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
    let owned = own_places(&terms, all, pool(registry, &manifest.published, guests).instances);
    registry.entries().zip(owned).filter(|(_, owned)| !owned).map(|(entry, _)| entry.name.clone()).collect()
}

/// What a call of this agent takes when it begins: guest memory with its stack, and copies.
pub fn first_bytes(spec: &AgentSpec) -> u64 {
    let Need { reserve, copies, .. } = terms_of(spec).first;
    reserve + copies
}

pub(super) fn terms_of(spec: &AgentSpec) -> LineTerms {
    let reserve = spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT).min(spec.memory);
    // Its stack is memory, too.
    let first = Need { reserve: reserve + GUEST_STACK_BYTES as u64, copies: spec.copies, goes_on: false };
    LineTerms { concurrency: spec.concurrency, waiting_max: spec.queue, weight: spec.weight, first }
}

/// Room for as many instances as memory suffices for, and memories as large as the largest cap: agents may be published at any
/// time.
fn pool(registry: &Registry, published: &AgentSpec, guests_ceiling: u64) -> Pool {
    let specs = || registry.entries().map(|entry| &entry.spec).chain([published]);
    let reserve = specs().map(|spec| spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT).max(1)).min().unwrap_or(1);
    let instances = INSTANCES_MAX.min(guests_ceiling / (reserve + GUEST_STACK_BYTES as u64)).max(1);
    let memory_bytes_max = specs().map(|spec| spec.memory).max().unwrap_or(RESERVE_BYTES_DEFAULT);
    // A cap may be larger, since it counts all memories; a single one cannot.
    let memory_bytes_max = memory_bytes_max.min(MEMORY_RESERVATION_BYTES);
    Pool { instances: u32::try_from(instances).expect("at most INSTANCES_MAX"), memory_bytes_max }
}
