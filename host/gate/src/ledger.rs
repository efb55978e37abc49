//! Every struct of the document: whose it is, and which agent and field it belongs to.
//!
//! Knows nothing of values. What an update adds and deletes is resolved against it by [`Ledger::check`], before anybody
//! applies it, and entered by [`Ledger::admit`], after. It only grows, until the document begins anew with another ledger.

mod check;
mod checked;
mod names;
mod ranges;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::{Malformed, StateVector};
pub use checked::{Burden, Checked};
use names::Names;
use ranges::Ranges;

/// How much a ledger may hold. Beyond that its document begins anew, or takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Client ids that have ever written.
    pub clients: usize,
    /// Entries: runs of structs of one client that belong to one field, and what takes such a run apart.
    pub entries: usize,
    /// Names of agents there have ever been.
    pub agents: usize,
    /// Different names of fields.
    pub fields: usize,
    /// Ranges that are deleted. A client that comes back sends all of them in one message, whatever it lacks.
    pub deletions: usize,
    /// Comparisons that one update may cost a library: each struct that takes the place of none, or of one whose place is taken,
    /// is compared with all behind that.
    pub comparisons: usize,
}

impl Default for Capacity {
    /// 10,000 clients, 500,000 entries, 100,000 agents, 1,000 fields, 150,000 deletions: at most 52 MiB, and the deletions are
    /// less than a message. A million comparisons: tenths of a second.
    fn default() -> Self {
        Self {
            clients: 10_000,
            entries: 500_000,
            agents: 100_000,
            fields: 1_000,
            deletions: 150_000,
            comparisons: 1_000_000,
        }
    }
}

/// The structs of a document.
#[derive(Debug)]
pub struct Ledger {
    /// Whom nobody may write as: the host itself, and the host as it was in earlier epochs.
    host: HashSet<u64>,
    clients: HashMap<u64, Client>,
    names: Names,
    /// Entries at each place.
    chains: HashMap<Place, u32>,
    entries: usize,
    deletions: usize,
    capacity: Capacity,
    /// How often something was entered.
    version: u64,
}

#[derive(Debug, Default)]
struct Client {
    /// In the order of their clocks, without holes.
    entries: Vec<Entry>,
    /// The first clock that is not known.
    next: u32,
    deleted: Ranges,
    /// Those whose place another one has taken.
    replaced: Ranges,
}

/// Structs of one client, up to the next entry, that belong together: each takes the place of the one before, so that a library
/// makes one of them once they are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    clock: u32,
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Of {
    place: Place,
    /// 1 is an agent, 2 a field, 3 a key of a field that is a map.
    depth: u8,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is nowhere.
    Gone,
    /// Content that was deleted, of whatever kind it was.
    Deleted,
    Value,
    Map,
}

/// An agent, or one of its fields, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    agent: u32,
    /// [`WHOLE`] is the agent itself, and comes first; a field is its number, and one more.
    field: u32,
}

const WHOLE: u32 = 0;

/// Something that an update would set or delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch<'a> {
    /// The key in the root.
    pub agent: &'a str,
    /// The key in the agent's map; none if the agent itself is set or deleted.
    pub field: Option<&'a str>,
}

/// Why an update cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody who keeps to the protocol sends it.
    Malformed(Malformed),
    /// It builds on structs that are not known: of this client, from this clock on. Not hostile: a client that reconnects
    /// may send what it has just done before what it did while it was away.
    Gap {
        /// Whose structs are missing.
        client: u64,
        /// The first that is.
        clock: u32,
    },
    /// It writes in the host's name.
    Forged(u64),
    /// The document is full: which capacity, how much that is, and what it would take.
    Full {
        /// Which capacity.
        limit: &'static str,
        /// How much that is.
        max: u64,
        /// What the update would take it to.
        wanted: u64,
    },
}

impl Ledger {
    /// Of an empty document. `host` are the client ids that belong to the host.
    pub fn new(host: Vec<u64>, capacity: Capacity) -> Self {
        let (host, clients, names) = (host.into_iter().collect(), HashMap::new(), Names::default());
        Self { host, clients, names, chains: HashMap::new(), entries: 0, deletions: 0, capacity, version: 0 }
    }

    /// Enters what was checked and, since then, applied.
    ///
    /// # Panics
    ///
    /// When something else was entered in between.
    pub fn admit(&mut self, checked: Checked) {
        assert_eq!(checked.version, self.version, "something else was entered since this was checked");
        self.version += 1;
        self.entries += checked.taken;
        self.names.add(checked.agents, checked.fields);
        for mut added in checked.added {
            let client = self.clients.entry(added.client).or_default();
            if added.joins && client.entries.last().map(|last| last.of) == added.entries.first().map(|first| first.of) {
                added.entries.remove(0);
            }
            for entry in &added.entries {
                if entry.of.kind != Kind::Gone {
                    *self.chains.entry(entry.of.place).or_default() += 1;
                }
            }
            self.entries += added.entries.len();
            client.entries.append(&mut added.entries);
            client.next = added.next;
        }
        for (client, ranges) in checked.replaced {
            if let Some(client) = self.clients.get_mut(&client) {
                client.replaced.extend(ranges);
            }
        }
        for (client, ranges) in checked.deleted {
            self.note_deleted(client, ranges);
        }
    }

    /// Enters that these ranges `[begin, end)` are deleted, as a library found when it applied an update: of two values
    /// that were set at once, it deletes one without being told.
    pub fn note_deleted(&mut self, client: u64, mut ranges: Vec<[u32; 2]>) {
        let Some(client) = self.clients.get_mut(&client) else { return };
        for [_, end] in &mut ranges {
            *end = client.next.min(*end);
        }
        let before = client.deleted.count();
        client.deleted.extend(ranges);
        self.deletions = self.deletions - before + client.deleted.count();
    }

    /// Whether this client is the host, now or in an earlier epoch.
    pub fn is_host(&self, client: u64) -> bool {
        self.host.contains(&client)
    }

    /// How many structs of this client are known.
    pub fn next(&self, client: u64) -> u32 {
        self.clients.get(&client).map_or(0, |client| client.next)
    }

    /// Whether anything of this client is known.
    pub fn knows(&self, client: u64) -> bool {
        self.clients.contains_key(&client)
    }

    /// How many structs of each client are known.
    pub fn state_vector(&self) -> StateVector {
        StateVector(self.clients.iter().map(|(client, known)| (*client, known.next)).collect())
    }

    /// Entries, of the capacity's.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// How much of its capacity is used.
    pub fn used(&self) -> Capacity {
        Capacity {
            clients: self.clients.len(),
            entries: self.entries,
            agents: self.names.agents.len(),
            fields: self.names.fields.len(),
            deletions: self.deletions,
            comparisons: 0,
        }
    }

    /// How much there may be.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        let of_client = |client: &Client| {
            let ranges = client.deleted.bytes() + client.replaced.bytes();
            // What there is room for doubles.
            client.entries.len().next_power_of_two() * size_of::<Entry>() + ranges + 2 * size_of::<Client>()
        };
        let chains = self.chains.capacity() * 2 * size_of::<(Place, u32)>();
        chains + self.names.bytes() + self.clients.values().map(of_client).sum::<usize>()
    }

    /// Whether another struct has taken the place of this one.
    fn is_replaced(&self, id: crate::Id) -> bool {
        self.clients.get(&id.client).is_some_and(|client| client.replaced.has(id.clock))
    }

    /// What a known struct is.
    fn find(&self, client: u64, clock: u32) -> Option<Of> {
        let known = self.clients.get(&client)?;
        if clock < known.next { find(&known.entries, clock) } else { None }
    }
}

/// The entry that a clock belongs to.
fn find(entries: &[Entry], clock: u32) -> Option<Of> {
    let after = entries.partition_point(|entry| entry.clock <= clock);
    Some(entries[after.checked_sub(1)?].of)
}

impl From<Malformed> for Standing {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Gap { client, clock } => write!(f, "structs of client {client} are missing from clock {clock} on"),
            Self::Forged(client) => write!(f, "it writes as client {client}, which is the host's own id"),
            Self::Full { limit, max, wanted } => {
                write!(f, "the document is full: {limit} would be {wanted}, and {max} are allowed")
            }
        }
    }
}

impl std::error::Error for Standing {}

impl fmt::Display for Touch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "`{}` of agent `{}`", field, self.agent),
            None => write!(f, "agent `{}`", self.agent),
        }
    }
}
