//! Reading a resource, chunk by chunk.
//!
//! Owns the loop between a guest that produces and a client that takes. The instance lives only while the client keeps up:
//! after a stall, and every so many bytes, it is dropped, and the read goes on from the cursor in a fresh one. So a slow
//! client holds neither an instance nor guest memory, and a guest that leaks is recycled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, OwnedPermit};

use super::calls::{CURSOR_BYTES_MAX, on_guest};
use super::contract::{Chunk, Position};
use super::failure::Failure;
use super::live::Live;
use super::stats::Cost;
use super::{Agent, Caller, Charged};

/// Bytes of one chunk.
pub const CHUNK_BYTES_MAX: u32 = 256 << 10;

/// Chunks that may wait for the client.
const CHUNKS_AHEAD: usize = 2;

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

/// Wall clock of all guest calls of one read together.
const GUEST_TIME_MAX: Duration = Duration::from_secs(120);

/// A resource being read. Dropping it stops the guest and returns everything it held.
pub struct Read {
    agent: Arc<Agent>,
    chunks: mpsc::Receiver<Result<Charged<Chunk>, Failure>>,
    /// The last chunk said that there is more.
    unfinished: bool,
}

impl Read {
    /// The next chunk, or `None` after the last. The first one has a head.
    ///
    /// # Errors
    ///
    /// Whatever ends a call; and when the agent breaks the rules of reading. Nothing follows an error.
    pub async fn next(&mut self) -> Result<Option<Charged<Chunk>>, Failure> {
        let received = self.chunks.recv().await;
        if received.is_none() && self.unfinished {
            self.unfinished = false;
            return Err(self.agent.broke("`resources.read` was given up half-way"));
        }
        self.unfinished = matches!(&received, Some(Ok(chunk)) if chunk.value.next.is_some());
        received.transpose()
    }
}

impl Agent {
    /// Starts to read a resource. Runs ahead of the caller by two chunks at most.
    pub fn read(self: &Arc<Self>, by: &Arc<Caller>, uri: &str) -> Read {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let (agent, by, uri) = (self.clone(), by.clone(), uri.to_owned());
        tokio::spawn(async move {
            let gone = sender.clone();
            let mut reading = Reading {
                agent,
                by,
                uri,
                at: Position::Start,
                live: None,
                since: 0,
                loops: Loops::new(),
                small_chunks: 0,
                guest_time: Duration::ZERO,
            };
            tokio::select! {
                biased;
                () = gone.closed() => {}
                () = reading.run(sender) => {}
            }
        });
        Read { agent: self.clone(), chunks, unfinished: true }
    }
}

struct Reading {
    agent: Arc<Agent>,
    by: Arc<Caller>,
    uri: String,
    at: Position,
    live: Option<Live>,
    /// Bytes the instance has given.
    since: u64,
    loops: Loops,
    /// Chunks so far that were hardly worth a call.
    small_chunks: u32,
    /// Wall clock of all guest calls so far.
    guest_time: Duration,
}

type Sender = mpsc::Sender<Result<Charged<Chunk>, Failure>>;

impl Reading {
    async fn run(&mut self, sender: Sender) {
        while let Some(permit) = self.room(&sender).await {
            let answer = self.step().await;
            let last = !matches!(&answer, Ok(chunk) if chunk.value.next.is_some());
            permit.send(answer);
            if last {
                return;
            }
        }
    }

    /// Waits until the client can take a chunk: before the guest is asked for one. `None` when the client is gone.
    async fn room(&mut self, sender: &Sender) -> Option<OwnedPermit<Result<Charged<Chunk>, Failure>>> {
        let reserve = sender.clone().reserve_owned();
        tokio::pin!(reserve);
        match tokio::time::timeout(STALL, &mut reserve).await {
            Ok(permit) => permit.ok(),
            Err(_) => {
                self.live = None;
                reserve.await.ok()
            }
        }
    }

    /// One chunk.
    async fn step(&mut self) -> Result<Charged<Chunk>, Failure> {
        if self.since >= RECYCLE_BYTES {
            self.live = None;
        }
        let mut live = match self.live.take() {
            Some(live) => live,
            None => {
                self.since = 0;
                self.agent.enter(&self.by).await?
            }
        };
        let (began, cpu_before) = (Instant::now(), live.clock.cpu_total());
        let outcome = on_guest!(live, resources.call_read(&self.uri, &self.at, CHUNK_BYTES_MAX));
        let cost = live.cost();
        let cost = Cost { cpu: cost.cpu.saturating_sub(cpu_before), wall: began.elapsed(), ..cost };
        let chunk = self.agent.judge(&live, "resources.read", cost, outcome)?;
        self.guest_time += cost.wall;
        self.check(&chunk)?;
        let charge = self.agent.pay(chunk.bytes.len() as u64)?;
        self.since += chunk.bytes.len() as u64;
        if let Some(next) = &chunk.next {
            self.at = Position::Cursor(next.clone());
            self.live = Some(live);
        }
        Ok(Charged { value: chunk, charge })
    }

    /// The rules of reading (`resources.read` in the contract).
    fn check(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let bytes = chunk.bytes.len();
        if bytes > CHUNK_BYTES_MAX as usize {
            return Err(self.broke(format!("a chunk of {bytes} bytes, where {CHUNK_BYTES_MAX} were asked for")));
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
        if bytes < SMALL_CHUNK_BYTES {
            self.small_chunks += 1;
        }
        if self.small_chunks > SMALL_CHUNKS_MAX {
            return Err(
                self.broke(format!("more than {SMALL_CHUNKS_MAX} chunks of less than {SMALL_CHUNK_BYTES} bytes"))
            );
        }
        if self.guest_time > GUEST_TIME_MAX {
            let seconds = GUEST_TIME_MAX.as_secs();
            return Err(self.broke(format!("more than {seconds} s of the agent's time for one read")));
        }
        if bytes == 0 {
            return Err(self.broke("an empty chunk before the end"));
        }
        if next.len() > CURSOR_BYTES_MAX {
            let length = next.len();
            return Err(self.broke(format!("a cursor of {length} bytes; at most {CURSOR_BYTES_MAX} are allowed")));
        }
        if self.loops.closes_with(next) {
            return Err(self.broke("a cursor came twice"));
        }
        Ok(())
    }

    fn broke(&self, what: impl std::fmt::Display) -> Failure {
        self.agent.broke(format!("`resources.read`: {what}"))
    }
}

/// Notices when cursors go round in a circle, remembering a single one (Brent, 1980).
#[derive(Debug)]
struct Loops {
    remembered: Option<String>,
    steps: u64,
    remember_again: u64,
}

impl Loops {
    fn new() -> Self {
        Self { remembered: None, steps: 0, remember_again: 1 }
    }

    fn closes_with(&mut self, cursor: &str) -> bool {
        if self.remembered.as_deref() == Some(cursor) {
            return true;
        }
        self.steps += 1;
        if self.steps == self.remember_again {
            self.remembered = Some(cursor.to_owned());
            self.remember_again *= 2;
            self.steps = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests;
