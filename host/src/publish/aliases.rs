//! Aliases: tags of an agent's repository that name one of its versions, such as `stable`.
//!
//! An alias stands in the agent's entry, where `agent@alias` is looked up, and is a tag, which OCI clients move by pushing the
//! version's manifest under it. `latest` is the one that says what is served under the bare name: moving it serves another.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Publishing;
use super::digest::{Algorithm, Digest};
use super::error::{Error, Limit};
use super::index::tables::Record;
use super::live::{note, unwritten};
use super::manifests::Put;
use super::name::{Reference, Repository, Tag};
use super::serving::Serving;
use super::versions::{LATEST, unless_gone};
use crate::access::Principal;
use crate::manifest::AgentName;

/// Aliases of one agent, as many as its entry has room for.
const ALIASES_MAX: usize = 64;

/// What a tag is, or would become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// A tag of plain content.
    Plain,
    /// A name of this version of an agent.
    Version(AgentName, String),
}

impl Publishing {
    /// What a tag of this repository becomes that is to name this manifest.
    ///
    /// # Errors
    ///
    /// When it is an alias, and the manifest no version.
    pub(super) async fn naming(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Result<Naming, Error> {
        let Some(agent) = repository.agent() else { return Ok(Naming::Plain) };
        let (repository, tag, digest) = (repository.clone(), tag.clone(), digest.clone());
        self.reading(move |view| {
            let row = view.agent(agent.as_str())?.filter(|row| row.repository == repository.as_str());
            if row.is_none() {
                return Ok(Naming::Plain);
            }
            if let Some(version) = view.version_of(&repository, &digest)? {
                return Ok(Naming::Version(agent, version));
            }
            let before = view.tagged(&repository, &tag)?;
            let named = before.map(|before| view.version_of(&repository, &before)).transpose()?.flatten();
            match named {
                Some(version) => Err(Error::NotYours(format!(
                    "`{tag}` names the version {version} of `{agent}`: it can be moved to another version, and to nothing else"
                ))),
                None => Ok(Naming::Plain),
            }
        })
        .await
    }

    /// Takes a version's manifest under another tag: lets that name stand for the version from now on. The tag is moved first;
    /// who cannot be told of it by the document as well has it refused, and pushes it again.
    pub(super) async fn put_alias(
        &self,
        (repository, agent, alias): (&Repository, &AgentName, &Tag),
        (record, bytes): (Record, Bytes),
        by: &Arc<Principal>,
    ) -> Result<Put, Error> {
        let serving = self.serving()?;
        let _turn = serving.turn(agent, by).await?;
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        // Looked at again: it may have gone while others had their turn.
        let Naming::Version(_, version) = self.naming(repository, alias, &digest).await? else {
            return Err(Error::ManifestUnknown(digest.to_string()));
        };
        let named = self.name_version(serving, (repository, agent, alias), &version, (record, bytes), by).await;
        note(serving, by, ("alias", agent, &format!("{alias} = {version}")), &named);
        named
    }

    async fn name_version(
        &self,
        serving: &Serving,
        (repository, agent, alias): (&Repository, &AgentName, &Tag),
        version: &str,
        (record, bytes): (Record, Bytes),
        by: &Arc<Principal>,
    ) -> Result<Put, Error> {
        let is_latest = alias.as_str() == LATEST;
        let mut aliases = aliases(serving, agent);
        if is_latest {
            self.bring_in_line(serving, agent).await?;
            self.make_live(serving, agent, version, Vec::new(), false).await?;
        } else {
            aliases.insert(alias.as_str().to_owned(), version.into());
            let (name, unit, cap) = ("aliases", "aliases of an agent", ALIASES_MAX as u64);
            if aliases.len() > ALIASES_MAX {
                return Err(Error::Quota(Limit { name, unit, cap, used: cap, wanted: 1 }));
            }
        }
        let (repository, reference, by) = (repository.clone(), Reference::Tag(alias.clone()), by.clone());
        let put = self
            .on_disk(move |inner| inner.put_manifest((&repository, &reference), record, &bytes, &by, |_| Ok(())))
            .await?;
        if !is_latest {
            write_aliases(serving, agent, aliases).await?;
        }
        Ok(put)
    }

    /// Takes a tag away, and with it the name, if it stood for a version of the agent that this repository is.
    pub(super) async fn delete_tag(
        &self,
        repository: &Repository,
        alias: &Tag,
        by: &Arc<Principal>,
    ) -> Result<(), Error> {
        let (of, tag) = (repository.clone(), alias.clone());
        let untag = self.on_disk(move |inner| {
            inner.index.change(|changes| {
                changes.is_free(&of, &Reference::Tag(tag.clone()))?;
                changes.untag(&of, &tag)
            })
        });
        let owned = match (self.serving(), repository.agent()) {
            (Ok(serving), Some(agent)) => {
                let (name, of) = (agent.clone(), repository.clone());
                let row = self.reading(move |view| view.agent(name.as_str())).await?;
                row.filter(|row| row.repository == of.as_str()).map(|_| (serving, agent))
            }
            _ => None,
        };
        let Some((serving, agent)) = owned else { return untag.await };
        let _turn = serving.turn(&agent, by).await?;
        let mut aliases = aliases(serving, &agent);
        if aliases.remove(alias.as_str()).is_none() {
            return untag.await;
        }
        let unnamed = async {
            // An earlier try may have come as far as this.
            unless_gone(untag.await)?;
            write_aliases(serving, &agent, aliases).await
        };
        let unnamed = unnamed.await;
        note(serving, by, ("unalias", &agent, alias.as_str()), &unnamed);
        unnamed
    }
}

/// The aliases of an agent, as its entry has them.
fn aliases(serving: &Serving, agent: &AgentName) -> Map<String, Value> {
    let record = serving.document.record(agent.as_str());
    record.and_then(|record| record.get("aliases").as_object().cloned()).unwrap_or_default()
}

async fn write_aliases(serving: &Serving, agent: &AgentName, aliases: Map<String, Value>) -> Result<(), Error> {
    let fields = vec![("aliases", Value::Object(aliases))];
    serving.document.write(vec![(agent.as_str().into(), fields)]).await.map_err(|failed| unwritten(&failed))
}
