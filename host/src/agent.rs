//! An agent by name -> a call in a capped instance. The only room that names wasmtime.
//!
//! A call goes through [`Agent`]: `quarantine` may turn it away, `queue` lets it in when its reserve is granted, `live`
//! makes a fresh instance that `limiter`, `clock`, `output` and `state` hold in bounds (`large` lists those that take much),
//! `calls` and `read` run it, and
//! `outcome` names what came of it. Components come from `shelf`, which has `compile` make what `cache` does not hold; `known` is
//! what earlier starts found out about them. What
//! a guest says meanwhile goes to `feedback`, and what it says has changed to `changes`; `watch` looks for itself.
//!
//! Invariants: no instance serves two callers; nothing that failed is used again; whatever a guest can make the host hold
//! is charged before it is held.

mod cache;
mod calls;
pub mod changes;
mod clock;
mod compile;
mod compile_child;
pub mod contract;
mod engine;
mod enroll;
mod failure;
pub mod feedback;
mod fit;
mod known;
mod large;
mod limiter;
mod live;
mod outcome;
mod output;
mod quarantine;
mod queue;
mod read;
mod roster;
mod shelf;
mod state;
mod stats;
mod terms;
mod trial;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use stockade_ledger::{Account, Charge};

use crate::manifest::{AgentSpec, RESERVE_BYTES_DEFAULT};
use crate::memory::Relief;
use crate::registry::{Entry, Handle};
use changes::Changes;
use feedback::Feedback;
use known::Known;
use large::Large;
use outcome::Scene;
use quarantine::Quarantine;
use queue::{Door, LineId};
use shelf::{Loaded, Shelf};
use stats::Stats;

pub use calls::Called;
pub use compile_child::{ChildLimits, Optimise, compile_child};
pub use engine::LATENESS;
pub use failure::{Failure, Limit, LimitName, Unit};
pub use read::{CHUNK_BYTES_MAX, Plan, Read, Use};
pub use roster::{Agents, Terms, first_bytes, precompile, without_own_place};
pub use stats::{BYTES as MEMORY_CLASSES, Classes, Figures, Function, SECONDS as TIME_CLASSES};
pub use watch::WatchError;

/// Who calls, as far as a guest may know it: what `host.request` answers; and who listens to what the guest says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Name of the token, else `anonymous`.
    pub principal: Arc<str>,
    /// MCP revision.
    pub protocol_version: &'static str,
    /// Declared capabilities; sub-capabilities with a dot.
    pub capabilities: Vec<String>,
    /// Answers to an earlier input-required result: key and JSON text.
    pub answers: Vec<(String, String)>,
    /// The state of that earlier result.
    pub state: Option<String>,
    /// Who follows the call.
    pub feedback: Option<Feedback>,
}

/// Bytes copied out of a guest, with the charge that pays for them until they are dropped.
#[derive(Debug)]
pub struct Charged<T> {
    pub value: T,
    /// On the account `copies`, or `replies` for a chunk of a resource.
    pub charge: Charge,
}

/// One agent: its caps, its place at the door, its record.
pub struct Agent {
    entry: Arc<Entry>,
    /// The caps and grants in force: the manifest's, less what the registry's document takes away.
    spec: RwLock<Arc<AgentSpec>>,
    /// Whether the document has it served.
    enabled: AtomicBool,
    name: Arc<str>,
    standing: RwLock<Standing>,
    /// Held while the component is loaded, so that it is loaded once.
    loading: tokio::sync::Mutex<()>,
    shelf: Arc<Shelf>,
    door: Door,
    line: LineId,
    /// Pays for guest memory beyond the reserves.
    growth: Account,
    /// Pays for what it asks of a client, once the call has ended.
    asked: Account,
    /// Those of all agents that have grown beyond theirs.
    large: Large,
    /// Whom growth asks for room.
    relief: Relief,
    /// Pays for chunks on their way to a client.
    replies: Account,
    changes: Changes,
    quarantine: Quarantine,
    stats: Stats,
    /// Where its entry is.
    document: Handle,
    /// Where the next start looks.
    known: Arc<Known>,
}

/// What a loaded agent offers.
#[derive(Debug)]
pub struct Offer {
    pub description: contract::Description,
    /// The agent's own version, from its description.
    pub version: Arc<str>,
    /// sha256 of the component, in hex.
    pub digest: String,
    pub resources: bool,
    pub tools: bool,
    pub prompts: bool,
    pub completion: bool,
}

/// Whether an agent can be called.
#[derive(Debug, Clone)]
enum Standing {
    Loading,
    Ready(Arc<Offer>),
    Refused(Arc<str>),
}

impl Caller {
    /// A caller of whom nothing is known but this.
    pub fn new(principal: Arc<str>, protocol_version: &'static str) -> Self {
        let (capabilities, answers) = (Vec::new(), Vec::new());
        Self { principal, protocol_version, capabilities, answers, state: None, feedback: None }
    }
}

impl Agent {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it offers, without running it.
    ///
    /// # Errors
    ///
    /// While it is being loaded, and for good when it could not be.
    pub fn offer(&self) -> Result<Arc<Offer>, Failure> {
        if !self.enabled.load(Ordering::Relaxed) {
            let limit = self.limit(LimitName::Disabled, Unit::None, [0; 3]);
            let detail = Some("the registry's document says so; `enabled: true` there has it served again".to_owned());
            return Err(Failure::Refused(Limit { detail, ..limit }));
        }
        match self.standing() {
            Standing::Ready(offer) => Ok(offer),
            Standing::Loading => {
                let limit = self.limit(LimitName::Loading, Unit::None, [0; 3]);
                Err(Failure::Refused(limit.retry(Duration::from_secs(1))))
            }
            Standing::Refused(reason) => {
                let limit = self.limit(LimitName::NotLoaded, Unit::None, [0; 3]);
                Err(Failure::Refused(Limit { detail: Some(reason.to_string()), ..limit }))
            }
        }
    }

    /// `ready`, `resting`, `loading`, `disabled` or `refused`; and why, where it is not served.
    pub fn state(&self) -> (&'static str, Option<String>) {
        match self.offer() {
            Ok(_) => (if self.rests().is_some() { "resting" } else { "ready" }, None),
            Err(Failure::Refused(limit)) => match limit.limit {
                LimitName::Loading => ("loading", None),
                LimitName::Disabled => ("disabled", limit.detail),
                _ => ("refused", limit.detail),
            },
            Err(failure) => ("refused", Some(failure.to_string())),
        }
    }

    /// The rest that is left, if it failed too often.
    pub fn rests(&self) -> Option<Duration> {
        self.quarantine.resting().map(|resting| resting.remaining)
    }

    /// What its calls have cost and how they ended.
    pub fn figures(&self) -> Figures {
        self.stats.snapshot()
    }

    /// Calls that run, and calls that wait for their turn.
    pub fn crowd(&self) -> (u32, usize) {
        self.door.crowd(self.line)
    }

    /// Whether one of its calls always has a place, whatever other agents do.
    pub fn has_own_place(&self) -> bool {
        self.door.has_own(self.line)
    }

    /// Caps and grants of the next call.
    pub fn spec(&self) -> Arc<AgentSpec> {
        self.spec.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn version(&self) -> Arc<str> {
        match self.standing() {
            Standing::Ready(offer) => offer.version.clone(),
            _ => "".into(),
        }
    }

    /// What a call is granted before it starts.
    fn reserve(&self, initial_memory: u64) -> u64 {
        let spec = self.spec();
        spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT.max(initial_memory)).min(spec.memory)
    }

    /// The component, from the shelf or loaded again.
    async fn loaded(&self) -> Result<Arc<Loaded>, Failure> {
        if let Some(loaded) = self.shelf.get(&self.entry.name) {
            return Ok(loaded);
        }
        let _one_at_a_time = self.loading.lock().await;
        if let Some(loaded) = self.shelf.get(&self.entry.name) {
            return Ok(loaded);
        }
        let known = match self.standing() {
            Standing::Ready(offer) => Some(cache::Digest(offer.digest.clone())),
            Standing::Loading | Standing::Refused(_) => None,
        };
        let fetched = self.shelf.fetch(&self.entry.name, &self.entry.spec.component, known.as_ref()).await;
        fetched.map_err(|error| {
            let limit = match error.full_now() {
                Some(figures) => self.limit(LimitName::HostFull, Unit::Bytes, figures).retry(Duration::from_secs(1)),
                None => self.limit(LimitName::NotLoaded, Unit::None, [0; 3]),
            };
            self.stats.refused(limit.limit);
            Failure::Refused(Limit { detail: Some(format!("{error:#}")), ..limit })
        })
    }

    fn scene(&self) -> Scene<'_> {
        let spec = self.spec();
        Scene {
            agent: &self.name,
            version: self.version(),
            copies_max: spec.copies,
            cpu_max: spec.cpu,
            deadline: spec.deadline,
            cpu_spent: Duration::ZERO,
            last_words: String::new(),
        }
    }

    fn limit(&self, limit: LimitName, unit: Unit, [cap, used, wanted]: [u64; 3]) -> Limit {
        let (agent, version) = (self.name.clone(), self.version());
        Limit { agent, version, limit, unit, cap, used, wanted, retry_after_ms: None, detail: None }
    }
}
