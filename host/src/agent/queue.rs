//! The door: who may call now, and who waits.
//!
//! Owns the waiting. A call passes when its agent has a free place, the pool a free instance and the ledger the bytes it is
//! guaranteed (`turns` decides); until then it waits, holding nothing, in its agent's own bounded line.

mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_ledger::{Account, Charge, Refusal, RefusalKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::memory::Accounts;
pub(super) use turns::{LineId, Terms, own_places};
use turns::{State, Waiter};

/// Bytes a waiting call takes in the queue.
const WAITER_BYTES: u64 = 512;

/// How often waiters look for bytes that others than calls have given back.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All lines, one per agent.
#[derive(Debug, Clone)]
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Account,
    state: Mutex<State>,
}

/// What a call is guaranteed before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Need {
    /// Guest memory, its stack included.
    pub reserve: u64,
    /// Copies out of the guest.
    pub copies: u64,
    /// It is part of a read that has begun: not refused for want of memory, as what is new would be.
    pub goes_on: bool,
}

/// Leave to run one call. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Pays for the copies of the call's result.
    pub copies: Charge,
    /// Pays for guest memory up to the reserve.
    _reserve: [Charge; 2],
    _place: Place,
}

/// A place in a line's running calls and in the pool.
#[derive(Debug)]
struct Place {
    door: Door,
    line: LineId,
    /// What it adds to what its line holds.
    reserve: u64,
    /// Whether it is the one that its agent has for itself.
    own: bool,
}

/// Why a call may not even wait, or waited in vain.
#[derive(Debug)]
pub(super) enum Closed {
    /// The agent's places and its line are taken.
    Busy { cap: u64, used: u64 },
    /// The host has no memory for it.
    HostFull(Refusal),
    /// The pool has no instance for it.
    NoInstance { cap: u64 },
    /// Memory use is so high that calls beyond the first of each agent, or all of them, have to wait.
    Pressure { cap: u64, used: u64 },
}

impl Closed {
    /// Waiting cannot help.
    pub fn for_ever(&self) -> bool {
        matches!(self, Self::HostFull(refusal) if refusal.kind == RefusalKind::Never)
    }
}

impl Door {
    /// For a host whose pool has so many instances: with a line for each agent, of these terms, in this order.
    pub fn new(accounts: &Accounts, instances: u32, terms: &[Terms]) -> (Self, Vec<LineId>) {
        let state = Mutex::new(State::new(accounts, instances, terms));
        let door = Self(Arc::new(Inner { queues: accounts.queues.clone(), state }));
        (door, (0..terms.len()).map(LineId).collect())
    }

    /// A line for an agent that has come while the host runs.
    pub fn open(&self, terms: Terms) -> LineId {
        self.lock().open(terms)
    }

    /// Ends the line of an agent that is gone, with its last call; nobody may wait in it any more.
    pub fn close(&self, line: LineId) {
        self.lock().close(line);
        self.advance(None);
    }

    /// Pays for growth: guest memory that is kept for nobody's first call.
    pub fn shared(&self) -> Account {
        self.lock().shared().clone()
    }

    /// Pays for copies that outlive their call: they must not take the place of the next one.
    pub fn shared_copies(&self) -> Account {
        self.lock().shared_copies().clone()
    }

    /// From now on so many calls of this line may run at once; those that run already go on.
    pub fn set_concurrency(&self, line: LineId, concurrency: u32) {
        self.lock().set_concurrency(line, concurrency);
        self.advance(None);
    }

    /// Whether one call of this line has a place of its own, and never waits for the calls of others.
    pub fn has_own(&self, line: LineId) -> bool {
        self.lock().has_own(line)
    }

    /// Calls of this line that run, and that wait.
    pub fn crowd(&self, line: LineId) -> (u32, usize) {
        self.lock().crowd(line)
    }

    /// Waits for leave to run, at most `patience`. Dropping the future leaves the line.
    pub async fn pass(&self, line: LineId, need: Need, patience: Duration) -> Result<Ticket, Closed> {
        let mut waiter = match self.enter(line, need, patience)? {
            Entered::Passed(ticket) => return Ok(ticket),
            Entered::Waiting(waiter) => waiter,
        };
        let deadline = Instant::now() + patience;
        loop {
            let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
            match tokio::time::timeout_at(look_again, &mut waiter.passed).await {
                Ok(Ok(ticket)) => return Ok(ticket),
                Ok(Err(_)) => unreachable!("a waiter leaves the line only by its turn or by its own drop"),
                Err(_) if Instant::now() < deadline => self.advance(Some(LOOK_AGAIN)),
                // Its turn may have come this very moment.
                Err(_) => return waiter.passed.try_recv().or_else(|_| self.last_try(line, need)),
            }
        }
    }

    fn enter(&self, line: LineId, need: Need, patience: Duration) -> Result<Entered, Closed> {
        let mut state = self.lock();
        if let Some(closed) = state.refuses(need) {
            return Err(closed);
        }
        if state.may_go_at_once(line) {
            match state.take(line, need) {
                Ok(taken) => return Ok(Entered::Passed(self.ticket(line, taken))),
                Err(closed) if closed.for_ever() => return Err(closed),
                Err(_) => {}
            }
        }
        state.has_room(line)?;
        let charge = self.0.queues.charge(WAITER_BYTES).map_err(Closed::HostFull)?;
        let (pass, passed) = oneshot::channel();
        let id = state.queue(line, need, patience, pass, charge);
        Ok(Entered::Waiting(Waiting { door: self.clone(), line, id, passed }))
    }

    fn ticket(&self, line: LineId, taken: turns::Taken) -> Ticket {
        let turns::Taken { reserve, copies, own } = taken;
        let bytes = reserve.iter().map(Charge::bytes).sum();
        let place = Place { door: self.clone(), line, reserve: bytes, own };
        Ticket { copies, _reserve: reserve, _place: place }
    }

    /// Lets in whoever can pass now, in turn; not again if that was done within `pause`.
    fn advance(&self, pause: Option<Duration>) {
        let mut passing = Vec::new();
        {
            let mut state = self.lock();
            if pause.is_some_and(|pause| !state.is_due(pause)) {
                return;
            }
            while let Some((line, Waiter { pass, .. }, taken)) = state.next() {
                passing.push((pass, self.ticket(line, taken)));
            }
        }
        // Outside the lock: the ticket of a waiter that has just left is dropped here, and takes the lock itself.
        for (pass, ticket) in passing {
            drop(pass.send(ticket));
        }
    }

    /// At the end of a waiter's patience: passes after all, or says what was missing.
    fn last_try(&self, line: LineId, need: Need) -> Result<Ticket, Closed> {
        let mut state = self.lock();
        if state.is_left_to_others(line) {
            return Err(state.busy(line));
        }
        let taken = state.take(line, need)?;
        Ok(self.ticket(line, taken))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entered {
    Passed(Ticket),
    Waiting(Waiting),
}

/// A place in a line. Dropping it leaves the line.
struct Waiting {
    door: Door,
    line: LineId,
    id: u64,
    passed: oneshot::Receiver<Ticket>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.door.lock().leave(self.line, self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.door.lock().give_back(self.line, self.reserve, self.own) {
            self.door.advance(None);
        }
    }
}

#[cfg(test)]
mod tests;
