//! Reading a resource, chunk by chunk.
//!
//! Owns the loop between a guest that produces and a client that takes. The instance lives only while the client keeps up:
//! after a stall, and every so many bytes, it is dropped, and the read goes on from the cursor in a fresh one. What was made
//! ahead for a client that stalls is dropped with it. So a slow client holds neither an instance nor guest memory nor
//! chunks, and a guest that leaks is recycled.

mod loops;

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_ledger::Charge;
use tokio::sync::oneshot;

use super::calls::{CURSOR_BYTES_MAX, on_guest};
use super::contract::{Chunk, Error, Position};
use super::failure::Failure;
use super::live::{Live, Thread};
use super::queue::{Closed, LOOK_AGAIN};
use super::stats::Cost;
use super::{Agent, Caller, Charged};
use crate::handover::{self, Giver, Taker};
use loops::Loops;

/// Bytes of one chunk.
pub const CHUNK_BYTES_MAX: u32 = 256 << 10;

/// Bytes of a chunk for a client that has stalled; it doubles with every chunk the client takes in time.
const CHUNK_BYTES_SLOW: u32 = 32 << 10;

/// How long a client may stall before its instance is dropped.
const STALL: Duration = Duration::from_millis(50);

/// Bytes after which an instance is replaced by a fresh one.
const RECYCLE_BYTES: u64 = 32 << 20;

/// Bytes of what a head says in text.
const HEAD_BYTES_MAX: usize = 4 << 10;

/// A chunk of fewer bytes is small, and only so many of them may come: a guest must not hold its place for ever by giving a
/// byte at a time.
const SMALL_CHUNK_BYTES: usize = 4 << 10;
const SMALL_CHUNKS_MAX: u32 = 256;

/// Wall clock of all guest calls of one read together: so much in any case, and more for a resource that is long.
const GUEST_TIME_MAX: Duration = Duration::from_secs(120);
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;

/// How a resource is read.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where to begin: at this byte, which not every agent can, or at the start.
    pub offset: Option<u64>,
    /// Most bytes to read; the last chunk may be longer.
    pub bytes: u64,
    pub use_as: Use,
}

/// What becomes of the bytes: decides how much is charged for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// They are sent as they are.
    Raw,
    /// They are written into JSON, as text or as base64, while they are still held.
    Encoded,
}

impl Plan {
    /// The whole resource, to be written as JSON.
    pub const WHOLE: Self = Self { offset: None, bytes: u64::MAX, use_as: Use::Encoded };
}

impl Use {
    /// Bytes to hold for a chunk of so many.
    fn room(self, bytes: u64) -> u64 {
        match self {
            Self::Raw => bytes,
            // Four bytes for each three, begun or whole.
            Self::Encoded => bytes + bytes.div_ceil(3) * 4,
        }
    }
}

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
    /// Starts to read a resource. Runs ahead of the caller by one chunk at most.
    pub fn read(self: &Arc<Self>, by: &Arc<Caller>, uri: &str, plan: Plan) -> Read {
        let (giver, chunks) = handover::pair();
        let reading = Reading {
            agent: self.clone(),
            by: by.clone(),
            uri: uri.to_owned(),
            plan,
            at: plan.offset.map_or(Position::Start, Position::Offset),
            chunk_bytes: CHUNK_BYTES_MAX,
            live: None,
            since: 0,
            loops: Loops::new(),
            small_chunks: 0,
            given: 0,
            guest_time: Duration::ZERO,
            chunk_time: Duration::ZERO,
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
    by: Arc<Caller>,
    uri: String,
    plan: Plan,
    at: Position,
    /// Bytes to ask for next.
    chunk_bytes: u32,
    live: Option<Live>,
    /// Bytes the instance has given.
    since: u64,
    loops: Loops,
    /// Chunks so far that were hardly worth a call.
    small_chunks: u32,
    /// Bytes the client has taken.
    given: u64,
    /// Wall clock of the guest calls for them, and for the chunk that comes next.
    guest_time: Duration,
    chunk_time: Duration,
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
        loop {
            let chunk = match self.step().await {
                Ok(chunk) => chunk,
                Err(failure) => {
                    chunks.give(Err(failure)).await;
                    return Ended::ForGood;
                }
            };
            let (bytes, next) = (chunk.value.bytes.len(), chunk.value.next.clone());
            if next.is_none() {
                // The last chunk needs no guest any more, however long it waits.
                self.live = None;
            }
            chunks.put(Ok(chunk));
            if !self.is_taken(chunks).await {
                return Ended::Stalled;
            }
            let Some(next) = next else { return Ended::ForGood };
            if let Err(failure) = self.go_on(bytes, next) {
                chunks.give(Err(failure)).await;
                return Ended::ForGood;
            }
            if self.given >= self.plan.bytes {
                // As much as was asked for: who wants no more drops us.
                self.live = None;
                chunks.gone().await;
                return Ended::ForGood;
            }
        }
    }

    /// Waits until the client has taken the chunk. After a stall neither the instance nor the chunk is kept.
    async fn is_taken(&mut self, chunks: &Chunks) -> bool {
        if let Ok(there) = tokio::time::timeout(STALL, chunks.taken()).await {
            self.chunk_bytes = (self.chunk_bytes * 2).min(CHUNK_BYTES_MAX);
            return there;
        }
        self.live = None;
        self.chunk_bytes = CHUNK_BYTES_SLOW;
        // Where there is none to take back, it was taken this very moment.
        chunks.take_back().is_none()
    }

    /// One chunk, from where the client is.
    async fn step(&mut self) -> Result<Charged<Chunk>, Failure> {
        let rest = self.plan.bytes.saturating_sub(self.given).max(1);
        let bytes = self.chunk_bytes.min(u32::try_from(rest).unwrap_or(u32::MAX));
        let mut room = self.room(self.plan.use_as.room(bytes.into())).await?;
        if self.since >= RECYCLE_BYTES {
            self.live = None;
        }
        let mut live = match self.live.take() {
            Some(live) => live,
            None => {
                self.since = 0;
                self.agent.enter(&self.by, self.thread()).await?
            }
        };
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
        self.chunk_time = cost.wall;
        self.check(&chunk, bytes)?;
        let given = chunk.bytes.len() as u64;
        room.shrink(room.bytes() - self.plan.use_as.room(given));
        self.since += given;
        self.live = Some(live);
        Ok(Charged { value: chunk, charge: room })
    }

    /// An agent that reads files does so on a thread that may wait for them, instead of switching threads twice for every
    /// piece. There are as many such threads as requests may be in flight: one that a dead disk holds is nobody else's.
    fn thread(&self) -> Thread {
        if self.agent.spec().dirs.is_empty() { Thread::Shared } else { Thread::Own }
    }

    /// Charges a chunk before it is made. Where there is no room now it waits for some, as long as a call would wait for its
    /// turn, and holding nothing but its cursor.
    async fn room(&mut self, bytes: u64) -> Result<Charge, Failure> {
        let deadline = Instant::now() + self.agent.spec().queue_wait;
        loop {
            let refusal = match self.agent.replies.charge(bytes) {
                Ok(room) => return Ok(room),
                Err(refusal) => refusal,
            };
            self.live = None;
            let closed = Closed::HostFull(refusal);
            if closed.for_ever() || Instant::now() >= deadline {
                return Err(self.agent.refused(self.agent.scene().closed(&closed)));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The rules of reading that one chunk can break (`resources.read` in the contract).
    fn check(&self, chunk: &Chunk, bytes_max: u32) -> Result<(), Failure> {
        let bytes = chunk.bytes.len();
        if bytes > bytes_max as usize {
            return Err(self.broke(format!("a chunk of {bytes} bytes, where {bytes_max} were asked for")));
        }
        let first = !matches!(self.at, Position::Cursor(_));
        if first != chunk.head.is_some() {
            return Err(self.broke(if first { "the first chunk has no head" } else { "a later chunk has a head" }));
        }
        let told = chunk.head.iter().flat_map(|head| head.mime_type.iter().chain(&head.version)).map(String::len);
        if told.sum::<usize>() > HEAD_BYTES_MAX {
            return Err(self.broke(format!("a media type and version of more than {HEAD_BYTES_MAX} bytes")));
        }
        let Some(next) = &chunk.next else { return Ok(()) };
        if bytes == 0 {
            return Err(self.broke("an empty chunk before the end"));
        }
        if next.len() > CURSOR_BYTES_MAX {
            let length = next.len();
            return Err(self.broke(format!("a cursor of {length} bytes; at most {CURSOR_BYTES_MAX} are allowed")));
        }
        Ok(())
    }

    /// Moves on to the cursor `next`, behind a chunk that was taken. The rules that only many chunks can break.
    fn go_on(&mut self, bytes: usize, next: String) -> Result<(), Failure> {
        self.given += bytes as u64;
        // Not of chunks that were taken back: how often a client stalls is no fault of the agent's.
        self.guest_time += self.chunk_time;
        let time_max = GUEST_TIME_MAX + Duration::from_secs(self.given / BYTES_PER_SECOND_MIN);
        if self.guest_time > time_max {
            let seconds = time_max.as_secs();
            return Err(self.broke(format!("more than {seconds} s of the agent's time for so many bytes")));
        }
        if bytes < SMALL_CHUNK_BYTES {
            self.small_chunks += 1;
        }
        if self.small_chunks > SMALL_CHUNKS_MAX {
            return Err(
                self.broke(format!("more than {SMALL_CHUNKS_MAX} chunks of less than {SMALL_CHUNK_BYTES} bytes"))
            );
        }
        if self.loops.closes_with(&next) {
            return Err(self.broke("a cursor came twice"));
        }
        self.at = Position::Cursor(next);
        Ok(())
    }

    fn broke(&self, what: impl std::fmt::Display) -> Failure {
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
