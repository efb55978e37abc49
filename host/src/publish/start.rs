//! What a start finds of versions: finishes or undoes what a crash has left half done, and tells what there is to be served.

use super::error::Error;
use super::index::versions::{AgentRow, State, VersionRow};
use super::index::{Changes, View};
use super::live::set_live;
use super::name::Repository;
use super::serving::Serving;
use super::signature::{ARTIFACT_TYPE, SIGNATURE_BYTES_MAX, SIGNATURES_MAX, Statement};
use super::versions::{remove, remove_all, whole};
use super::{Inner, Publishing, digest::Digest};
use crate::agent::{Published, Version as Known};
use crate::manifest::{AgentName, Component, Manifest, SignatureMode, Signatures};
use crate::registry::Handle;

/// Bytes of a signature's manifest.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

/// What an agent's entry in the document says is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It has no entry.
    NoEntry,
    Nothing,
    Version {
        version: String,
        digest: String,
    },
}

impl Said {
    pub fn of(document: &Handle, agent: &str) -> Self {
        match document.record(agent) {
            None => Self::NoEntry,
            Some(record) => record.text("version").map_or(Self::Nothing, |version| {
                let digest = record.text("digest").unwrap_or_default().to_owned();
                Self::Version { version: version.to_owned(), digest }
            }),
        }
    }

    /// Whether it is this version: by its component, too, since what the manifest had served for a while may be called the
    /// same.
    fn is(&self, wanted: &str, row: &VersionRow) -> bool {
        matches!(self, Self::Version { version, digest } if version == wanted && *digest == row.component)
    }
}

impl Publishing {
    /// Every agent that was published to this host, in the order of their names, as its entry in the document has it served;
    /// but those of which the manifest says what they are.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn offered(&self, document: &Handle, manifest: &Manifest) -> anyhow::Result<Vec<Published>> {
        let rows = self.0.index.read(View::agents)?;
        let offer = |(name, row): (String, AgentRow)| {
            let name = AgentName::parse(&name).ok()?;
            if manifest.agents.get(&name).is_some_and(|spec| spec.component != Component::Published) {
                return None;
            }
            let offered = self.0.offer(&name, row.retired, &Said::of(document, name.as_str()), &manifest.signatures);
            offered.unwrap_or_else(|error| {
                tracing::error!(agent = name.as_str(), %error, "not served: what was published of it cannot be read");
                // It is there, and the others are served all the same.
                Some(Published { name, versions: Vec::new(), live: None })
            })
        };
        Ok(rows.into_iter().filter_map(offer).collect())
    }

    /// Brings an agent's rows in line with its entry. Whoever changes its versions begins with this: an earlier change may have
    /// come no further than the document.
    pub(super) async fn bring_in_line(&self, serving: &Serving, agent: &AgentName) -> Result<(), Error> {
        serving.agents.may_be_published(agent).map_err(Error::NotAdmitted)?;
        let (name, said) = (agent.clone(), Said::of(&serving.document, agent.as_str()));
        let gone = self.on_disk(move |inner| inner.settle(name.as_str(), &said)).await?;
        gone.iter().for_each(|version| serving.agents.remove(agent.as_str(), version));
        Ok(())
    }
}

impl Inner {
    /// One agent that was published; none if nothing is left of it.
    fn offer(
        &self,
        agent: &AgentName,
        retired: bool,
        said: &Said,
        policy: &Signatures,
    ) -> Result<Option<Published>, Error> {
        let name = agent.as_str();
        if retired && *said == Said::NoEntry {
            // Its entry was cleaned up, and the host stopped before its versions were.
            let gone = self.index.change(|changes| remove_all(changes, name))?;
            tracing::info!(agent = name, versions = gone.len(), "a retired agent is removed");
            return Ok(None);
        }
        self.settle(name, said)?;
        let Some((row, versions)) = self.index.read(|view| {
            let row = view.agent(name)?;
            row.map(|row| Ok((row, view.versions(name)?))).transpose()
        })?
        else {
            return Ok(None);
        };
        let vouched = |(version, known): &(String, VersionRow)| self.is_vouched(&row, version, known, policy);
        let versions: Vec<_> = versions.into_iter().filter(vouched).collect();
        let is_there = |wanted: &String| versions.iter().any(|(version, _)| version == wanted);
        let live = row.live.clone().filter(is_there).map(|version| version.as_str().into());
        let known = |(version, known): (String, VersionRow)| {
            let component: Digest = known.component.parse().expect("only digests were written there");
            Known {
                version: version.as_str().into(),
                component: self.data.join(self.blobs.path(&component)),
                digest: component.hex().to_owned(),
            }
        };
        Ok(Some(Published { name: agent.clone(), versions: versions.into_iter().map(known).collect(), live }))
    }

    /// Brings an agent's rows in line with its entry, if they are not; the versions that are removed.
    fn settle(&self, name: &str, said: &Said) -> Result<Vec<String>, Error> {
        let is_settled = self.index.read(|view| {
            let Some(row) = view.agent(name)? else { return Ok(true) };
            let pending = view.versions(name)?.iter().any(|(_, known)| known.state == State::Pending);
            let as_said = match said {
                Said::NoEntry => true,
                Said::Nothing => row.live.is_none(),
                Said::Version { version, .. } => {
                    let known = view.version(name, version)?;
                    row.live.as_ref() == Some(version) || !known.is_some_and(|known| said.is(version, &known))
                }
            };
            Ok(!pending && as_said)
        })?;
        if is_settled { Ok(Vec::new()) } else { self.index.change(|changes| settle(changes, name, said)) }
    }

    /// Whether a version may be served as far as signatures go. Looked at again at each start: a key may have been taken
    /// away since.
    fn is_vouched(&self, agent: &AgentRow, version: &str, row: &VersionRow, policy: &Signatures) -> bool {
        if policy.mode == SignatureMode::Off {
            return true;
        }
        let parsed = || {
            let repository: Repository = agent.repository.parse().ok()?;
            Some((repository, row.manifest.parse::<Digest>().ok()?, row.component.parse::<Digest>().ok()?))
        };
        let Some((repository, manifest, component)) = parsed() else { return false };
        let statement = Statement { repository: &repository, version, manifest: &manifest, component: &component };
        let signatures = self.signatures(&repository, &manifest).unwrap_or_else(|error| {
            tracing::error!(repository = %repository, version, %error, "its signatures cannot be read");
            Vec::new()
        });
        match statement.judge(policy, &signatures) {
            Ok(super::signature::Verdict::Warned(why)) => {
                tracing::warn!(repository = %repository, version, why, "served without a signature");
                true
            }
            Ok(_) => true,
            Err(why) => {
                tracing::error!(repository = %repository, version, why, "not served: `signatures.mode` is `enforce`");
                false
            }
        }
    }

    /// The texts of the signatures on a manifest.
    pub(super) fn signatures(&self, repository: &Repository, manifest: &Digest) -> Result<Vec<String>, Error> {
        let of = (repository, manifest);
        let found = self.index.read(|view| view.referrers_of_type(of, ARTIFACT_TYPE, SIGNATURES_MAX))?;
        let mut texts = Vec::new();
        for referrer in &found {
            if let Some(text) = self.signature(repository, referrer)? {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// The text of a signature, from its manifest's one layer.
    fn signature(&self, repository: &Repository, manifest: &Digest) -> Result<Option<String>, Error> {
        let manifest = whole(self.blob(repository, manifest)?.file, MANIFEST_BYTES_MAX)?;
        let layer = serde_json::from_slice::<serde_json::Value>(&manifest).ok();
        let layer = layer.as_ref().and_then(|manifest| manifest["layers"][0]["digest"].as_str()?.parse().ok());
        let Some(layer) = layer else { return Ok(None) };
        let text = whole(self.blob(repository, &layer)?.file, SIGNATURE_BYTES_MAX)?;
        Ok(String::from_utf8(text).ok())
    }
}

/// Brings an agent's rows in line with its entry, which decides: a version on its way that the entry names has arrived, any
/// other never was. Answers with those.
fn settle(changes: &Changes<'_>, name: &str, said: &Said) -> Result<Vec<String>, Error> {
    let Some(row) = changes.agent(name)? else { return Ok(Vec::new()) };
    let repository: Repository = row.repository.parse().expect("only names were written there");
    let (mut removed, mut named) = (Vec::new(), None);
    for (version, mut known) in changes.versions(name)? {
        let is_said = said.is(&version, &known);
        match known.state {
            State::Pending if is_said => {
                known.state = State::Published;
                changes.set_version(name, &version, &known)?;
            }
            State::Pending => {
                tracing::warn!(
                    agent = name,
                    version,
                    "its publishing was cut off: it is removed, and can be published again"
                );
                remove(changes, &repository, name, &version)?;
                removed.push(version);
                continue;
            }
            State::Published | State::Yanked | State::Failed => {}
        }
        if is_said {
            named = Some((version, known));
        }
    }
    match (said, named) {
        (Said::Version { .. }, Some((version, known))) if row.live.as_ref() != Some(&version) => {
            set_live(changes, name, Some((&version, &known)))?;
        }
        (Said::Nothing, _) if row.live.is_some() => set_live(changes, name, None)?,
        (Said::Version { version, .. }, None) => {
            tracing::error!(agent = name, version, "the registry's document has a version served that is not here");
        }
        _ => {}
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
