//! A host that is killed while somebody publishes, again and again: a version is there whole, or not at all.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::document::crash::life;
use super::document::operator;
use super::figures::{Figures, Target};
use crate::client::Client;
use crate::process::{Process, component};
use crate::publisher::{Publisher, stamped};

/// Time from the first push of a round to the host's end, at most: a push takes some tens of milliseconds.
const LIFE_MAX: Duration = Duration::from_millis(600);

/// How long a version may take to be called that was not since the host started.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub struct PublishCrash {
    pub rounds: u64,
}

/// What has been published so far.
#[derive(Debug, Default)]
struct Versions {
    begun: u64,
    acknowledged: u64,
}

impl PublishCrash {
    pub async fn run(self) -> Result<Figures> {
        let dir = tempfile::tempdir()?;
        let (manifest, data) = (dir.path().join("manifest.yaml"), dir.path().join("data"));
        fs::write(&manifest, "memory: 512M\nuploads: { grace: 1s }\nagents: {}\n")?;
        let hello = fs::read(component("hello")?)?;
        let (mut versions, mut lost, mut torn, mut cut_off) = (Versions::default(), 0, 0, 0);
        for round in 0..self.rounds {
            let process = Process::stockade(&manifest, &data).await.with_context(|| format!("start {round}"))?;
            process.ready().await?;
            let address: SocketAddr = process.url().strip_prefix("http://").context("a host speaks http")?.parse()?;
            let publisher = Publisher::new(address, &operator(&data)?);
            if versions.acknowledged > 0 {
                let found = publisher.versions("demo").await;
                let found = found.as_array().context("a list")?;
                lost += u64::from((found.len() as u64) < versions.acknowledged);
                torn += torn_of(address, found).await?;
                cut_off += u64::from((found.len() as u64) < versions.begun);
                // What was on its way may have arrived without a word, and is published again with the same bytes.
                versions = Versions { begun: found.len() as u64, acknowledged: found.len() as u64 };
            }
            tokio::select! {
                ended = publish(&publisher, &hello, &mut versions) => ended.context("the host has ended by itself")?,
                () = tokio::time::sleep(life(round, LIFE_MAX)) => {}
            }
            process.end().await?;
        }
        let mut figures = Figures::default();
        figures.add("rounds", self.rounds as f64, "");
        figures.add("versions acknowledged", versions.acknowledged as f64, "");
        figures.add("publishes cut off, of which nothing is left", cut_off as f64, "");
        figures.judge("acknowledged and lost", f64::from(u32::try_from(lost)?), "", Target::AtMost(0.0));
        figures.judge("there by halves", torn as f64, "", Target::AtMost(0.0));
        Ok(figures)
    }
}

/// Publishes until the host has gone.
async fn publish(publisher: &Publisher, hello: &[u8], versions: &mut Versions) -> Result<()> {
    loop {
        let number = versions.acknowledged;
        versions.begun = number + 1;
        let version = format!("1.0.{number}");
        let said = publisher.publish("demo", &version, &stamped(hello, &version)).await;
        ensure!(said.status == 201, "{version}: {said:?}");
        versions.acknowledged = number + 1;
    }
}

/// How many versions are listed and are not what they should be: published, and to be called.
async fn torn_of(address: SocketAddr, found: &[Value]) -> Result<u64> {
    let mut torn = 0;
    for version in found.iter().take(3) {
        let name = version["version"].as_str().context("a version")?;
        let client = Client::new(address, &format!("/mcp/demo@{name}"));
        torn += u64::from(version["state"] != "published" || !is_called(&client).await);
    }
    let live = found.iter().filter(|version| version["live"] == true).count();
    Ok(torn + u64::from(live != 1))
}

async fn is_called(client: &Client) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let answer = client.call("greet", json!({ "name": "Ann" })).await;
        if answer.body["result"]["content"][0]["text"] == "Hello, Ann!" {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
