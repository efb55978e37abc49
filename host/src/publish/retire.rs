//! Agents whose entries were retired: once an entry is cleaned up, the versions of its agent go as well, and their bytes with
//! the sweep.
//!
//! That an entry was seen to be retired is written down. An entry that is missing from the start, as in a document that was
//! lost, takes nothing with it.

use std::collections::BTreeSet;

use super::Publishing;
use super::audit::Deed;
use super::error::Error;
use super::index::View;
use super::index::versions::AgentRow;
use super::name::Repository;
use super::serving::Serving;
use super::versions::remove;
use crate::manifest::AgentName;

impl Publishing {
    /// Brings what there is in line with the entries that there are. `seen` are the agents that had one since the host
    /// started: nothing but the cleaning up takes one away.
    pub(super) async fn remove_retired(&self, seen: &mut BTreeSet<String>) {
        let Ok(serving) = self.serving() else { return };
        let rows = match self.reading(View::agents).await {
            Ok(rows) => rows,
            Err(error) => return tracing::warn!(%error, "retired agents cannot be looked for"),
        };
        for (name, row) in rows {
            let record = serving.document.record(&name);
            let was_seen = if record.is_some() { !seen.insert(name.clone()) } else { seen.remove(&name) };
            let done = match (&record, row.retired || was_seen && record.is_none()) {
                (None, true) => self.remove_agent(serving, &name, &row).await,
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

    async fn note_retired(&self, name: String, retired: bool) -> Result<(), Error> {
        self.on_disk(move |inner| {
            inner.index.change(|changes| match changes.agent(&name)? {
                Some(row) => changes.set_agent(&name, &AgentRow { retired, ..row }),
                None => Ok(()),
            })
        })
        .await
    }

    async fn remove_agent(&self, serving: &Serving, name: &str, row: &AgentRow) -> Result<(), Error> {
        let Ok(agent) = AgentName::parse(name) else { return Ok(()) };
        let _turn = serving.turn(&agent).await?;
        let repository: Repository = row.repository.parse().expect("only names were written there");
        let of = agent.clone();
        let versions = self
            .on_disk(move |inner| {
                inner.index.change(|changes| {
                    let versions = changes.versions(of.as_str())?;
                    versions.iter().try_for_each(|(version, _)| remove(changes, &repository, of.as_str(), version))?;
                    Ok(versions)
                })
            })
            .await?;
        serving.agents.withdraw(name);
        versions.iter().for_each(|(version, _)| serving.agents.remove(name, version));
        let outcome = format!("{} versions", versions.len());
        serving.audit.note(Deed { who: "host", what: "remove", agent: name, version: "", outcome: &outcome });
        Ok(())
    }
}
