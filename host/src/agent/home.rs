//! What all versions of an agent share: its name, its caps, its place at the door, its record.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

use stockade_ledger::{Account, Spec};

use super::changes::Changes;
use super::known::Known;
use super::large::Large;
use super::queue::{Door, LineId};
use super::shelf::Shelf;
use super::stats::Stats;
use crate::manifest::{AgentName, AgentSpec};
use crate::memory::Relief;
use crate::registry::Handle;

/// What every agent of the host is given. Cheap to clone.
#[derive(Clone)]
pub(super) struct Means {
    pub shelf: Arc<Shelf>,
    pub door: Door,
    /// Pays for guest memory beyond the reserves of all agents.
    pub growth: Account,
    /// Most of it that one agent may have, in bytes.
    pub growth_max: u64,
    /// Pays for what agents ask of clients, once the call has ended.
    pub asked: Account,
    /// Calls of all agents that have grown beyond theirs.
    pub large: Large,
    /// Whom growth asks for room.
    pub relief: Relief,
    /// Pays for chunks on their way to a client.
    pub replies: Account,
    pub changes: Changes,
    /// Where agents have their entries.
    pub document: Handle,
    /// Where the next start looks.
    pub known: Arc<Known>,
    /// Callers the host can tell apart.
    pub principals: usize,
}

/// One name, and everything that stays when another version is served under it.
pub(super) struct Home {
    pub name: Arc<str>,
    /// The caps and grants that nothing exceeds: the manifest's.
    pub ceiling: AgentSpec,
    /// Those in force: less what the registry's document takes away.
    pub spec: RwLock<Arc<AgentSpec>>,
    /// Held while the document is read for them.
    pub turn: Mutex<()>,
    /// Whether the document has it served.
    pub enabled: AtomicBool,
    pub line: LineId,
    /// Pays for guest memory beyond the reserves.
    pub growth: Account,
    pub stats: Stats,
    pub means: Means,
    /// The manifest has an entry for it.
    pub fixed: bool,
}

impl Home {
    pub fn new(means: &Means, name: &AgentName, (ceiling, fixed): (AgentSpec, bool), line: LineId) -> Arc<Self> {
        let name: Arc<str> = name.as_str().into();
        let own = Spec { name: name.clone(), ceiling: means.growth_max, floor: 0 };
        Arc::new(Self {
            growth: means.growth.child(own),
            name,
            spec: RwLock::new(Arc::new(ceiling.clone())),
            turn: Mutex::default(),
            ceiling,
            enabled: AtomicBool::new(true),
            line,
            stats: Stats::default(),
            means: means.clone(),
            fixed,
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.means.door.close(self.line);
    }
}
