//! New versions that fail whoever calls them: what was served before is served again, by the host itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Publishing;
use super::audit::Deed;
use super::error::Error;
use super::index::versions::State;
use super::serving::Serving;
use crate::agent::Troubled;
use crate::manifest::AgentName;

/// Agents that are looked after at once; of others it is heard later.
const PATIENTS_MAX: usize = 16;

/// How often it is tried, and the first pause between two tries; each is twice as long as the one before.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_secs(1);

impl Publishing {
    /// Rolls new versions back that fail whoever calls them, for as long as anybody tells.
    pub async fn look_after(&self, mut troubles: mpsc::Receiver<Troubled>) {
        let mut patients = JoinSet::new();
        // By agent, with what was heard of it meanwhile.
        let mut known: BTreeMap<Arc<str>, Option<Troubled>> = BTreeMap::new();
        let look_after = |patients: &mut JoinSet<_>, troubled| {
            let publishing = self.clone();
            patients.spawn(async move { publishing.replace(troubled).await });
        };
        loop {
            tokio::select! {
                troubled = troubles.recv(), if patients.len() < PATIENTS_MAX => {
                    let Some(troubled) = troubled else { break };
                    match known.get_mut(&troubled.agent) {
                        Some(next) => *next = Some(troubled),
                        None => {
                            known.insert(troubled.agent.clone(), None);
                            look_after(&mut patients, troubled);
                        }
                    }
                }
                Some(ended) = patients.join_next(), if !patients.is_empty() => match ended {
                    Ok(name) => match known.get_mut(&name).and_then(Option::take) {
                        Some(next) => look_after(&mut patients, next),
                        None => drop(known.remove(&name)),
                    },
                    Err(error) => tracing::error!(%error, "a new version fails, and looking after it failed as well"),
                },
            }
        }
        patients.join_all().await;
    }

    /// Tries until something else is served or cannot be; answers with the agent's name.
    async fn replace(&self, troubled: Troubled) -> Arc<str> {
        let Troubled { agent, version, limit } = troubled;
        let (Ok(serving), Ok(name)) = (self.serving(), AgentName::parse(&agent)) else { return agent };
        let why = format!("its first calls ended at the limit `{limit}`, one after the other");
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            let back = self.give_up(serving, &name, &version, &why).await;
            let outcome = match &back {
                Ok(Outcome::Back(to)) => format!("{to} is served again: {why}"),
                Ok(Outcome::Over) => break,
                Ok(Outcome::NothingElse) => format!("nothing else can be served: {why}"),
                Err(error) => error.to_string(),
            };
            tracing::warn!(agent = &*agent, version = &*version, outcome, "a new version fails");
            if left == 0 || matches!(back, Ok(Outcome::Back(_))) {
                let (who, what) = ("host", "rollback");
                serving.audit.note(Deed { who, what, agent: &agent, version: &version, outcome: &outcome });
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        agent
    }

    /// Serves what was before a version that fails, if it is still the one that is served.
    async fn give_up(&self, serving: &Serving, agent: &AgentName, version: &str, why: &str) -> Result<Outcome, Error> {
        let _turn = serving.own_turn(agent).await;
        self.bring_in_line(serving, agent).await?;
        let name = agent.clone();
        let live = self.reading(move |view| Ok(view.agent(name.as_str())?.and_then(|row| row.live))).await?;
        let outcome = if live.as_deref() == Some(version) {
            let before = self.before(agent).await?;
            if before.is_empty() {
                return Ok(Outcome::Over);
            }
            let Some(to) = self.serve_first(serving, agent, &before).await? else { return Ok(Outcome::NothingElse) };
            Outcome::Back(to)
        } else {
            Outcome::Over
        };
        // Whoever has put another in its place: nobody goes back to this one.
        let (agent, version, why) = (agent.clone(), version.to_owned(), why.to_owned());
        let mark = self.on_disk(move |inner| {
            inner.index.change(|changes| {
                let Some(mut row) = changes.version(agent.as_str(), &version)? else { return Ok(()) };
                (row.state, row.why) = (State::Failed, Some(why));
                changes.set_version(agent.as_str(), &version, &row)
            })
        });
        mark.await?;
        Ok(outcome)
    }
}

/// What came of a rollback.
enum Outcome {
    /// This is served again.
    Back(String),
    /// What failed is not served any more, or nothing was before it.
    Over,
    /// What was served before cannot be loaded now.
    NothingElse,
}
