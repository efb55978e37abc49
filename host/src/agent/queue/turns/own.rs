//! Places of their own: what is kept for one call of each agent, as agents come and go.

use stockade_ledger::{Account, Refusal, Spec};

use super::{Line, LineId, Need, Own, State, Terms};

/// Of instances, guest memory and copies, at most this part is kept for calls in places of their own: the rest is everybody's.
pub(super) const KEPT_PART: u32 = 2;

/// An account, and the part of it that is nobody's own.
#[derive(Debug)]
pub(super) struct Pot {
    pub(super) all: Account,
    pub(super) shared: Account,
}

impl State {
    /// A line for an agent that has come: with a place of its own, if half of everything still suffices for that and what
    /// would be kept for it is not lent just now.
    pub fn open(&mut self, terms: Terms) -> LineId {
        let own = if self.keep(terms.first) { Own::Free } else { Own::None };
        let line = Line::new(terms, own);
        match self.vacant.pop() {
            Some(vacant) => {
                self.lines[vacant.0] = line;
                vacant
            }
            None => {
                self.lines.push(line);
                LineId(self.lines.len() - 1)
            }
        }
    }

    /// The line's agent is gone: it ends when its last call has.
    pub fn close(&mut self, line: LineId) {
        self.lines[line.0].closed = true;
        self.vacate(line);
    }

    pub(super) fn vacate(&mut self, line: LineId) {
        let Line { closed, running, own, terms, .. } = &self.lines[line.0];
        if !closed || *running > 0 {
            return;
        }
        if *own != Own::None {
            self.kept.reserve -= terms.first.reserve;
            self.kept.copies -= terms.first.copies;
            self.owned -= 1;
            self.instances += 1;
            // A ceiling that rises is above what is lent.
            let _ = self.guests.keep(self.kept.reserve).and_then(|()| self.copies.keep(self.kept.copies));
        }
        self.vacant.push(line);
    }

    /// Keeps a place for one call more, out of what is shared; false if there is none to be kept now.
    fn keep(&mut self, first: Need) -> bool {
        let with = sum(self.kept, first);
        let half = |pot: &Pot| pot.all.ceiling() / u64::from(KEPT_PART);
        let fits = self.owned < self.owned_max
            && self.instances > 0
            && with.reserve <= half(&self.guests)
            && with.copies <= half(&self.copies);
        if !fits || self.guests.keep(with.reserve).is_err() {
            return false;
        }
        if self.copies.keep(with.copies).is_err() {
            // Back to where it was a moment ago, which is higher.
            let _ = self.guests.keep(self.kept.reserve);
            return false;
        }
        (self.kept, self.owned, self.instances) = (with, self.owned + 1, self.instances - 1);
        true
    }
}

/// Which agents of these terms get a place of their own: the first ones, as far as these take no more than half of what
/// there is. Instances are no matter where there is one for every call that may run.
pub(in crate::agent) fn own_places(terms: &[Terms], all: Need, instances: u32) -> Vec<bool> {
    let calls: u64 = terms.iter().map(|terms| u64::from(terms.concurrency)).sum();
    let instances = if calls <= u64::from(instances) { instances } else { instances / KEPT_PART };
    let (mut kept, mut owned) = (Need::default(), 0);
    let mut has_own = |terms: &Terms| {
        let with = sum(kept, terms.first);
        let fits = owned < instances
            && with.reserve <= all.reserve / u64::from(KEPT_PART)
            && with.copies <= all.copies / u64::from(KEPT_PART);
        if fits {
            (kept, owned) = (with, owned + 1);
        }
        fits
    };
    terms.iter().map(&mut has_own).collect()
}

pub(super) fn sum(a: Need, b: Need) -> Need {
    Need { reserve: a.reserve + b.reserve, copies: a.copies + b.copies, goes_on: false }
}

impl Pot {
    /// Of which so many bytes are kept.
    pub(super) fn new(all: &Account, kept: u64) -> Self {
        let shared = Spec { name: "shared".into(), ceiling: all.ceiling() - kept, floor: 0 };
        Self { all: all.clone(), shared: all.child(shared) }
    }

    /// Keeps so many bytes from now on.
    fn keep(&self, kept: u64) -> Result<(), Refusal> {
        self.shared.set_ceiling(self.all.ceiling() - kept)
    }
}
