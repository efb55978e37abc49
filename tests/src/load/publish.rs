//! Versions that come and go under load: does a call fail, and what is left of it all?

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use super::figures::{Figures, Target, growth, median, mib};
use super::host::Host;
use crate::client::Client;
use crate::interop::foreign_agent;
use crate::process::component;
use crate::publisher::{Publisher, stamped};

/// Between so many publishes somebody rolls back.
const ROLLBACK_EVERY: u64 = 10;

/// How much larger the process may be in the end.
const RESIDENT_MIB_MAX: f64 = 16.0;

/// How long anything may take that is waited for, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(20);

/// Accounts that lend nothing when nobody calls.
const EMPTY: [&str; 6] = ["guests", "compile", "copies", "replies", "queues", "uploads"];

#[derive(Debug, Clone, Copy)]
pub struct Publish {
    /// Versions.
    pub count: u64,
    /// Clients that call all the time.
    pub clients: u64,
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    done: AtomicBool,
    calls: AtomicU64,
    failed: AtomicU64,
}

impl Publish {
    pub async fn run(self) -> Result<Figures> {
        let manifest = format!(
            "memory: 512M\ndocument: {{ retired: 2s }}\nuploads: {{ grace: 3s, versions: {} }}\nagents: {{}}\n",
            self.count + 1
        );
        let host = Host::start(tempfile::tempdir()?, &manifest).await?;
        let publisher = publisher(&host)?;
        let hello = fs::read(component("hello")?)?;
        publish(&publisher, "demo", "0.1.0", &hello).await?;
        let (seen, mut clients) = (Arc::new(Seen::default()), JoinSet::new());
        for _ in 0..self.clients {
            clients.spawn(call_on(Client::new(host.address, "/mcp/demo"), seen.clone()));
        }
        let warm = host.resident()?;
        let (mut took, mut rollbacks) = (Vec::new(), 0);
        for number in 1..=self.count {
            let version = format!("0.1.{number}");
            let began = Instant::now();
            publish(&publisher, "demo", &version, &stamped(&hello, &version)).await?;
            took.push(began.elapsed().as_secs_f64() * 1e3);
            if number % ROLLBACK_EVERY == 0 {
                let said = publisher.roll_back("demo").await;
                ensure!(said.status == 200, "{said:?}");
                rollbacks += 1;
            }
        }
        seen.done.store(true, Ordering::Relaxed);
        clients.join_all().await;
        let mut figures = Figures::default();
        figures.add("versions published", self.count as f64, "");
        figures.add("rollbacks", f64::from(rollbacks), "");
        figures.add("calls meanwhile", seen.calls.load(Ordering::Relaxed) as f64, "");
        let failed = seen.failed.load(Ordering::Relaxed) as f64;
        figures.judge("calls that failed", failed, "", Target::AtMost(0.0));
        figures.add("publish, middle, under load", median(took), "ms");
        figures.add("on disk with all versions", mib(disk(host.dir.path().join("data").as_path())? as f64), "MiB");
        retire(&host, &publisher).await?;
        let lent = eventually_lent(&host).await?;
        figures.judge("lent in the end", lent, "bytes", Target::AtMost(0.0));
        let left = disk(&host.dir.path().join("data/oci/blobs"))? + disk(&host.dir.path().join("data/compiled"))?;
        figures.judge("blobs and code left on disk", left as f64, "bytes", Target::AtMost(0.0));
        let grown = mib(growth(warm, host.resident()?));
        figures.judge("resident, growth", grown, "MiB", Target::AtMost(RESIDENT_MIB_MAX));
        Ok(figures)
    }
}

/// How soon what is pushed can be called, by language.
#[derive(Debug, Clone)]
pub struct Languages {
    /// Versions of the Rust agent, of which the middle one is told.
    pub rounds: u64,
    /// The host's, as a manifest says it.
    pub memory: String,
}

impl Languages {
    pub async fn run(self) -> Result<Figures> {
        let manifest = format!("memory: {}\ndefaults: {{ memory: 128M }}\nagents: {{}}\n", self.memory);
        let host = Host::start(tempfile::tempdir()?, &manifest).await?;
        let publisher = publisher(&host)?;
        let (mut figures, hello) = (Figures::default(), fs::read(component("hello")?)?);
        let mut took = Vec::new();
        for round in 0..self.rounds {
            let version = format!("0.1.{round}");
            took.push(callable(&host, &publisher, "hello-rust", &version, &stamped(&hello, &version)).await?);
        }
        figures.judge("Rust: publish to callable, middle", median(took), "s", Target::AtMost(0.5));
        for (agent, callable_name, fast_name, resident_name, most) in [
            (
                "greeter-py",
                "Python: publish to callable",
                "Python: at full speed",
                "Python: resident after, growth",
                5.5,
            ),
            (
                "greeter-js",
                "JavaScript: publish to callable",
                "JavaScript: at full speed",
                "JavaScript: resident after, growth",
                5.5,
            ),
        ] {
            let before = host.resident()?;
            let component = fs::read(foreign_agent(agent).await?)?;
            let began = Instant::now();
            figures.judge(
                callable_name,
                callable(&host, &publisher, agent, "1.0.0", &component).await?,
                "s",
                Target::AtMost(most),
            );
            while !host.process.log()?.contains(&format!("agent=\"{agent}@1.0.0\"")) {
                ensure!(began.elapsed() < PATIENCE, "{agent} never runs at full speed");
                tokio::time::sleep(LOOK).await;
            }
            figures.add(fast_name, began.elapsed().as_secs_f64(), "s");
            // The heap gives pages back some seconds after they were freed.
            tokio::time::sleep(Duration::from_secs(5)).await;
            figures.add(resident_name, mib(growth(before, host.resident()?)), "MiB");
        }
        Ok(figures)
    }
}

/// Publishes an agent and calls it; how long both took, in seconds.
async fn callable(host: &Host, publisher: &Publisher, agent: &str, version: &str, component: &[u8]) -> Result<f64> {
    let began = Instant::now();
    publish(publisher, agent, version, component).await?;
    let answer = Client::new(host.address, &format!("/mcp/{agent}")).call("greet", json!({ "name": "Ann" })).await;
    ensure!(answer.text().contains("Hello, Ann"), "{}", answer.body);
    Ok(began.elapsed().as_secs_f64())
}

pub(super) fn publisher(host: &Host) -> Result<Publisher> {
    let token = fs::read_to_string(host.dir.path().join("data/operator.token")).context("the host has made a token")?;
    Ok(Publisher::new(host.address, token.trim()))
}

pub(super) async fn publish(publisher: &Publisher, agent: &str, version: &str, component: &[u8]) -> Result<()> {
    let said = publisher.publish(agent, version, component).await;
    ensure!(said.status == 201, "{version}: {said:?}");
    Ok(())
}

async fn call_on(client: Client, seen: Arc<Seen>) {
    while !seen.done.load(Ordering::Relaxed) {
        let answer = client.try_request("tools/call", json!({ "name": "greet", "arguments": { "name": "Ann" } })).await;
        let well = answer.is_ok_and(|answer| answer.body["result"]["content"][0]["text"] == "Hello, Ann!");
        seen.calls.fetch_add(1, Ordering::Relaxed);
        seen.failed.fetch_add(u64::from(!well), Ordering::Relaxed);
    }
}

/// Retires the agent, and waits until nothing of it is left.
pub(super) async fn retire(host: &Host, publisher: &Publisher) -> Result<()> {
    let token = super::document::operator(&host.dir.path().join("data"))?;
    let mut editor = crate::editor::Editor::connect(host.address, Some(&token)).await?;
    editor.set(vec![("demo", "retired", 1)]).await?;
    editor.settle().await?;
    drop(editor);
    let began = Instant::now();
    let blobs = host.dir.path().join("data/oci/blobs");
    while publisher.ask(reqwest::Method::GET, "/agents/demo/versions", "", "").await.status != 404 || disk(&blobs)? > 0
    {
        ensure!(began.elapsed() < PATIENCE, "something is left of a retired agent");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Bytes that accounts lend which should lend none, once they have settled.
pub(super) async fn eventually_lent(host: &Host) -> Result<f64> {
    let began = Instant::now();
    loop {
        let status = host.status().await?.context("an operator may ask")?;
        let used = |account: &&str| status["accounts"][account]["used"].as_f64().unwrap_or(f64::NAN);
        let lent: f64 = EMPTY.iter().map(used).sum();
        if lent == 0.0 || began.elapsed() > Duration::from_secs(10) {
            return Ok(lent);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Bytes of all files below a folder.
pub(super) fn disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What is removed meanwhile counts no more.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
