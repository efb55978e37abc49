//! Whose turn it is: the arithmetic of the door, without waiting.
//!
//! Three rules. *One call of each agent has a place of its own*, as far as half of what there is suffices for all of them:
//! instance, reserve and copies are kept for it, and everything else, growth of all calls included, shares the rest. So
//! nobody, however popular or hostile, keeps another agent from running at all. *Of the others, who holds least for its
//! weight comes first*: a long line gets no more than a short one. *Who has waited half of its patience is waited for*: what
//! is given back is left to it, as nothing small slips through in front of it any more. So a large need comes to its turn,
//! too.

mod own;

use std::collections::VecDeque;
use std::time::Duration;

use stockade_ledger::{Account, Charge, RefusalKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Closed, Need, Ticket};
pub(in crate::agent) use own::own_places;
use own::{KEPT_PART, Pot, sum};

use crate::memory::{Accounts, Ease, Level, Pressure, Reading, Relief};

/// Of the calls that an agent may run at once, this part may while memory is critical.
const CRITICAL_PART: u32 = 2;

/// What an agent's line is opened with.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Terms {
    /// Calls at once.
    pub concurrency: u32,
    /// Calls that may wait.
    pub waiting_max: u32,
    /// Its share when there is not enough for all, beside those of others.
    pub weight: u32,
    /// What one call needs: kept for it, if there is enough.
    pub first: Need,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct LineId(pub(super) usize);

/// All lines, and what is there for them.
#[derive(Debug)]
pub(super) struct State {
    guests: Pot,
    copies: Pot,
    pressure: Pressure,
    relief: Relief,
    /// Instances that are nobody's own and free.
    instances: u32,
    /// What is kept for calls in places of their own, and how many places of their own there may be.
    kept: Need,
    owned: u32,
    owned_max: u32,
    lines: Vec<Line>,
    /// Lines of agents that are gone, for those that come.
    vacant: Vec<LineId>,
    /// Lines with somebody waiting, in the order in which they were last served.
    turns: VecDeque<LineId>,
    next_waiter: u64,
    /// When somebody was last let in, or nobody could be.
    looked: Option<Instant>,
}

/// The line of one agent.
#[derive(Debug)]
struct Line {
    terms: Terms,
    own: Own,
    running: u32,
    /// Reserves of what runs, in bytes.
    held: u64,
    waiting: VecDeque<Waiter>,
    /// Its agent is gone.
    closed: bool,
}

/// The place of its own that an agent has for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// There are too many agents for that.
    None,
    Free,
    Taken,
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub pass: oneshot::Sender<Ticket>,
    id: u64,
    need: Need,
    /// From then on the others wait for it.
    overdue: Instant,
    _charge: Charge,
}

/// What a call has been granted.
#[derive(Debug)]
pub(super) struct Taken {
    pub reserve: [Charge; 2],
    pub copies: Charge,
    /// Whether it runs in its agent's own place.
    pub own: bool,
}

impl State {
    /// Lines for agents of these terms, in their order.
    pub fn new(accounts: &Accounts, instances: u32, terms: &[Terms]) -> Self {
        let (guests, copies) = (&accounts.guests, &accounts.copies);
        let all = Need { reserve: guests.ceiling(), copies: copies.ceiling(), goes_on: false };
        let (mut kept, mut own_instances) = (Need::default(), 0);
        let mut open = |(terms, has_own): (&Terms, bool)| {
            if has_own {
                kept = sum(kept, terms.first);
                own_instances += 1;
            }
            let own = if has_own { Own::Free } else { Own::None };
            Line::new(*terms, own)
        };
        let lines = terms.iter().zip(own_places(terms, all, instances)).map(&mut open).collect();
        Self {
            guests: Pot::new(guests, kept.reserve),
            copies: Pot::new(copies, kept.copies),
            pressure: accounts.pressure.clone(),
            relief: accounts.relief.clone(),
            instances: instances - own_instances,
            kept,
            owned: own_instances,
            owned_max: instances / KEPT_PART,
            lines,
            vacant: Vec::new(),
            turns: VecDeque::new(),
            next_waiter: 0,
            looked: None,
        }
    }

    /// From now on so many calls of a line may run at once.
    pub fn set_concurrency(&mut self, line: LineId, concurrency: u32) {
        self.lines[line.0].terms.concurrency = concurrency;
    }

    /// Pays for guest memory that is nobody's own.
    pub fn shared(&self) -> &Account {
        &self.guests.shared
    }

    /// Pays for copies that are nobody's own.
    pub fn shared_copies(&self) -> &Account {
        &self.copies.shared
    }

    pub fn has_own(&self, line: LineId) -> bool {
        self.lines[line.0].own != Own::None
    }

    pub fn crowd(&self, line: LineId) -> (u32, usize) {
        let line = &self.lines[line.0];
        (line.running, line.waiting.len())
    }

    /// Why nothing new may even wait: memory is really at its end.
    pub fn refuses(&self, need: Need) -> Option<Closed> {
        let reading = self.pressure.reading();
        let refused = reading.refusing && !need.goes_on;
        refused.then(|| Closed::Pressure { cap: reading.limit, used: reading.used() })
    }

    pub fn busy(&self, line: LineId) -> Closed {
        self.lines[line.0].busy()
    }

    /// Whether a call that has just come need not wait for those that came before.
    pub fn may_go_at_once(&self, line: LineId) -> bool {
        let own = &self.lines[line.0];
        let reading = self.pressure.reading();
        let someone_could = || self.turns.iter().any(|line| self.lines[line.0].may_run(&reading));
        own.waiting.is_empty() && own.has_place() && (own.own == Own::Free || !someone_could())
    }

    /// # Errors
    ///
    /// When as many wait in this line as may.
    pub fn has_room(&self, line: LineId) -> Result<(), Closed> {
        let line = &self.lines[line.0];
        if line.waiting.len() < line.terms.waiting_max as usize { Ok(()) } else { Err(line.busy()) }
    }

    /// Puts somebody at the end of a line, and answers with its number.
    pub fn queue(
        &mut self,
        line: LineId,
        need: Need,
        patience: Duration,
        pass: oneshot::Sender<Ticket>,
        charge: Charge,
    ) -> u64 {
        let id = self.next_waiter;
        self.next_waiter += 1;
        if self.lines[line.0].waiting.is_empty() {
            self.turns.push_back(line);
        }
        let overdue = Instant::now() + patience / 2;
        self.lines[line.0].waiting.push_back(Waiter { id, need, pass, overdue, _charge: charge });
        id
    }

    /// Takes somebody out of a line.
    pub fn leave(&mut self, line: LineId, id: u64) {
        let waiting = &mut self.lines[line.0].waiting;
        let before = waiting.len();
        waiting.retain(|waiter| waiter.id != id);
        if before > 0 && waiting.is_empty() {
            self.turns.retain(|other| *other != line);
        }
    }

    /// Takes a call's place back, and says whether somebody waits.
    pub fn give_back(&mut self, id: LineId, reserve: u64, own: bool) -> bool {
        let line = &mut self.lines[id.0];
        line.running -= 1;
        line.held -= reserve;
        if own {
            line.own = Own::Free;
        } else {
            self.instances += 1;
        }
        self.vacate(id);
        !self.turns.is_empty()
    }

    /// Whether nobody has looked within this time; then somebody has now.
    pub fn is_due(&mut self, pause: Duration) -> bool {
        let now = Instant::now();
        let due = self.looked.is_none_or(|looked| now - looked >= pause);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// The next one who passes, with what it was granted.
    pub fn next(&mut self) -> Option<(LineId, Waiter, Taken)> {
        let now = Instant::now();
        let mut order: Vec<LineId> = self.turns.iter().copied().collect();
        order.sort_by_key(|line| self.lines[line.0].share());
        let mut waited_for = false;
        for line in order {
            let own = &self.lines[line.0];
            if !own.has_place() || (waited_for && own.own != Own::Free) {
                continue;
            }
            let front = own.waiting.front().expect("a line in `turns` has a waiter");
            let (need, overdue) = (front.need, front.overdue <= now);
            match self.take(line, need) {
                Ok(taken) => {
                    let waiter = self.lines[line.0].waiting.pop_front().expect("it was there a moment ago");
                    self.turns.retain(|other| *other != line);
                    if !self.lines[line.0].waiting.is_empty() {
                        self.turns.push_back(line);
                    }
                    return Some((line, waiter, taken));
                }
                // What its own agent lacks, others cannot give by waiting.
                Err(Closed::HostFull(_) | Closed::NoInstance { .. }) => waited_for |= overdue,
                Err(_) => {}
            }
        }
        None
    }

    /// Whether what is free is left to somebody else: one before this line who has waited for long.
    pub fn is_left_to_others(&self, line: LineId) -> bool {
        let (now, own) = (Instant::now(), &self.lines[line.0]);
        own.own != Own::Free
            && self.turns.iter().filter(|other| **other != line).any(|other| {
                let other = &self.lines[other.0];
                let overdue = other.waiting.front().is_some_and(|front| front.overdue <= now);
                overdue && other.has_place() && other.share() <= own.share()
            })
    }

    /// Takes what a call needs, or nothing: its agent's own place if that is free, else what is shared.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn take(&mut self, line: LineId, need: Need) -> Result<Taken, Closed> {
        self.bears(line, need)?;
        let Line { own, terms, .. } = &self.lines[line.0];
        let own = *own == Own::Free;
        if !own && self.instances == 0 {
            let running = self.lines.iter().map(|line| u64::from(line.running)).sum();
            return Err(Closed::NoInstance { cap: running });
        }
        let kept = if own { terms.first } else { Need::default() };
        let lend = |pot: &Pot, need: u64, kept: u64| {
            let from_own = self.lend(&pot.all, need.min(kept), own)?;
            Ok([from_own, self.lend(&pot.shared, need.saturating_sub(kept), own)?])
        };
        let reserve = lend(&self.guests, need.reserve, kept.reserve)?;
        // All of one account, as it is split and handed on: every call of an agent is granted as many.
        let copies = if own { &self.copies.all } else { &self.copies.shared };
        let copies = self.lend(copies, need.copies, own)?;
        let line = &mut self.lines[line.0];
        line.running += 1;
        line.held += need.reserve;
        if own {
            line.own = Own::Taken;
        } else {
            self.instances -= 1;
        }
        Ok(Taken { reserve, copies, own })
    }

    /// Whether memory use allows this line one call more; a read that goes on is none.
    fn bears(&self, line: LineId, need: Need) -> Result<(), Closed> {
        let own = &self.lines[line.0];
        if !own.has_place() {
            return Err(own.busy());
        }
        if need.goes_on {
            return Ok(());
        }
        let reading = self.pressure.reading();
        if own.may_run(&reading) {
            return Ok(());
        }
        Err(Closed::Pressure { cap: reading.limit, used: reading.used() })
    }

    /// Charges an account. For a place of its own, those who can do without are asked before it gives up; whoever shares
    /// looks again a hundred times a second, and must not have everybody's code loaded anew each time.
    fn lend(&self, account: &Account, bytes: u64, own: bool) -> Result<Charge, Closed> {
        let charged = account.charge(bytes).or_else(|refusal| {
            let others_can_help = own && refusal.is_by_root() && refusal.kind == RefusalKind::FullNow;
            if !others_can_help || self.relief.ask(bytes, ..=Ease::Code).is_empty() {
                return Err(refusal);
            }
            account.charge(bytes)
        });
        charged.map_err(Closed::HostFull)
    }
}

impl Line {
    fn new(terms: Terms, own: Own) -> Self {
        Self { terms, own, running: 0, held: 0, waiting: VecDeque::new(), closed: false }
    }

    /// Whether it may run one call more while memory stands like this.
    fn may_run(&self, reading: &Reading) -> bool {
        let may = match reading.level {
            _ if reading.refusing => 0,
            Level::Normal | Level::Warning => self.terms.concurrency,
            Level::Critical => (self.terms.concurrency / CRITICAL_PART).max(1),
            Level::Maximum if self.own == Own::Free => self.terms.concurrency,
            Level::Maximum => 0,
        };
        self.running < may.min(self.terms.concurrency)
    }

    fn has_place(&self) -> bool {
        self.running < self.terms.concurrency
    }

    /// What it holds for its weight: who has less comes first.
    fn share(&self) -> u64 {
        self.held / u64::from(self.terms.weight.max(1))
    }

    fn busy(&self) -> Closed {
        let used = u64::from(self.running) + self.waiting.len() as u64;
        Closed::Busy { cap: u64::from(self.terms.concurrency) + u64::from(self.terms.waiting_max), used }
    }
}
