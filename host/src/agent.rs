//! An agent by name -> a call in a capped instance. The only room that names wasmtime.
//!
//! A call goes through [`Agent`]: `quarantine` may turn it away, `queue` lets it in when its reserve is granted, `live`
//! makes a fresh instance that `limiter`, `clock`, `output` and `state` hold in bounds (`large` lists those that take much),
//! `calls` and `read` run it, and
//! `outcome` names what came of it. Components come from `shelf`, which has `compile` make what `cache` does not hold; `known` is
//! what earlier starts found out about them, and `inspect` what a publisher wants to know. A name is a `home`; what runs there is
//! a `release`, of which there may be several `versions`; `admit` tries one before it is served, and `probation` watches it
//! while it is new. What
//! a guest says meanwhile goes to `feedback`, and what it says has changed to `changes`; `watch` looks for itself.
//!
//! Invariants: no instance serves two callers; nothing that failed is used again; whatever a guest can make the host hold
//! is charged before it is held.

mod admit;
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
mod home;
mod inspect;
mod known;
mod large;
mod limiter;
mod live;
mod outcome;
mod output;
mod probation;
mod quarantine;
mod queue;
mod read;
mod release;
mod roster;
mod shelf;
mod start;
mod state;
mod stats;
mod terms;
mod trial;
mod versions;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use stockade_ledger::Charge;

use crate::manifest::AgentSpec;
use cache::Digest;
use feedback::Feedback;
use home::Home;
use outcome::Scene;
use probation::Probation;
use quarantine::Quarantine;
use release::Release;
use shelf::Loaded;

pub use admit::{Admitted, Measured, Shape, Unfit};
pub use cache::digest;
pub use calls::Called;
pub use compile_child::{ChildLimits, Optimise, compile_child};
pub use engine::LATENESS;
pub use failure::{Failure, Limit, LimitName, Unit};
pub use inspect::{Anatomy, Stock, misform_of};
pub use probation::Troubled;
pub use read::{CHUNK_BYTES_MAX, Plan, Read, Use};
pub use release::Version;
pub use roster::{Agents, Offered, Roll, Terms, first_bytes, precompile, without_own_place};
pub use stats::{BYTES as MEMORY_CLASSES, Classes, Figures, Function, SECONDS as TIME_CLASSES};
pub use versions::{Candidate, Published};
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

/// One agent in one version: what runs, and how it has fared.
pub struct Agent {
    /// What it has in common with its other versions.
    home: Arc<Home>,
    /// What it runs; none while nothing is published under its name.
    release: Option<Release>,
    /// Its component as it was found last, on trial or served.
    component: RwLock<Option<Arc<Digest>>>,
    standing: RwLock<Standing>,
    /// Held while the component is loaded, so that it is loaded once.
    loading: tokio::sync::Mutex<()>,
    /// Held while it is on trial because somebody asked for it.
    settling: tokio::sync::Mutex<()>,
    quarantine: Quarantine,
    probation: Probation,
    /// Most guest memory a call of it has held, in bytes.
    memory_peak: AtomicU64,
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
    /// Pays for the texts above, for as long as anybody has them; none for one that nobody serves.
    _charge: Option<Charge>,
}

/// Why an agent cannot be called that has no component.
const NOTHING_PUBLISHED: &str = "no version of it is served: `stockade publish` brings one";

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
    fn new(home: Arc<Home>, release: Option<Release>) -> Arc<Self> {
        let (quarantine, probation) = (Quarantine::new(home.means.principals), Probation::default());
        let component = release.as_ref().and_then(|release| release.digest.clone()).map(Arc::new);
        Arc::new(Self {
            home,
            release,
            component: RwLock::new(component),
            standing: RwLock::new(Standing::Loading),
            loading: tokio::sync::Mutex::default(),
            settling: tokio::sync::Mutex::default(),
            quarantine,
            probation,
            memory_peak: AtomicU64::new(0),
        })
    }

    pub fn name(&self) -> &str {
        &self.home.name
    }

    /// The version it was published as; none of an operator's own file.
    pub fn published_version(&self) -> Option<&Arc<str>> {
        self.release.as_ref()?.version.as_ref()
    }

    /// What it offers, without running it.
    ///
    /// # Errors
    ///
    /// While it is being loaded, and for good when it could not be.
    pub fn offer(&self) -> Result<Arc<Offer>, Failure> {
        if !self.home.enabled.load(Ordering::Relaxed) {
            let limit = self.limit(LimitName::Disabled, Unit::None, [0; 3]);
            let (name, record) = (self.name(), self.home.means.document.record(self.name()));
            let state = record.and_then(|record| record.withheld()).unwrap_or("disabled");
            let detail = format!("the registry says that it is {state}; `stockade enable {name}` has it served again");
            return Err(Failure::Refused(Limit { detail: Some(detail), ..limit }));
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
        self.home.stats.snapshot()
    }

    /// Calls that run, and calls that wait for their turn.
    pub fn crowd(&self) -> (u32, usize) {
        self.home.means.door.crowd(self.home.line)
    }

    /// Whether one of its calls always has a place, whatever other agents do.
    pub fn has_own_place(&self) -> bool {
        self.home.means.door.has_own(self.home.line)
    }

    /// Caps and grants of the next call.
    pub fn spec(&self) -> Arc<AgentSpec> {
        self.home.spec.read().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Its component as it was found last, on trial or served.
    fn component(&self) -> Option<Arc<Digest>> {
        self.component.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The component, from the shelf or loaded again.
    async fn loaded(&self) -> Result<Arc<Loaded>, Failure> {
        let shelf = &self.home.means.shelf;
        let Some(release) = &self.release else {
            let limit = self.limit(LimitName::NotLoaded, Unit::None, [0; 3]);
            return Err(Failure::Refused(Limit { detail: Some(NOTHING_PUBLISHED.to_owned()), ..limit }));
        };
        let known = self.component();
        let on_shelf = || known.as_ref().and_then(|digest| shelf.get(digest, release.least()));
        if let Some(loaded) = on_shelf() {
            return Ok(loaded);
        }
        let _one_at_a_time = self.loading.lock().await;
        if let Some(loaded) = on_shelf() {
            return Ok(loaded);
        }
        let fetched = shelf.fetch(release, known.as_deref()).await;
        fetched.map_err(|error| {
            let limit = match error.full_now() {
                Some(figures) => self.limit(LimitName::HostFull, Unit::Bytes, figures).retry(Duration::from_secs(1)),
                None => self.limit(LimitName::NotLoaded, Unit::None, [0; 3]),
            };
            self.home.stats.refused(limit.limit);
            Failure::Refused(Limit { detail: Some(format!("{error:#}")), ..limit })
        })
    }

    /// Where something went wrong, under these terms.
    fn scene(&self, spec: &AgentSpec) -> Scene<'_> {
        Scene {
            agent: &self.home.name,
            version: self.version(),
            copies_max: spec.copies,
            cpu_max: spec.cpu,
            deadline: spec.deadline,
            cpu_spent: Duration::ZERO,
            last_words: String::new(),
        }
    }

    fn limit(&self, limit: LimitName, unit: Unit, [cap, used, wanted]: [u64; 3]) -> Limit {
        let (agent, version) = (self.home.name.clone(), self.version());
        Limit { agent, version, limit, unit, cap, used, wanted, retry_after_ms: None, detail: None }
    }
}
