//! What the host says of its memory, four times a second, and what the kernel says of it.

use anyhow::{Context, Result};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

use crate::load::host::Host;
use crate::load::wire::{Wire, request};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Accounts that only calls charge.
const OF_CALLS: [&str; 4] = ["guests", "copies", "replies", "queues"];

/// Memory at one moment, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    /// By `/proc`.
    pub resident: u64,
    pub measured: u64,
    pub books: u64,
    /// Measured, and in no book.
    pub drift: u64,
    /// What calls hold.
    pub lent: u64,
    /// The host's own heap.
    pub heap: u64,
    /// By the control group; 0 without one.
    pub group: u64,
}

/// Looks until it is stopped.
pub struct Sampler {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<Sample>>>,
}

impl Sampler {
    pub fn start(host: Arc<Host>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (began, mut samples) = (Instant::now(), Vec::new());
            let mut ticks = tokio::time::interval(LOOK);
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                samples.push(look(&host, began).await?);
            }
            Ok(samples)
        });
        Self { stop, task }
    }

    /// # Errors
    ///
    /// When the host did not answer one of the looks.
    pub async fn stop(self) -> Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("a look panicked")?
    }
}

async fn look(host: &Host, began: Instant) -> Result<Sample> {
    let admin = host.process.admin().and_then(|url| url.strip_prefix("http://")).context("a host has an admin")?;
    let admin: SocketAddr = admin.parse()?;
    // A connection each: what an operator's probe does.
    let mut wire = Wire::connect(admin, 0).await?;
    wire.send(&request(admin, "/healthz", &[], None)).await?;
    let head = wire.head().await?;
    let health: Value = serde_json::from_slice(&wire.body(&head).await?)?;
    let bytes = |figure: &Value| figure.as_u64().unwrap_or_default();
    let memory = |name: &str| bytes(&health["memory"][name]);
    let lent = OF_CALLS.iter().map(|account| bytes(&health["accounts"][account]["used"])).sum();
    let resident = host.resident()?.bytes;
    let (measured, books, drift) = (memory("measured"), memory("books"), memory("drift"));
    let (heap, group) = (memory("heapResident"), memory("controlGroup"));
    Ok(Sample { at: began.elapsed(), resident, measured, books, drift, lent, heap, group })
}
