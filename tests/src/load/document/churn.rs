//! Edit after edit of every agent's entry: what in the old registry only grew.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::operator;
use crate::editor::{Closed, Editor};
use crate::load::figures::{Figures, Target, growth, mib};
use crate::load::host::Host;

/// Edits of one update.
const EDITS_PER_UPDATE: u64 = 1_000;

/// How much larger the host may be than it was after its first tenth of the edits, in MiB: what one epoch takes.
const GROWTH_MIB_MAX: f64 = 128.0;

#[derive(Debug, Clone, Copy)]
pub struct Churn {
    pub agents: u64,
    /// Edits of each agent.
    pub edits: u64,
}

impl Churn {
    pub async fn run(self) -> Result<Figures> {
        let agents: String = (0..self.agents).map(|n| format!("  a{n}: {{ component: '{{hello}}' }}\n")).collect();
        let host = Host::start(tempfile::tempdir()?, &format!("memory: 1G\nagents:\n{agents}")).await?;
        let token = operator(&host.dir.path().join("data"))?;
        let mut editor = Editor::connect(host.address, Some(&token)).await?;
        let names = editor.names();
        let (mut left, mut done, mut epochs) = (self.agents * self.edits, 0_u64, 0_u64);
        let (mut before, mut most) = (None, 0.0_f64);
        while left > 0 {
            let part = left.min(EDITS_PER_UPDATE);
            let edits = (done..done + part).map(|n| (&*names[(n % self.agents) as usize], "title", format!("{n}")));
            let sent = match editor.set(edits).await {
                Ok(()) => editor.settle().await,
                lost => lost,
            };
            match sent {
                Ok(()) => (left, done) = (left - part, done + part),
                // The document has begun anew: so does whoever edits it.
                Err(error) if error.downcast_ref::<Closed>().is_some_and(|closed| closed.code == 4409) => {
                    epochs += 1;
                    editor = Editor::connect(host.address, Some(&token)).await?;
                }
                Err(error) => return Err(error),
            }
            let resident = host.resident()?;
            if done * 10 >= self.agents * self.edits {
                most = most.max(growth(*before.get_or_insert(resident), resident));
            }
        }
        let status = host.status().await?.context("the host says how it stands")?;
        let document = &status["accounts"]["document"];
        let bytes = |figure: &Value| figure.as_f64().unwrap_or(f64::NAN);
        let mut figures = Figures::default();
        figures.add("edits", done as f64, "");
        figures.add("epochs", epochs as f64, "");
        figures.judge("growth", mib(most), "MiB", Target::AtMost(GROWTH_MIB_MAX));
        figures.add("document, at the end", mib(bytes(&document["used"])), "MiB");
        let (peak, ceiling) = (mib(bytes(&document["peak"])), mib(bytes(&document["ceiling"])));
        figures.judge("document, at most", peak, "MiB", Target::AtMost(ceiling));
        Ok(figures)
    }
}
