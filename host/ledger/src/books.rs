//! The arithmetic of the books: pure, without locks.
//!
//! Owns every rule about ceilings and floors. The root is an entry like the others, named `memory`, its ceiling what may
//! be lent. A change climbs from an account to the root. An entry with a floor occupies the larger of used and floor in
//! its parent, so what happens below the floor goes no higher.
//!
//! Invariants, for every entry: `used` = its own charges + what its children occupy; `promised` = the sum of its
//! children's floors; `promised` <= `used` <= `ceiling`. Every method checks all before it changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Refusal, RefusalKind};

#[cfg(all(test, not(loom)))]
mod tests;

/// The root's name in refusals.
pub(crate) const ROOT_NAME: &str = "memory";

/// Names an account in the books; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountId(u64);

/// The root is the first.
const ROOT: AccountId = AccountId(0);

pub(crate) struct Books {
    /// Ordered by age, so snapshots keep their order and a parent stands before its children.
    entries: BTreeMap<AccountId, Entry>,
    next: AccountId,
}

/// All figures of a ledger at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes the root may lend.
    pub lendable: u64,
    /// Bytes the root has lent or set aside: for each account it lends to, the larger of used and floor. With nothing
    /// charged it is the sum of the floors.
    pub used: u64,
    /// The most `used` has been.
    pub peak: u64,
    /// Requests the root has refused.
    pub refusals: u64,
    /// Every account, children included, oldest first.
    pub accounts: Vec<AccountSnapshot>,
}

/// The figures of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// Its full name, e.g. `guests/files`.
    pub name: Arc<str>,
    /// Bytes charged to it and its children now.
    pub used: u64,
    /// The most `used` has been since it was opened.
    pub peak: u64,
    /// Bytes it may lend at most.
    pub ceiling: u64,
    /// Bytes it can always lend.
    pub floor: u64,
    /// Requests to it or its children that were refused by it or above it.
    pub refusals: u64,
}

struct Entry {
    name: Arc<str>,
    parent: Option<AccountId>,
    ceiling: u64,
    floor: u64,
    used: u64,
    promised: u64,
    peak: u64,
    refusals: u64,
}

/// What stands between a request and an entry's parent: now, or on books where nobody holds a byte.
struct Headroom {
    /// Bytes the entry can still lend.
    room: u64,
    /// Of those, bytes that its floor already occupies in the parent.
    guaranteed: u64,
}

impl Entry {
    fn new(name: Arc<str>, parent: Option<AccountId>, ceiling: u64, floor: u64) -> Entry {
        Entry { name, parent, ceiling, floor, used: 0, promised: 0, peak: 0, refusals: 0 }
    }

    fn now(&self) -> Headroom {
        Headroom { room: self.ceiling - self.used, guaranteed: self.floor.saturating_sub(self.used) }
    }

    fn at_best(&self) -> Headroom {
        Headroom { room: self.ceiling - self.promised, guaranteed: self.floor.saturating_sub(self.promised) }
    }

    fn raise(&mut self, by: u64) {
        self.used += by;
        self.peak = self.peak.max(self.used);
    }

    fn refuse(&self, wanted: u64, kind: RefusalKind) -> Refusal {
        Refusal { account: self.name.clone(), wanted, used: self.used, limit: self.ceiling, kind }
    }
}

impl Books {
    /// Books with a root that may lend `lendable` bytes, and the root's id.
    pub(crate) fn new(lendable: u64) -> (Books, AccountId) {
        let root = Entry::new(ROOT_NAME.into(), None, lendable, 0);
        (Books { entries: BTreeMap::from([(ROOT, root)]), next: AccountId(ROOT.0 + 1) }, ROOT)
    }

    /// Enters an account and sets its floor aside. Only the root can set bytes aside.
    pub(crate) fn open(
        &mut self,
        parent: AccountId,
        name: Arc<str>,
        ceiling: u64,
        floor: u64,
    ) -> Result<AccountId, Refusal> {
        assert!(floor == 0 || parent == ROOT, "only the root guarantees bytes, not the parent of `{name}`");
        let entry = Entry::new(name, Some(parent), ceiling, floor);
        if floor > ceiling {
            return Err(entry.refuse(floor, RefusalKind::Never));
        }
        if floor > 0 {
            self.charge(parent, 0, floor)?;
            self.entry_mut(parent).promised += floor;
        }
        let id = self.next;
        self.next = AccountId(id.0 + 1);
        self.entries.insert(id, entry);
        Ok(id)
    }

    /// Strikes an account out and gives its floor back.
    pub(crate) fn close(&mut self, id: AccountId) {
        let Entry { name, parent, floor, used, .. } = self.entry(id);
        assert_eq!(*used, 0, "`{name}` was closed while bytes were charged to it");
        let (parent, floor) = (*parent, *floor);
        if let Some(parent) = parent {
            self.release(parent, floor);
            self.entry_mut(parent).promised -= floor;
        }
        self.entries.remove(&id);
    }

    /// Charges `by` more bytes to a holder that holds `held`, in its account and all above it, or changes no sum.
    pub(crate) fn charge(&mut self, id: AccountId, held: u64, by: u64) -> Result<(), Refusal> {
        if let Some(refuser) = self.refuser(id, by, Entry::now) {
            // Asking again helps only if the whole, not just the growth, fits when everybody else has left.
            return Err(match self.refuser(id, held.saturating_add(by), Entry::at_best) {
                Some(refuser) => self.refuse(id, refuser, by, RefusalKind::Never),
                None => self.refuse(id, refuser, by, RefusalKind::FullNow),
            });
        }
        self.climb(id, by, |entry, by| {
            let guaranteed = entry.now().guaranteed;
            entry.raise(by);
            by.saturating_sub(guaranteed)
        });
        Ok(())
    }

    /// Gives back `by` bytes that were charged before.
    pub(crate) fn release(&mut self, id: AccountId, by: u64) {
        let Entry { name, used, .. } = self.entry(id);
        assert!(by <= *used, "`{name}` was given back {by} bytes, but had lent only {used}");
        self.climb(id, by, |entry, by| {
            let above_floor = entry.used.saturating_sub(entry.floor);
            // Above the first entry this cannot fail: what an entry occupies, its parent counts as used.
            entry.used = entry.used.checked_sub(by).expect("an account's parent has lent at least as much");
            by.min(above_floor)
        });
    }

    pub(crate) fn name(&self, id: AccountId) -> Arc<str> {
        self.entry(id).name.clone()
    }

    pub(crate) fn used(&self, id: AccountId) -> u64 {
        self.entry(id).used
    }

    pub(crate) fn ceiling(&self, id: AccountId) -> u64 {
        self.entry(id).ceiling
    }

    /// Moves a ceiling, never below what is lent under it.
    pub(crate) fn set_ceiling(&mut self, id: AccountId, bytes: u64) -> Result<(), Refusal> {
        let entry = self.entry_mut(id);
        let lent = entry.used.max(entry.promised).max(entry.floor);
        if bytes < lent {
            return Err(entry.refuse(entry.ceiling - bytes, RefusalKind::FullNow));
        }
        entry.ceiling = bytes;
        Ok(())
    }

    /// Bytes a charge to this account could get now.
    pub(crate) fn free(&self, id: AccountId) -> u64 {
        let (mut free, mut guaranteed) = (u64::MAX, 0u64);
        for (_, entry) in self.upwards(id) {
            let now = entry.now();
            free = free.min(now.room.saturating_add(guaranteed));
            guaranteed = guaranteed.saturating_add(now.guaranteed);
        }
        free
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let root = self.entry(ROOT);
        let accounts = self.entries.iter().filter(|(id, _)| **id != ROOT).map(|(_, entry)| AccountSnapshot {
            name: entry.name.clone(),
            used: entry.used,
            peak: entry.peak,
            ceiling: entry.ceiling,
            floor: entry.floor,
            refusals: entry.refusals,
        });
        Snapshot {
            lendable: root.ceiling,
            used: root.used,
            peak: root.peak,
            refusals: root.refusals,
            accounts: accounts.collect(),
        }
    }

    /// The first account, from `id` up, in which `by` more bytes do not fit.
    fn refuser(&self, id: AccountId, mut by: u64, headroom: fn(&Entry) -> Headroom) -> Option<AccountId> {
        for (id, entry) in self.upwards(id) {
            let Headroom { room, guaranteed } = headroom(entry);
            if by > room {
                return Some(id);
            }
            by = by.saturating_sub(guaranteed);
        }
        None
    }

    /// Counts a refusal in every account from the one that was asked up to the one that refused.
    fn refuse(&mut self, asked: AccountId, refuser: AccountId, wanted: u64, kind: RefusalKind) -> Refusal {
        let mut next = Some(asked);
        while let Some(id) = next {
            let entry = self.entry_mut(id);
            entry.refusals += 1;
            next = entry.parent.filter(|_| id != refuser);
        }
        self.entry(refuser).refuse(wanted, kind)
    }

    /// Changes an account and all above it: `step` changes one entry and returns how many bytes its parent sees.
    fn climb(&mut self, id: AccountId, mut bytes: u64, step: impl Fn(&mut Entry, u64) -> u64) {
        let mut next = Some(id);
        while let Some(id) = next {
            let entry = self.entry_mut(id);
            bytes = step(entry, bytes);
            next = entry.parent;
        }
    }

    /// An account and all above it, the root last.
    fn upwards(&self, id: AccountId) -> impl Iterator<Item = (AccountId, &Entry)> {
        let with_entry = |id| (id, self.entry(id));
        std::iter::successors(Some(with_entry(id)), move |(_, entry)| entry.parent.map(with_entry))
    }

    fn entry(&self, id: AccountId) -> &Entry {
        self.entries.get(&id).expect("an account stays in the books as long as a handle names it")
    }

    fn entry_mut(&mut self, id: AccountId) -> &mut Entry {
        self.entries.get_mut(&id).expect("an account stays in the books as long as a handle names it")
    }
}
