//! Agents whose entries were retired: once an entry is cleaned up, the versions of its agent go as well, and their bytes with
//! the sweep.
//!
//! That an entry was seen to be retired is written down. An entry that is missing from the start, as in a document that was
//! lost, takes nothing with it.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use super::Publishing;
use super::audit::Deed;
use super::error::Error;
use super::index::View;
use super::index::versions::AgentRow;
use super::serving::Serving;
use super::versions::remove_all;
use crate::manifest::AgentName;

impl Publishing {
    /// Brings what there is in line with the entries that there are. One that was seen since the host started is taken away by
    /// nothing but the cleaning up.
    pub(super) async fn remove_retired(&self) {
        let Ok(serving) = self.serving() else { return };
        let rows = match self.reading(View::agents).await {
            Ok(rows) => rows,
            Err(error) => return tracing::warn!(%error, "retired agents cannot be looked for"),
        };
        for (name, row) in rows {
            let record = serving.document.record(&name);
            let was_seen = match record {
                Some(_) => self.has_entry(&name),
                None => self.seen().remove(&name),
            };
            let done = match (&record, row.retired || was_seen && record.is_none()) {
                (None, true) => self.remove_agent(serving, &name).await,
                (Some(record), _) if record.whole("retired").is_some() != row.retired => {
                    self.note_retired(name.clone(), !row.retired).await
                }
                _ => Ok(()),
            };
            if let Err(error) = done {
                tracing::warn!(agent = name, %error, "a retired agent cannot be removed");
            }
        }
    }

    /// Takes note of an agent's entry; false if it is a new one.
    pub(super) fn has_entry(&self, agent: &str) -> bool {
        !self.seen().insert(agent.to_owned())
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note_retired(&self, name: String, retired: bool) -> Result<(), Error> {
        self.on_disk(move |inner| {
            inner.index.change(|changes| match changes.agent(&name)? {
                Some(row) => changes.set_agent(&name, &AgentRow { retired, ..row }),
                None => Ok(()),
            })
        })
        .await
    }

    async fn remove_agent(&self, serving: &Serving, name: &str) -> Result<(), Error> {
        let Ok(agent) = AgentName::parse(name) else { return Ok(()) };
        let _turn = serving.own_turn(&agent).await;
        if serving.document.record(name).is_some() {
            // Somebody has published it anew meanwhile.
            return Ok(());
        }
        let of = agent.clone();
        let versions =
            self.on_disk(move |inner| inner.index.change(|changes| remove_all(changes, of.as_str()))).await?;
        serving.agents.withdraw(name);
        versions.iter().for_each(|version| serving.agents.remove(name, version));
        let outcome = format!("{} versions", versions.len());
        serving.audit.note(Deed { who: "host", what: "remove", agent: name, version: "", outcome: &outcome });
        Ok(())
    }
}
