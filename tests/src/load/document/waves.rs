//! Agents that come and go by the thousand, through manifests and retirement: what remains of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::operator;
use crate::editor::{Closed, Editor};
use crate::load::figures::{Figures, Target, growth, mib};
use crate::load::host::Host;

/// Entries that are retired by one update.
const RETIRED_AT_ONCE: usize = 500;

/// How much larger the document may be in the end than it was before the first wave.
const REMAINS_MIB_MAX: f64 = 1.0;

/// How much larger the process may be by then, and when that is.
const RESIDENT_MIB_MAX: f64 = 16.0;
const GIVEN_BACK: Duration = Duration::from_secs(15);

/// How long the host may take to remove what is retired.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
pub struct Waves {
    /// Agents of each wave.
    pub agents: u64,
    pub waves: u64,
}

impl Waves {
    pub async fn run(self) -> Result<Figures> {
        let mut dir = tempfile::tempdir()?;
        let (mut before, mut peak) = (None, 0.0_f64);
        // The first and the last have none: twice as many as a wave are what a registry may have.
        for wave in 0..=self.waves + 1 {
            let agents = if (1..=self.waves).contains(&wave) { self.agents } else { 0 };
            let host = start(dir, wave, agents).await?;
            forget_others(&host, wave).await?;
            let document = document(&host).await?;
            peak = peak.max(bytes(&document));
            ensure!(count(&document) as u64 == agents, "one wave is there, and no other");
            if wave == 0 {
                before = Some((bytes(&document), host.resident()?));
            } else if wave > self.waves {
                let (bytes_before, resident_before) = before.context("the first wave is measured")?;
                let mut figures = Figures::default();
                figures.add("agents that came and went", (self.agents * self.waves) as f64, "");
                figures.add("epochs", document["epoch"].as_f64().unwrap_or(f64::NAN), "");
                figures.add("document, before", mib(bytes_before), "MiB");
                figures.add("document, at most", mib(peak), "MiB");
                let remains = mib(bytes(&document) - bytes_before);
                figures.judge("document, growth in the end", remains, "MiB", Target::AtMost(REMAINS_MIB_MAX));
                figures.add("resident, before", mib(resident_before.bytes as f64), "MiB");
                figures.add("resident, in the end", mib(host.resident()?.bytes as f64), "MiB");
                // The heap gives pages back some seconds after they were freed.
                tokio::time::sleep(GIVEN_BACK).await;
                let grown = mib(growth(resident_before, host.resident()?));
                figures.judge("resident, growth once given back", grown, "MiB", Target::AtMost(RESIDENT_MIB_MAX));
                let file = host.dir.path().join("data/registry/document.redb").metadata()?.len();
                figures.add("file, in the end", mib(file as f64), "MiB");
                return Ok(figures);
            }
            dir = host.dir;
            host.process.end().await?;
        }
        unreachable!("the last wave returns")
    }
}

/// A host with the agents of a wave.
async fn start(dir: TempDir, wave: u64, agents: u64) -> Result<Host> {
    let mut manifest = "memory: 512M\ndocument: { retired: 1s }\nagents:\n".to_owned();
    if agents == 0 {
        manifest.push_str("  {}\n");
    }
    for number in 0..agents {
        writeln!(manifest, "  wave-{wave}-{number}: {{ component: '{{hello}}' }}")?;
    }
    Host::start(dir, &manifest).await
}

/// Retires all agents of other waves, and waits until they are gone.
async fn forget_others(host: &Host, wave: u64) -> Result<()> {
    let token = operator(&host.dir.path().join("data"))?;
    let mut editor = Editor::connect(host.address, Some(&token)).await?;
    let own = format!("wave-{wave}-");
    let is_other = |name: &String| !name.starts_with(&own);
    loop {
        let others: Vec<String> = editor.names().into_iter().filter(is_other).collect();
        let unretired: Vec<&String> =
            others.iter().filter(|name| editor.field(name, "retired").is_none()).take(RETIRED_AT_ONCE).collect();
        if unretired.is_empty() {
            break;
        }
        let edits: Vec<(&str, &str, i64)> = unretired.iter().map(|name| (name.as_str(), "retired", 1)).collect();
        let sent = match editor.set(edits).await {
            Ok(()) => editor.settle().await,
            lost => lost,
        };
        match sent {
            Err(error) if error.downcast_ref::<Closed>().is_some_and(|closed| closed.code == 4409) => {
                editor = Editor::connect(host.address, Some(&token)).await?;
            }
            sent => sent?,
        }
    }
    // Nobody is there while they are removed.
    drop(editor);
    let began = Instant::now();
    loop {
        let left = document(host).await?;
        if !left["agents"].as_object().context("agents")?.keys().any(is_other) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{} entries are still there", count(&left));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn document(host: &Host) -> Result<Value> {
    host.ask("/registry").await?.context("an operator may see the registry")
}

fn bytes(document: &Value) -> f64 {
    document["bytes"].as_f64().unwrap_or(f64::NAN)
}

fn count(document: &Value) -> usize {
    document["agents"].as_object().map_or(0, serde_json::Map::len)
}
