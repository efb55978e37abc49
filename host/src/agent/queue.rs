//! The door: who may call now, and who waits.
//!
//! Owns the turns. A call passes when its agent has a free place, the pool a free instance and the ledger the bytes it is
//! guaranteed; until then it waits, holding nothing, in its agent's own bounded line. Lines take turns, so that an agent
//! with a long line delays the others by one call at most.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_ledger::{Account, Charge, Refusal, RefusalKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Bytes a waiting call takes in the queue.
const WAITER_BYTES: u64 = 512;

/// How often waiters look for bytes that others than calls have given back.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All lines, one per agent.
#[derive(Debug, Clone)]
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    guests: Account,
    replies: Account,
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
    /// A waiter could not pass for lack of memory or instances: newcomers must not overtake it.
    starved: bool,
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

impl Door {
    pub fn new(guests: Account, replies: Account, queues: Account, instances: u32) -> Self {
        let turns = VecDeque::new();
        let state = State { instances, lines: Vec::new(), turns, starved: false, next_waiter: 0 };
        Self(Arc::new(Inner { guests, replies, queues, state: Mutex::new(state) }))
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
                Err(_) => return Err(self.why_closed(line, need)),
            }
        }
    }

    fn enter(&self, line: LineId, need: Need) -> Result<Entered, Closed> {
        let mut state = self.lock();
        let may_try = !state.starved && state.lines[line.0].waiting.is_empty();
        if may_try && state.lines[line.0].has_place() {
            match self.try_pass(&mut state, line, need) {
                Ok(ticket) => return Ok(Entered::Passed(ticket)),
                Err(Closed::HostFull(refusal)) if refusal.kind == RefusalKind::Never => {
                    return Err(Closed::HostFull(refusal));
                }
                Err(_) => {}
            }
        }
        let Line { concurrency, running, waiting_max, waiting } = &state.lines[line.0];
        if waiting.len() >= *waiting_max as usize {
            let used = u64::from(*running) + waiting.len() as u64;
            return Err(Closed::Busy { cap: u64::from(*concurrency) + u64::from(*waiting_max), used });
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
        let copies = self.0.replies.charge(need.copies).map_err(Closed::HostFull)?;
        state.instances -= 1;
        state.lines[line.0].running += 1;
        Ok(Ticket { copies, _reserve: reserve, _place: Place { door: self.clone(), line } })
    }

    /// Lets in whoever can pass now, in turn.
    fn advance(&self) {
        let mut passing = Vec::new();
        {
            let mut state = self.lock();
            state.starved = false;
            let mut without_place = 0;
            while without_place < state.turns.len() {
                let line = state.turns[0];
                if !state.lines[line.0].has_place() {
                    without_place += 1;
                    state.turns.rotate_left(1);
                    continue;
                }
                let need = state.lines[line.0].waiting.front().expect("a line in `turns` has a waiter").need;
                let Ok(ticket) = self.try_pass(&mut state, line, need) else {
                    state.starved = true;
                    break;
                };
                let waiter = state.lines[line.0].waiting.pop_front().expect("it was there a moment ago");
                state.turns.pop_front();
                if !state.lines[line.0].waiting.is_empty() {
                    state.turns.push_back(line);
                }
                without_place = 0;
                passing.push((waiter.pass, ticket));
            }
        }
        // Outside the lock: the ticket of a waiter that has just left is dropped here, and takes the lock itself.
        for (pass, ticket) in passing {
            drop(pass.send(ticket));
        }
    }

    fn why_closed(&self, line: LineId, need: Need) -> Closed {
        let mut state = self.lock();
        let Line { concurrency, running, waiting, .. } = &state.lines[line.0];
        let busy = Closed::Busy { cap: u64::from(*concurrency), used: u64::from(*running) + waiting.len() as u64 };
        if !state.lines[line.0].has_place() {
            return busy;
        }
        match self.try_pass(&mut state, line, need) {
            Err(closed) => closed,
            Ok(ticket) => {
                drop(state);
                drop(ticket);
                busy
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn has_place(&self) -> bool {
        self.running < self.concurrency
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
            state.starved &= !state.turns.is_empty();
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
                state.starved = false;
                return;
            }
        }
        self.door.advance();
    }
}

#[cfg(test)]
mod tests;
