//! An update that was checked: what it would change, and what that takes.

use std::collections::HashMap;

use super::{Entry, Ledger, Place, Touch, WHOLE};

/// An update that fits, and what it would change. To be [admitted](Ledger::admit) once it is applied.
#[derive(Debug)]
pub struct Checked {
    /// Of the ledger it was checked against.
    pub(super) version: u64,
    pub(super) added: Vec<Added>,
    /// Ranges whose places are taken.
    pub(super) replaced: HashMap<u64, Vec<[u32; 2]>>,
    /// Ranges that were not deleted before.
    pub(super) deleted: Vec<(u64, Vec<[u32; 2]>)>,
    /// Those of them that touch none which was.
    pub(super) apart: usize,
    /// Names that are new.
    pub(super) agents: Vec<Box<str>>,
    pub(super) fields: Vec<Box<str>>,
    pub(super) touched: Vec<Place>,
    pub(super) comparisons: usize,
    /// Structs that take a place which is taken: a library may have to take a run apart for each.
    pub(super) taken: usize,
}

/// What an update takes from a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burden {
    /// Runs of structs that are new, or taken apart.
    pub entries: usize,
    /// Clients that have never written before.
    pub clients: usize,
    /// Ranges that are deleted apart from all that were before.
    pub deletions: usize,
    /// Structs that a library compares others with.
    pub comparisons: usize,
}

/// Structs of one client that are new.
#[derive(Debug)]
pub(super) struct Added {
    pub client: u64,
    pub entries: Vec<Entry>,
    /// The first goes on with the client's last entry, if that is of the same.
    pub joins: bool,
    /// The first clock of them.
    pub known: u32,
    /// The first clock behind them.
    pub next: u32,
}

impl Checked {
    /// True if it changes nothing: all of it is known.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.deleted.is_empty()
    }

    /// Clients of whom it brings structs, and how many of theirs were known before.
    pub fn writers(&self) -> impl Iterator<Item = (u64, u32)> {
        self.added.iter().map(|added| (added.client, added.known))
    }

    /// What it takes from a document that lasts: entries, clients that are new, a library's time.
    pub fn burden(&self) -> Burden {
        let entries = self.added.iter().map(|added| added.entries.len()).sum::<usize>() + self.taken;
        let clients = self.added.iter().filter(|added| added.known == 0).count();
        Burden { entries, clients, deletions: self.apart, comparisons: self.comparisons }
    }

    /// What it would set or delete, each once. `ledger` is the one that checked it.
    pub fn touches<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = Touch<'a>> {
        let agents = &ledger.names.agents;
        let fields = &ledger.names.fields;
        self.touched.iter().filter_map(move |place| {
            let agent = name(agents.get(place.agent), &self.agents, place.agent as usize, agents.len())?;
            let field = match place.field {
                WHOLE => None,
                field => {
                    let number = field - 1;
                    Some(name(fields.get(number), &self.fields, number as usize, fields.len())?)
                }
            };
            Some(Touch { agent, field })
        })
    }
}

fn name<'a>(known: Option<&'a str>, new: &'a [Box<str>], number: usize, count: usize) -> Option<&'a str> {
    known.or_else(|| new.get(number.checked_sub(count)?).map(|name| &**name))
}
