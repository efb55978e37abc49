//! Aliases: tags of an agent's repository that name one of its versions, such as `stable`.
//!
//! An alias stands in the agent's entry, where `agent@alias` is looked up, and is a tag, which OCI clients move by pushing the
//! version's manifest under it. `latest` is the one that says what is served under the bare name: moving it serves another.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::{Error, Limit};
use super::live::{note, unwritten};
use super::name::{Repository, Tag};
use super::versions::LATEST;
use super::{Publishing, digest::Digest};
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

    /// Lets a name stand for a version from now on.
    pub(super) async fn name_version(
        &self,
        agent: &AgentName,
        alias: &Tag,
        version: &str,
        by: &Arc<Principal>,
    ) -> Result<(), Error> {
        let serving = self.serving()?;
        let _turn = serving.turn(agent).await?;
        let named = if alias.as_str() == LATEST {
            self.make_live(serving, agent, version, Vec::new(), false).await
        } else {
            self.write_aliases(agent, |aliases| {
                aliases.insert(alias.as_str().to_owned(), version.into());
            })
            .await
        };
        note(serving, by, ("alias", agent, &format!("{alias} = {version}")), &named);
        named
    }

    /// Takes a name away, if it stood for a version of the agent that this repository is.
    pub(super) async fn unname(&self, repository: &Repository, alias: &Tag, by: &Arc<Principal>) -> Result<(), Error> {
        let (Ok(serving), Some(agent)) = (self.serving(), repository.agent()) else { return Ok(()) };
        let record = serving.document.record(agent.as_str());
        if record.is_none_or(|record| record.get("aliases").get(alias.as_str()).is_none()) {
            return Ok(());
        }
        let (name, of) = (agent.clone(), repository.clone());
        let row = self.reading(move |view| view.agent(name.as_str())).await?;
        if row.is_none_or(|row| row.repository != of.as_str()) {
            return Ok(());
        }
        let _turn = serving.turn(&agent).await?;
        let unnamed = self.write_aliases(&agent, |aliases| drop(aliases.remove(alias.as_str()))).await;
        note(serving, by, ("unalias", &agent, alias.as_str()), &unnamed);
        unnamed
    }

    async fn write_aliases(
        &self,
        agent: &AgentName,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), Error> {
        let document = &self.serving()?.document;
        let record = document.record(agent.as_str());
        let mut aliases = record.and_then(|record| record.get("aliases").as_object().cloned()).unwrap_or_default();
        change(&mut aliases);
        let (name, unit, cap) = ("aliases", "aliases of an agent", ALIASES_MAX as u64);
        if aliases.len() > ALIASES_MAX {
            return Err(Error::Quota(Limit { name, unit, cap, used: cap, wanted: 1 }));
        }
        let fields = vec![("aliases", Value::Object(aliases))];
        document.write(vec![(agent.as_str().into(), fields)]).await.map_err(|failed| unwritten(&failed))
    }
}
