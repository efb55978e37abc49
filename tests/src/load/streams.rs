//! Thousands of open streams, half of sessions and half of `subscriptions/listen`, beside as many connections that only
//! wait.
//!
//! Each of the two is put on a fresh host, so that neither is served from memory that the other has left behind.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ask;
use super::figures::{Figures, Target, growth, mib};
use super::host::Host;
use super::wire::{Wire, request};

/// Connections being opened at a time.
const OPENERS: usize = 64;

/// Connections and files besides the ones that are held.
const SPARE: usize = 256;

/// Bytes that one stream may cost, its connection included.
const STREAM_BYTES_TARGET: f64 = (16 << 10) as f64;

/// First event of a `subscriptions/listen`.
const ACKNOWLEDGED: &[u8] = b"notifications/subscriptions/acknowledged";

/// Pause between two looks at a host that gives memory back.
const LOOK: Duration = Duration::from_millis(200);

/// Looks without a sinking figure after which it is taken for the last.
const LOOKS: u32 = 10;

/// Time for a host to have room again for what was closed.
const GIVEN_BACK: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Streams {
    /// How many are open at once.
    pub count: usize,
    /// The host's `memory`.
    pub memory: String,
}

/// What is opened.
#[derive(Debug, Clone)]
enum Held {
    /// A connection that was answered once and is kept alive.
    Idle,
    /// The streams of these sessions first, then streams that listen.
    Streams(Arc<[String]>),
}

impl Streams {
    /// Streams, beside connections.
    pub async fn run(self) -> Result<Figures> {
        let mut figures = self.connections().await?;
        let transports = format!("transports: {{ streams: {}, sessions: {} }}\n", self.count, self.count + SPARE);
        let host = self.start(&transports).await?;
        let sessions = sessions(host.address, self.count / 2).await?;
        let before = host.resident()?;
        let held = Held::Streams(sessions.into());
        let open = open(host.address, &held, self.count).await?;
        let during = host.resident()?;
        drop(open);
        let given_back = timeout(GIVEN_BACK, reopen(host.address, &held, self.count.min(OPENERS))).await.is_ok();
        let after = settled(&host).await?;

        let each = growth(before, during) / self.count as f64;
        figures.add("resident before the streams", mib(before.bytes as f64), "MiB");
        figures.add("resident with all streams open", mib(during.bytes as f64), "MiB");
        figures.add("resident after they are closed", mib(after), "MiB");
        figures.judge("bytes per stream", each, "B", Target::AtMost(STREAM_BYTES_TARGET));
        if let Some(idle) = figures.get("bytes per idle connection") {
            figures.add("bytes per stream beyond its connection", each - idle, "B");
        }
        figures.judge("places given back", f64::from(u8::from(given_back)), "", Target::AtLeast(1.0));
        Ok(figures)
    }

    /// Connections alone.
    pub async fn connections(&self) -> Result<Figures> {
        let host = self.start("").await?;
        // Threads, pools and the first connection's code.
        drop(open(host.address, &Held::Idle, OPENERS).await?);
        let before = host.resident()?;
        let open = open(host.address, &Held::Idle, self.count).await?;
        let during = host.resident()?;
        drop(open);
        let mut figures = Figures::default();
        figures.add("resident before the connections", mib(before.bytes as f64), "MiB");
        figures.add("resident with all connections open", mib(during.bytes as f64), "MiB");
        figures.add("bytes per idle connection", growth(before, during) / self.count as f64, "B");
        Ok(figures)
    }

    async fn start(&self, transports: &str) -> Result<Host> {
        let places = self.count + SPARE;
        // The host inherits the limit.
        raise_open_files(places + SPARE)?;
        let memory = &self.memory;
        let manifest = format!(
            "memory: {memory}\n{transports}http: {{ connections: {places}, in_flight: {places}, header_wait: 30m }}\n\
             agents: {{ hello: {{ component: '{{hello}}' }} }}\n"
        );
        Host::start(tempfile::tempdir()?, &manifest).await
    }
}

async fn sessions(address: SocketAddr, count: usize) -> Result<Vec<String>> {
    let mut wire = Wire::connect(address, 0).await?;
    let mut sessions = Vec::new();
    for _ in 0..count {
        wire.send(&ask::initialize(address)).await?;
        let head = wire.head().await?;
        wire.body(&head).await?;
        sessions.push(head.session.with_context(|| format!("status {} and no session", head.status))?);
    }
    Ok(sessions)
}

async fn open(address: SocketAddr, held: &Held, count: usize) -> Result<Vec<TcpStream>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS.min(count) {
        let held = held.clone();
        openers.spawn(async move {
            let mut open = Vec::new();
            for number in (opener..count).step_by(OPENERS) {
                let one = open_one(address, &held, number).await;
                open.push(one.with_context(|| format!("number {number} of {count}"))?);
            }
            anyhow::Ok(open)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(open) = openers.join_next().await {
        all.extend(open.context("an opener neither panics nor is aborted")??);
    }
    Ok(all)
}

async fn open_one(address: SocketAddr, held: &Held, number: usize) -> Result<TcpStream> {
    let mut wire = Wire::connect(address, number).await?;
    match held {
        Held::Idle => {
            wire.send(&request(address, "/livez", &[], None)).await?;
            let head = wire.head().await?;
            wire.body(&head).await?;
            ensure!(head.status == 200, "status {}", head.status);
        }
        Held::Streams(sessions) => {
            let session = sessions.get(number);
            let request = session.map_or_else(|| ask::listen(address), |id| ask::session_stream(address, id));
            wire.send(&request).await?;
            let head = wire.head().await?;
            if head.status != 200 || !head.is_event_stream {
                let body = wire.body(&head).await?;
                bail!("no stream: status {}: {}", head.status, String::from_utf8_lossy(&body));
            }
            if session.is_none() {
                wire.until(ACKNOWLEDGED).await?;
            }
        }
    }
    Ok(wire.into_stream())
}

/// Opens some of them again until the host has the room.
async fn reopen(address: SocketAddr, held: &Held, count: usize) {
    while open(address, held, count).await.is_err() {
        sleep(LOOK).await;
    }
}

/// Memory when it no longer sinks.
async fn settled(host: &Host) -> Result<f64> {
    let (mut least, mut looks) = (host.resident()?.bytes, 0);
    while looks < LOOKS {
        sleep(LOOK).await;
        let now = host.resident()?.bytes;
        looks = if now < least { 0 } else { looks + 1 };
        least = least.min(now);
    }
    Ok(least as f64)
}

/// Lets this process, and those it starts, have so many files and connections open.
pub(crate) fn raise_open_files(wanted: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted as u64;
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < wanted) {
        bail!("{wanted} open files are needed and {most} allowed: raise `ulimit -Hn`, or open fewer");
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).context("cannot raise it")
}
