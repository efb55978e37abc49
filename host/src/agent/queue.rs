//! The door: who may call now, and who waits.
//!
//! Owns the turns. A call passes when its agent has a free place, the pool a free instance and the ledger the bytes it is
//! guaranteed; until then it waits, holding nothing, in its agent's own bounded line. Lines take turns, and one that cannot
//! go on is passed over, so that an agent with a long line or a large need does not hold up the others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_ledger::{Account, Charge, Refusal, RefusalKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Bytes a waiting call takes in the queue.
const WAITER_BYTES: u64 = 512;

/// How often waiters look for bytes that others than calls have given back.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All lines, one per agent.
#[derive(Debug, Clone)]
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    guests: Account,
    copies: Account,
    queues: Account,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Instances the pool still has.
    instances: u32,
    lines: Vec<Line>,
    /// Lines with somebody waiting, next turn first.
    turns: VecDeque<LineId>,
    next_waiter: u64,
}

/// The line of one agent.
#[derive(Debug)]
struct Line {
    concurrency: u32,
    running: u32,
    waiting_max: u32,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    need: Need,
    pass: oneshot::Sender<Ticket>,
    _charge: Charge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineId(usize);

/// What a call is guaranteed before it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Guest memory.
    pub reserve: u64,
    /// Copies out of the guest.
    pub copies: u64,
}

/// Leave to run one call. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Pays for the copies of the call's result.
    pub copies: Charge,
    /// Pays for guest memory up to the reserve.
    _reserve: Charge,
    _place: Place,
}

/// A place in a line's running calls and in the pool.
#[derive(Debug)]
struct Place {
    door: Door,
    line: LineId,
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
}

impl Closed {
    /// Waiting cannot help.
    pub fn for_ever(&self) -> bool {
        matches!(self, Self::HostFull(refusal) if refusal.kind == RefusalKind::Never)
    }
}

impl Door {
    pub fn new(guests: Account, copies: Account, queues: Account, instances: u32) -> Self {
        let turns = VecDeque::new();
        let state = State { instances, lines: Vec::new(), turns, next_waiter: 0 };
        Self(Arc::new(Inner { guests, copies, queues, state: Mutex::new(state) }))
    }

    /// Opens the line of an agent.
    pub fn line(&self, concurrency: u32, waiting_max: u32) -> LineId {
        let mut state = self.lock();
        state.lines.push(Line { concurrency, running: 0, waiting_max, waiting: VecDeque::new() });
        LineId(state.lines.len() - 1)
    }

    /// Waits for leave to run, at most `patience`. Dropping the future leaves the line.
    pub async fn pass(&self, line: LineId, need: Need, patience: Duration) -> Result<Ticket, Closed> {
        let mut waiter = match self.enter(line, need)? {
            Entered::Passed(ticket) => return Ok(ticket),
            Entered::Waiting(waiter) => waiter,
        };
        let deadline = Instant::now() + patience;
        loop {
            let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
            match tokio::time::timeout_at(look_again, &mut waiter.passed).await {
                Ok(Ok(ticket)) => return Ok(ticket),
                Ok(Err(_)) => unreachable!("a waiter leaves the line only by its turn or by its own drop"),
                Err(_) if Instant::now() < deadline => self.advance(),
                // Its turn may have come this very moment.
                Err(_) => return waiter.passed.try_recv().or_else(|_| self.last_try(line, need)),
            }
        }
    }

    fn enter(&self, line: LineId, need: Need) -> Result<Entered, Closed> {
        let mut state = self.lock();
        if state.lines[line.0].waiting.is_empty() && state.lines[line.0].has_place() {
            match self.try_pass(&mut state, line, need) {
                Ok(ticket) => return Ok(Entered::Passed(ticket)),
                Err(closed) if closed.for_ever() => return Err(closed),
                Err(_) => {}
            }
        }
        if state.lines[line.0].waiting.len() >= state.lines[line.0].waiting_max as usize {
            return Err(state.lines[line.0].busy());
        }
        let charge = self.0.queues.charge(WAITER_BYTES).map_err(Closed::HostFull)?;
        let (pass, passed) = oneshot::channel();
        let id = state.next_waiter;
        state.next_waiter += 1;
        if state.lines[line.0].waiting.is_empty() {
            state.turns.push_back(line);
        }
        state.lines[line.0].waiting.push_back(Waiter { id, need, pass, _charge: charge });
        Ok(Entered::Waiting(Waiting { door: self.clone(), line, id, passed }))
    }

    /// Takes what a call needs, or nothing.
    fn try_pass(&self, state: &mut State, line: LineId, need: Need) -> Result<Ticket, Closed> {
        if state.instances == 0 {
            return Err(Closed::NoInstance { cap: state.lines.iter().map(|line| u64::from(line.running)).sum() });
        }
        let reserve = self.0.guests.charge(need.reserve).map_err(Closed::HostFull)?;
        let copies = self.0.copies.charge(need.copies).map_err(Closed::HostFull)?;
        state.instances -= 1;
        state.lines[line.0].running += 1;
        Ok(Ticket { copies, _reserve: reserve, _place: Place { door: self.clone(), line } })
    }

    /// Lets in whoever can pass now, in turn. A line that cannot is passed over, not waited for: what it needs may be more
    /// than all others together, and they must not stand behind it.
    fn advance(&self) {
        let mut passing = Vec::new();
        {
            let mut state = self.lock();
            let mut passed_over = 0;
            while passed_over < state.turns.len() {
                let line = state.turns[0];
                let need = state.lines[line.0].waiting.front().expect("a line in `turns` has a waiter").need;
                let ticket = state.lines[line.0].has_place().then(|| self.try_pass(&mut state, line, need));
                let Some(Ok(ticket)) = ticket else {
                    passed_over += 1;
                    state.turns.rotate_left(1);
                    continue;
                };
                let waiter = state.lines[line.0].waiting.pop_front().expect("it was there a moment ago");
                state.turns.pop_front();
                if !state.lines[line.0].waiting.is_empty() {
                    state.turns.push_back(line);
                }
                passed_over = 0;
                passing.push((waiter.pass, ticket));
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
        if !state.lines[line.0].has_place() {
            return Err(state.lines[line.0].busy());
        }
        self.try_pass(&mut state, line, need)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn has_place(&self) -> bool {
        self.running < self.concurrency
    }

    fn busy(&self) -> Closed {
        let used = u64::from(self.running) + self.waiting.len() as u64;
        Closed::Busy { cap: u64::from(self.concurrency) + u64::from(self.waiting_max), used }
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
        let mut state = self.door.lock();
        let line = &mut state.lines[self.line.0];
        let before = line.waiting.len();
        line.waiting.retain(|waiter| waiter.id != self.id);
        if before > 0 && line.waiting.is_empty() {
            state.turns.retain(|line| *line != self.line);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.door.lock();
            state.instances += 1;
            state.lines[self.line.0].running -= 1;
            if state.turns.is_empty() {
                return;
            }
        }
        self.door.advance();
    }
}

#[cfg(test)]
mod tests;
