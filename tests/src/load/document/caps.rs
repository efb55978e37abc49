//! Caps that are edited while calls go on: how soon the next call runs under the new one.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::operator;
use crate::editor::Editor;
use crate::load::ask;
use crate::load::figures::{Figures, Target};
use crate::load::host::Host;
use crate::load::wire::Wire;

/// Less than the agent begins with, and more than it needs.
const CAPS: [i64; 2] = [65_536, 16 << 20];

/// Longest wait for a cap to be in force.
const WAIT: Duration = Duration::from_secs(10);

/// Time between two looks, at first.
const LOOK: Duration = Duration::from_millis(5);

/// From the edit's way out to the first call that it governs.
const EFFECTIVE_MS_MAX: f64 = 1_000.0;

#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub edits: u64,
}

impl Caps {
    pub async fn run(self) -> Result<Figures> {
        let manifest = "agents: { hello: { component: '{hello}', memory: 32M } }\n";
        let host = Host::start(tempfile::tempdir()?, manifest).await?;
        let token = operator(&host.dir.path().join("data"))?;
        let mut editor = Editor::connect(host.address, Some(&token)).await?;
        let mut wire = Wire::connect(host.address, 0).await?;
        let mut times = Vec::new();
        for edit in 0..self.edits {
            let cap = CAPS[edit as usize % 2];
            let began = Instant::now();
            editor.set([("hello", "memory", cap)]).await?;
            let (is_small, mut look) = (cap == CAPS[0], LOOK);
            if !is_small {
                // Five failures in a row would have the agent rest: not asked before the edit is taken, and not often.
                editor.settle().await?;
            }
            while fails(&mut wire, &host).await? != is_small {
                tokio::time::sleep(look).await;
                ensure!(began.elapsed() < WAIT, "a cap of {cap} bytes is not in force");
                if !is_small {
                    look *= 2;
                }
            }
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let at = |fraction: f64| times[((times.len() - 1) as f64 * fraction) as usize].as_secs_f64() * 1e3;
        let mut figures = Figures::default();
        figures.add("edits", self.edits as f64, "");
        figures.add("edit to effect, p50", at(0.5), "ms");
        figures.judge("edit to effect, p99", at(0.99), "ms", Target::AtMost(EFFECTIVE_MS_MAX));
        Ok(figures)
    }
}

/// Whether a call is stopped by its memory cap now.
async fn fails(wire: &mut Wire, host: &Host) -> Result<bool> {
    wire.send(&ask::call(host.address, "hello", "greet", &json!({ "name": "Ann" }))).await?;
    let head = wire.head().await?;
    let reply: Value = serde_json::from_slice(&wire.body(&head).await?).context("a reply is JSON")?;
    let limit = &reply["result"]["_meta"]["stockade/limit"]["limit"];
    ensure!(reply["error"].is_null() && (limit.is_null() || limit == "memory"), "{reply}");
    Ok(limit == "memory")
}
