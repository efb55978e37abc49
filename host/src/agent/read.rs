//! Reading a resource, chunk by chunk.
//!
//! Owns the loop between a guest that produces and a client that takes. The instance lives only while the client keeps up:
//! after a stall, and every so many bytes, it is dropped, and the read goes on from the cursor in a fresh one. So a slow
//! client holds neither an instance nor guest memory, and a guest that leaks is recycled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_ledger::Charge;
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

/// A resource being read. Dropping it stops the guest and returns everything it held.
#[derive(Debug)]
pub struct Read {
    chunks: mpsc::Receiver<Result<Charged<Chunk>, Failure>>,
}

impl Read {
    /// The next chunk, or `None` after the last. The first one has a head.
    ///
    /// # Errors
    ///
    /// Whatever ends a call; and when the agent breaks the rules of reading. Nothing follows an error.
    pub async fn next(&mut self) -> Result<Option<Charged<Chunk>>, Failure> {
        self.chunks.recv().await.transpose()
    }
}

impl Agent {
    /// Starts to read a resource. Runs ahead of the caller by two chunks at most.
    pub fn read(self: &Arc<Self>, by: &Arc<Caller>, uri: &str) -> Read {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let (agent, by, uri) = (self.clone(), by.clone(), uri.to_owned());
        tokio::spawn(async move {
            let gone = sender.clone();
            let mut reading =
                Reading { agent, by, uri, at: Position::Start, live: None, since: 0, loops: Loops::new() };
            tokio::select! {
                biased;
                () = gone.closed() => {}
                () = reading.run(sender) => {}
            }
        });
        Read { chunks }
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
        if self.since >= RECYCLE_BYTES || !self.regain_copies() {
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
        let chunk = self.agent.judge(&live, cost, outcome)?;
        self.check(&chunk)?;
        let charge = pay(&mut live, chunk.bytes.len() as u64);
        self.since += chunk.bytes.len() as u64;
        if let Some(next) = &chunk.next {
            self.at = Position::Cursor(next.clone());
            self.live = Some(live);
        }
        Ok(Charged { value: chunk, charge })
    }

    /// Makes the instance able to pay for another chunk. If it cannot, it has to go and to wait for its turn again.
    fn regain_copies(&mut self) -> bool {
        let Some(live) = &mut self.live else { return true };
        let copies = &mut live.ticket.copies;
        copies.grow(self.agent.spec().copies - copies.bytes()).is_ok()
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
        let Some(next) = &chunk.next else { return Ok(()) };
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

/// Splits what a chunk costs off the ticket's charge for copies.
fn pay(live: &mut Live, bytes: u64) -> Charge {
    let copies = &mut live.ticket.copies;
    copies.split(bytes.min(copies.bytes()))
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
