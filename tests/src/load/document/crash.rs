//! A host that is killed while somebody edits, again and again: what it has acknowledged is there when it starts again.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use yrs::Any;

use super::operator;
use crate::editor::Editor;
use crate::load::figures::{Figures, Target};
use crate::process::{Process, component};

/// Time from the first edit of a round to the host's end, at most.
const LIFE_MAX: Duration = Duration::from_millis(400);

#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub rounds: u64,
}

/// What one client has sent, and what of it the host has acknowledged. Each edit sets two fields to its number.
#[derive(Debug, Default)]
struct Edits {
    sent: u64,
    acknowledged: u64,
}

impl Crash {
    pub async fn run(self) -> Result<Figures> {
        let dir = tempfile::tempdir()?;
        let (manifest, data) = (dir.path().join("manifest.yaml"), dir.path().join("data"));
        let hello = component("hello")?;
        fs::write(&manifest, format!("memory: 256M\nagents: {{ hello: {{ component: '{}' }} }}\n", hello.display()))?;
        let (mut edits, mut lost, mut torn, mut slowest) = (Edits::default(), 0, 0, Duration::ZERO);
        for round in 0..self.rounds {
            let began = Instant::now();
            let process = Process::stockade(&manifest, &data).await.with_context(|| format!("start {round}"))?;
            if round == 0 {
                // Its entry is made when it has loaded.
                process.ready().await?;
            }
            let address: SocketAddr = process.url().strip_prefix("http://").context("a host speaks http")?.parse()?;
            let mut editor = Editor::connect(address, Some(&operator(&data)?)).await?;
            slowest = slowest.max(began.elapsed());
            let [title, description] = ["title", "description"].map(|field| number(editor.field("hello", field)));
            lost += u64::from(title < edits.acknowledged);
            torn += u64::from(round > 0 && title != description);
            ensure!(title <= edits.sent, "an edit that nobody made: {title} of {}", edits.sent);
            edits = Edits { sent: edits.sent, acknowledged: title };
            tokio::select! {
                ended = edit(&mut editor, &mut edits) => ended.context("the host has ended by itself")?,
                () = tokio::time::sleep(life(round, LIFE_MAX)) => {}
            }
            process.end().await?;
        }
        no_rest(&data)?;
        let mut figures = Figures::default();
        figures.add("rounds", self.rounds as f64, "");
        figures.add("edits acknowledged", edits.acknowledged as f64, "");
        figures.judge("acknowledged and lost", lost as f64, "", Target::AtMost(0.0));
        figures.judge("stored by halves", torn as f64, "", Target::AtMost(0.0));
        figures.add("slowest start to sync", slowest.as_secs_f64() * 1e3, "ms");
        Ok(figures)
    }
}

/// Edits until the host has gone.
async fn edit(editor: &mut Editor, edits: &mut Edits) -> Result<()> {
    loop {
        edits.sent += 1;
        let value = edits.sent.to_string();
        editor.set([("hello", "title", value.clone()), ("hello", "description", value)]).await?;
        editor.settle().await?;
        edits.acknowledged = edits.sent;
    }
}

fn number(value: Option<Any>) -> u64 {
    value.and_then(|value| value.to_string().trim_matches('"').parse().ok()).unwrap_or_default()
}

/// Another for each round, and the same in each run.
pub fn life(round: u64, most: Duration) -> Duration {
    let spread = round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33;
    most.mul_f64((spread % 1_000) as f64 / 1_000.0)
}

/// Killed hosts leave nothing behind that the next would not clear away.
fn no_rest(data: &Path) -> Result<()> {
    let files = fs::read_dir(data.join("registry"))?.count();
    ensure!(files == 1, "{files} files in {}", data.join("registry").display());
    Ok(())
}
