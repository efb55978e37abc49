//! Reading a resource, chunk by chunk.
//!
//! Owns the loop between a guest that produces and a client that takes. The instance lives only while the client keeps up:
//! after a stall, and every so many bytes, it is dropped, and the read goes on from the cursor in a fresh one. What was made
//! ahead for a client that stalls is dropped with it. So a slow client holds neither an instance nor guest memory nor
//! chunks, and a guest that leaks is recycled.

mod loops;
mod plan;
mod rules;

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_ledger::Charge;
use tokio::sync::oneshot;

use super::calls::on_guest;
use super::contract::{Chunk, Error, Position};
use super::failure::Failure;
use super::live::{Live, Thread};
use super::queue::{Closed, LOOK_AGAIN};
use super::stats::Cost;
use super::{Agent, Caller, Charged};
use crate::handover::{self, Giver, Taker};
use crate::manifest::AgentSpec;
pub use plan::{Plan, Use};
use rules::Taken;

/// Bytes of one chunk, for a client that is known to be fast.
pub const CHUNK_BYTES_MAX: u32 = 512 << 10;

/// Bytes of a chunk at the beginning: much of what a client has taken may lie in the buffers of sockets, and the more there
/// is in one chunk, the more is held for a client that takes no more.
const CHUNK_BYTES: u32 = 256 << 10;

/// Bytes of a chunk for a client that has stalled; it doubles with every chunk the client takes in time.
const CHUNK_BYTES_SLOW: u32 = 32 << 10;

/// Bytes that only a fast client takes without a stall: more than sockets hold.
const FAST_BYTES: u64 = 16 << 20;

/// How long a client may stall before its instance is dropped.
const STALL: Duration = Duration::from_millis(50);

/// Bytes after which an instance is replaced by a fresh one.
const RECYCLE_BYTES: u64 = 32 << 20;

/// A resource being read. Dropping it stops the guest and returns everything it held.
pub struct Read {
    agent: Arc<Agent>,
    chunks: Taker<Result<Charged<Chunk>, Failure>>,
    /// The last chunk said that there is more.
    unfinished: bool,
}

impl Read {
    /// The next chunk, or `None` after the last. The first one has a head. Its charge pays for the bytes and for what the
    /// plan says they are used for.
    ///
    /// # Errors
    ///
    /// Whatever ends a call; and when the agent breaks the rules of reading. Nothing follows an error.
    pub async fn next(&mut self) -> Result<Option<Charged<Chunk>>, Failure> {
        let taken = self.chunks.take().await;
        if taken.is_none() && self.unfinished {
            self.unfinished = false;
            return Err(self.agent.broke("`resources.read` was given up half-way"));
        }
        self.unfinished = matches!(&taken, Some(Ok(chunk)) if chunk.value.next.is_some());
        taken.transpose()
    }
}

impl Agent {
    /// Starts to read a resource. One chunk waits for the caller at most, while the next one is made.
    pub fn read(self: &Arc<Self>, by: &Arc<Caller>, uri: &str, plan: Plan) -> Read {
        let (giver, chunks) = handover::pair();
        let reading = Reading {
            agent: self.clone(),
            spec: self.spec(),
            by: by.clone(),
            uri: uri.to_owned(),
            plan,
            at: plan.offset.map_or(Position::Start, Position::Offset),
            chunk_bytes: CHUNK_BYTES,
            unstalled: 0,
            live: None,
            since: 0,
            offered: None,
            taken: Taken::default(),
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = giver.gone() => {}
                () = reading.run(giver.clone()) => {}
            }
        });
        Read { agent: self.clone(), chunks, unfinished: true }
    }

    /// What a resource is, by a first chunk of one byte: for a look at its version or size.
    ///
    /// # Errors
    ///
    /// As [`Read::next`].
    pub async fn look(self: &Arc<Self>, by: &Arc<Caller>, uri: &str) -> Result<Option<Charged<Chunk>>, Failure> {
        let mut read = self.read(by, uri, Plan { offset: None, bytes: 1, use_as: Use::Raw });
        read.next().await
    }
}

struct Reading {
    agent: Arc<Agent>,
    /// Its terms when this began: it ends under the same, however many instances it takes.
    spec: Arc<AgentSpec>,
    by: Arc<Caller>,
    uri: String,
    plan: Plan,
    at: Position,
    /// Bytes to ask for next.
    chunk_bytes: u32,
    /// Bytes taken since the client stalled.
    unstalled: u64,
    live: Option<Live>,
    /// Bytes the instance has given.
    since: u64,
    /// The chunk that waits for the client.
    offered: Option<Offered>,
    taken: Taken,
}

/// What to remember of a chunk until the client has taken it.
struct Offered {
    /// Where it begins, to go back to.
    from: Position,
    bytes: usize,
    /// Wall clock of its guest call.
    time: Duration,
    next: Option<String>,
}

/// How a stretch of reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The client takes nothing now.
    Stalled,
    /// All is read, or has failed, or nobody wants it.
    ForGood,
}

type Chunks = Giver<Result<Charged<Chunk>, Failure>>;

impl Reading {
    /// Reads as long as the client takes; while it stalls, holds nothing but the cursor.
    async fn run(mut self, chunks: Chunks) {
        loop {
            let ended;
            (self, ended) = match self.thread() {
                Thread::Shared => {
                    let ended = self.burst(&chunks).await;
                    (self, ended)
                }
                Thread::Own => match on_own_thread(self, chunks.clone()).await {
                    Some(back) => back,
                    None => return,
                },
            };
            if ended == Ended::ForGood || !chunks.wanted().await {
                return;
            }
        }
    }

    /// Reads until the client stalls, or to the end.
    async fn burst(&mut self, chunks: &Chunks) -> Ended {
        match self.go_on(chunks).await {
            Ok(ended) => ended,
            Err(failure) => {
                chunks.give(Err(failure)).await;
                Ended::ForGood
            }
        }
    }

    /// Makes one chunk while the client has another one to take: neither waits for the other as long as both go on.
    async fn go_on(&mut self, chunks: &Chunks) -> Result<Ended, Failure> {
        loop {
            let room = match self.room_ahead() {
                Some(room) => room,
                // Nobody waits while the client has something of ours to take.
                None if self.settle(chunks).await? => self.wait_for_room(self.patience()).await?,
                None => return Ok(Ended::Stalled),
            };
            let made = self.step(room).await;
            if !self.settle(chunks).await? {
                return Ok(Ended::Stalled);
            }
            let (chunk, time) = made?;
            let is_end = chunk.value.next.is_none();
            self.offer(chunk, time, chunks);
            if !is_end && self.behind() < self.plan.bytes {
                continue;
            }
            // The last chunk needs no guest any more, however long it waits.
            self.live = None;
            if !self.settle(chunks).await? {
                return Ok(Ended::Stalled);
            }
            if !is_end {
                // As much as was asked for: who wants no more drops us.
                chunks.gone().await;
            }
            return Ok(Ended::ForGood);
        }
    }

    /// Puts a chunk where the client finds it, and moves on to the place behind it.
    fn offer(&mut self, chunk: Charged<Chunk>, time: Duration, chunks: &Chunks) {
        let (from, bytes, next) = (self.at.clone(), chunk.value.bytes.len(), chunk.value.next.clone());
        if let Some(next) = &next {
            self.at = Position::Cursor(next.clone());
        }
        chunks.put(Ok(chunk));
        self.offered = Some(Offered { from, bytes, time, next });
    }

    /// Bytes from where the read began to where it is.
    fn behind(&self) -> u64 {
        self.taken.bytes() + self.offered.as_ref().map_or(0, |offered| offered.bytes as u64)
    }

    /// Waits until the client has taken what it was offered; false if it stalls, and the read is back where the client is.
    async fn settle(&mut self, chunks: &Chunks) -> Result<bool, Failure> {
        let Some(offered) = self.offered.take() else { return Ok(true) };
        let Offered { from, bytes, time, next } = offered;
        if !self.is_taken(chunks).await {
            self.at = from;
            return Ok(false);
        }
        self.unstalled += bytes as u64;
        // A large chunk is copied out of the guest with its head and cursor: that has to leave room for them.
        let roomy = self.spec.copies >= 2 * u64::from(CHUNK_BYTES_MAX);
        let most = if roomy && self.unstalled >= FAST_BYTES { CHUNK_BYTES_MAX } else { CHUNK_BYTES };
        self.chunk_bytes = (self.chunk_bytes * 2).min(most);
        self.taken.count(bytes, time, next.as_deref()).map_err(|rule| self.broke(&rule))?;
        Ok(true)
    }

    /// Waits until the client has taken the chunk. After a stall neither the instance nor the chunk is kept.
    async fn is_taken(&mut self, chunks: &Chunks) -> bool {
        if let Ok(there) = tokio::time::timeout(STALL, chunks.taken()).await {
            return there;
        }
        self.live = None;
        (self.chunk_bytes, self.unstalled) = (CHUNK_BYTES_SLOW, 0);
        // Where there is none to take back, it was taken this very moment.
        chunks.take_back().is_none()
    }

    /// Bytes to ask for, as few as the client needs.
    fn bytes(&self) -> u32 {
        let rest = self.plan.bytes.saturating_sub(self.behind()).max(1);
        self.chunk_bytes.min(u32::try_from(rest).unwrap_or(u32::MAX))
    }

    /// Bytes to charge for so many.
    fn room(&self) -> u64 {
        self.plan.use_as.room(self.bytes().into())
    }

    /// Room for a chunk, where neither it nor the instance that makes it has to be waited for. For a client that has just
    /// stalled, or where room is scarce, nothing is made ahead: it would often be made in vain.
    fn room_ahead(&self) -> Option<Charge> {
        let is_there = self.live.is_some() && self.since < RECYCLE_BYTES;
        if is_there && self.chunk_bytes >= CHUNK_BYTES {
            self.agent.home.means.replies.charge(self.room()).ok()
        } else {
            None
        }
    }

    /// One chunk from where the read is, and what time it took the guest.
    async fn step(&mut self, room: Charge) -> Result<(Charged<Chunk>, Duration), Failure> {
        if self.since >= RECYCLE_BYTES {
            self.live = None;
        }
        let (mut live, mut room) = match self.live.take() {
            Some(live) => (live, room),
            None => {
                // Who waits for a turn holds nothing that others may be waiting for.
                drop(room);
                self.since = 0;
                self.enter().await?
            }
        };
        let bytes = self.bytes();
        let (began, cpu_before) = (Instant::now(), live.clock.cpu_total());
        let outcome = on_guest!(live, resources.call_read(&self.uri, &self.at, bytes));
        let cost = live.cost();
        let cost = Cost { cpu: cost.cpu.saturating_sub(cpu_before), wall: began.elapsed(), ..cost };
        let chunk = match self.agent.judge(&live, "resources.read", cost, outcome) {
            Ok(chunk) => chunk,
            Err(Failure::Answered(Error::InputRequired(asked))) => {
                let copies = live.ticket.copies.bytes();
                return Err(self.agent.asks(asked, live.ticket.copies.split(copies)));
            }
            Err(failure) => return Err(failure),
        };
        rules::check(&chunk, &self.at, bytes).map_err(|rule| self.broke(&rule))?;
        let given = chunk.bytes.len() as u64;
        room.shrink(room.bytes() - self.plan.use_as.room(given));
        self.since += given;
        self.live = Some(live);
        Ok((Charged { value: chunk, charge: room }, cost.wall))
    }

    /// An instance, and room for a chunk: waits for one of them at a time, without the other. Its room may go to others
    /// while it waits for its turn, and so on, as long as its patience lasts.
    async fn enter(&mut self) -> Result<(Live, Charge), Failure> {
        let patience = self.patience();
        loop {
            let goes_on = !matches!(self.at, Position::Start | Position::Offset(_));
            let live = self.agent.enter(self.spec.clone(), &self.by, self.thread(), goes_on).await?;
            let refusal = match self.agent.home.means.replies.charge(self.room()) {
                Ok(room) => return Ok((live, room)),
                Err(refusal) => refusal,
            };
            drop(live);
            if Instant::now() >= patience {
                return Err(self.agent.refused(self.agent.scene(&self.spec).closed(&Closed::HostFull(refusal))));
            }
            drop(self.wait_for_room(patience).await?);
        }
    }

    /// An agent that reads files does so on a thread that may wait for them, instead of switching threads twice for every
    /// piece. There are as many such threads as requests may be in flight: one that a dead disk holds is nobody else's.
    fn thread(&self) -> Thread {
        if self.spec.dirs.is_empty() { Thread::Shared } else { Thread::Own }
    }

    /// Until when to wait for room: as long as a call would wait for its turn.
    fn patience(&self) -> Instant {
        Instant::now() + self.spec.queue_wait
    }

    /// Charges a chunk before it is made. Where there is no room now it waits for some until then, holding nothing but its
    /// cursor.
    async fn wait_for_room(&mut self, patience: Instant) -> Result<Charge, Failure> {
        loop {
            let refusal = match self.agent.home.means.replies.charge(self.room()) {
                Ok(room) => return Ok(room),
                Err(refusal) => refusal,
            };
            let closed = Closed::HostFull(refusal);
            if self.chunk_bytes > CHUNK_BYTES_SLOW {
                // Many read at once: less for each of them, before there is nothing for one.
                self.chunk_bytes = (self.chunk_bytes / 2).max(CHUNK_BYTES_SLOW);
                continue;
            }
            self.live = None;
            if closed.for_ever() || Instant::now() >= patience {
                return Err(self.agent.refused(self.agent.scene(&self.spec).closed(&closed)));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn broke(&self, what: &str) -> Failure {
        self.agent.broke(format!("`resources.read`: {what}"))
    }
}

/// Reads until the client stalls, on a thread of its own; none if that was lost, or nobody wants it any more.
async fn on_own_thread(mut reading: Reading, chunks: Chunks) -> Option<(Reading, Ended)> {
    let runtime = tokio::runtime::Handle::current();
    // Dropped with this future: then the guest stops at its next tick.
    let (_wanted, unwanted) = oneshot::channel::<()>();
    let run = move || {
        runtime.block_on(async move {
            let ended = tokio::select! {
                biased;
                _ = unwanted => None,
                ended = reading.burst(&chunks) => Some(ended),
            };
            ended.map(|ended| (reading, ended))
        })
    };
    tokio::task::spawn_blocking(run).await.ok().flatten()
}

#[cfg(test)]
mod tests;
