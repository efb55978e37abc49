//! Readers that ask for something large and then take nothing: what the host holds for each.
//!
//! From outside, its memory and what it says of itself are all there is to see; that no guest lives on is for a test in
//! the host's own process.

use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

use super::ask;
use super::figures::{Figures, growth, mib};
use super::read::host_with_file;
use super::wire::Wire;

/// How long the readers have stood still when the host is asked: much longer than it waits before it drops an instance.
const STILL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub struct Stalled {
    pub readers: usize,
    /// Size of what each one asks for; far more than the kernel takes for a reader.
    pub bytes: u64,
}

impl Stalled {
    pub async fn run(self) -> Result<Figures> {
        let host = host_with_file(self.bytes).await?;
        let small = ask::read(host.address, "files", "file:///load/small.bin");
        let mut warm = Wire::connect(host.address, 0).await?;
        warm.send(&small).await?;
        let head = warm.head().await?;
        warm.count(&head).await?;
        let before = host.resident()?;
        let mut readers = Vec::new();
        for _ in 0..self.readers {
            let mut reader = Wire::connect(host.address, 0).await?;
            reader.send(&ask::read(host.address, "files", "file:///load/large.bin")).await?;
            let head = reader.head().await?;
            ensure!(head.status == 200 && head.can_have(self.bytes), "status {} or a short reply", head.status);
            readers.push(reader);
        }
        sleep(STILL).await;
        let during = host.resident()?;
        let mut figures = Figures::default();
        figures.add("readers that stand still", readers.len() as f64, "");
        figures.add("resident growth", mib(growth(before, during)), "MiB");
        figures.add("resident growth per reader", growth(before, during) / readers.len() as f64 / 1024.0, "KiB");
        if let Some(guests) = host.status().await?.as_ref().and_then(guests) {
            figures.add("guest memory by /status", mib(guests), "MiB");
        }
        drop(readers);
        Ok(figures)
    }
}

/// The bytes of guests.
fn guests(status: &Value) -> Option<f64> {
    status["accounts"]["guests"]["used"].as_f64()
}
