//! One large resource, read as JSON and as plain bytes: what the host's memory does meanwhile, and how fast it is
//! beside a bare hyper server that sends as many bytes to the same reader, in pieces that do not depend on the host.

use anyhow::{Context, Result, ensure};
use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::process::Command;

use super::figures::{Figures, Target, median, mib};
use super::host::{Host, Watch};
use super::wire::{Counted, Wire, request};
use super::{ask, bare};
use crate::process::Process;

/// Makes the load command a bare server.
pub const BARE: &str = "bare";

/// Growth of resident memory that a read may cause, in MiB.
const GROWTH_TARGET: f64 = 8.0;

/// Throughput that the host should reach, as a share of the bare server's.
const RATIO_TARGET: f64 = 0.5;

/// What the bare server sends at a time. Fixed: a yardstick that changed with the host's own chunks would say nothing of them.
const PIECE_BYTES: u64 = 256 << 10;

/// A file that is read before anything is measured.
const WARM_UP_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// Size of the file.
    pub bytes: u64,
    /// How often each server sends it.
    pub rounds: u64,
}

/// How a resource is asked for.
struct Way {
    /// The names of its figures: size, memory, its rate, the bare rate, the ratio.
    names: [&'static str; 5],
    request: fn(SocketAddr, &str, &str) -> Vec<u8>,
    /// The fewest bytes of a whole reply.
    least: fn(u64) -> u64,
}

const WAYS: [Way; 2] = [
    Way {
        names: ["json: bytes", "json: growth", "json: host", "json: bare hyper", "json: ratio"],
        request: ask::read,
        least: |bytes| bytes.div_ceil(3) * 4,
    },
    Way {
        names: ["plain: bytes", "plain: growth", "plain: host", "plain: bare hyper", "plain: ratio"],
        request: ask::download,
        least: |bytes| bytes,
    },
];

/// A host whose agent `files` has a file of this size, all zeros and no block on the disk; its URI ends in `large.bin`.
pub async fn host_with_file(bytes: u64) -> Result<Host> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("load"))?;
    for (name, bytes) in [("large.bin", bytes), ("small.bin", WARM_UP_BYTES)] {
        File::create(dir.path().join("load").join(name))?.set_len(bytes)?;
    }
    let manifest = "memory: 512M\nagents: { files: { component: '{files}', memory: 16M, \
                    dirs: { /load: { path: '{dir}/load', access: read } } } }\n";
    Host::start(dir, manifest).await
}

impl Read {
    pub async fn run(self) -> Result<Figures> {
        let host = host_with_file(self.bytes).await?;
        let mut command = Command::new(env::current_exe()?);
        command.arg(BARE);
        let bare = Process::spawn(command).await?;
        let bare: SocketAddr = bare_address(&bare)?;
        let mut figures = Figures::default();
        for way in WAYS {
            self.measure(&way, &host, bare, &mut figures).await?;
        }
        Ok(figures)
    }

    async fn measure(self, way: &Way, host: &Host, bare: SocketAddr, figures: &mut Figures) -> Result<()> {
        let [size, growth, rate, bare_rate, ratio] = way.names;
        let least = (way.least)(self.bytes);
        let large = (way.request)(host.address, "files", "file:///load/large.bin");
        exchange(host.address, &(way.request)(host.address, "files", "file:///load/small.bin")).await?;
        let before = host.resident()?.bytes;
        let watch = host.watch()?;
        // Says how many bytes there are, and whether their number is known before.
        let (counted, _) = exchange(host.address, &large).await?;
        figures.judge(size, counted.bytes as f64, "B", Target::AtLeast(least as f64));
        if counted.bytes < least {
            return Ok(()); // refused; there is nothing to compare
        }
        let path = bare::path(counted.bytes, PIECE_BYTES, counted.chunk_bytes_max.is_none());
        let plain = request(bare, &path, &[], None);
        let (mut rates, mut bare_rates) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            for (address, request, rates) in [(bare, &plain, &mut bare_rates), (host.address, &large, &mut rates)] {
                let (sent, seconds) = exchange(address, request).await?;
                ensure!(sent.bytes == counted.bytes, "{} bytes, then {}", counted.bytes, sent.bytes);
                rates.push(mib(sent.bytes as f64) / seconds);
            }
        }
        let grown = Watch::peak(watch).saturating_sub(before);
        figures.judge(growth, mib(grown as f64), "MiB", Target::AtMost(GROWTH_TARGET));
        let ratios = rates.iter().zip(&bare_rates).map(|(host, bare)| host / bare).collect();
        figures.add(rate, median(rates), "MiB/s");
        figures.add(bare_rate, median(bare_rates), "MiB/s");
        figures.judge(ratio, median(ratios), "", Target::AtLeast(RATIO_TARGET));
        Ok(())
    }
}

fn bare_address(bare: &Process) -> Result<SocketAddr> {
    Ok(bare.url().strip_prefix("http://").context("it speaks http")?.parse()?)
}

/// One request on a connection of its own: what came, and in how many seconds.
async fn exchange(address: SocketAddr, request: &[u8]) -> Result<(Counted, f64)> {
    let mut wire = Wire::connect(address, 0).await?;
    let started = Instant::now();
    wire.send(request).await?;
    let head = wire.head().await?;
    let counted = wire.count(&head).await?;
    Ok((counted, started.elapsed().as_secs_f64()))
}
