//! What a call over HTTP costs: the tool `echo` of agent `everything` on Stockade, beside the same tool on a native rmcp
//! server and beside a bare hyper server that answers the same JSON.
//!
//! Each server is a process of its own with its usual multi-threaded runtime; the client is one thread, the same for
//! all. The servers take turns in every round, so that whatever else the machine does meets each of them, and a ratio is
//! the median of the rounds' ratios.

mod servers;
mod table;

use anyhow::{Context, Result};
use std::env;
use std::fs;
use stockade_tests::load::{Load, Report, split, tool_call};
use stockade_tests::process::{Process, Resident, component};
use tempfile::TempDir;
use tokio::process::Command;

/// Rounds per number of connections; odd, so that the median is a round.
const ROUNDS: usize = 7;

/// Connections, and calls of one round over them.
const LOADS: [Load; 2] = [Load { connections: 1, requests: 4_000 }, Load { connections: 8, requests: 16_000 }];

/// Calls before the first round, over 8 connections: threads started, caches and allocators filled.
const WARM_UP: Load = Load { connections: 8, requests: 2_000 };

/// What is echoed.
const ARGUMENTS: &str =
    r#"{"text":"The quick brown fox jumps over the lazy dog.","count":42,"nested":{"list":[1,2,3]}}"#;

/// A server under measurement.
struct Contestant {
    name: &'static str,
    url: String,
    process: Process,
    idle: Resident,
    /// By load, in the order of `LOADS`; one report per round.
    reports: Vec<Vec<Report>>,
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(servers::FLAG) {
        return servers::run(&arguments.next().context("which server?")?);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(bench())
}

async fn bench() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut contestants =
        [own("bare hyper", servers::HYPER).await?, own("rmcp 3.11", servers::RMCP).await?, stockade(&directory).await?];
    for contestant in &mut contestants {
        contestant.run(WARM_UP).await?;
    }
    for (number, load) in LOADS.into_iter().enumerate() {
        for round in 0..ROUNDS {
            // Each goes first in turn.
            for place in 0..contestants.len() {
                let contestant = &mut contestants[(round + place) % 3];
                let report = contestant.run(load).await?;
                contestant.reports[number].push(report);
            }
        }
        table::print_load(load, contestants.each_ref().map(|c| (c.name, c.reports[number].as_slice())));
    }
    table::print_memory(
        &contestants.iter().map(|c| Ok((c.name, c.idle, c.process.resident()?))).collect::<Result<Vec<_>>>()?,
    );
    Ok(())
}

impl Contestant {
    fn new(name: &'static str, path: &str, process: Process) -> Result<Self> {
        let (url, idle) = (format!("{}{path}", process.url()), process.resident()?);
        Ok(Contestant { name, url, process, idle, reports: LOADS.iter().map(|_| Vec::new()).collect() })
    }

    async fn run(&mut self, load: Load) -> Result<Report> {
        let url = self.url.clone();
        let (address, _) = split(&self.url)?;
        // The arguments are the constants above, the URL is the server's own: every number gives a request.
        tool_call(&url, 0, servers::TOOL, ARGUMENTS)?;
        let request = move |id| tool_call(&url, id, servers::TOOL, ARGUMENTS).expect("built once above");
        let report = load.run(address, request).await;
        report
            .all_succeeded()
            .with_context(|| format!("{}: {}", self.name, self.process.log_tail().unwrap_or_default()))?;
        Ok(report)
    }
}

/// This program again, as one of the servers it holds.
async fn own(name: &'static str, server: &str) -> Result<Contestant> {
    let mut command = Command::new(env::current_exe()?);
    command.args([servers::FLAG, server]);
    Contestant::new(name, "/mcp", Process::spawn(command).await?)
}

async fn stockade(directory: &TempDir) -> Result<Contestant> {
    let component = component("everything")?;
    let manifest = directory.path().join("manifest.yaml");
    fs::write(&manifest, format!("memory: 512M\nagents:\n  everything:\n    component: {component:?}\n"))?;
    let process = Process::stockade(&manifest, &directory.path().join("data")).await?;
    process.ready().await?;
    Contestant::new("stockade", "/mcp/everything", process)
}
