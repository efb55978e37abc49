//! Versions of agents: written down, served, moved and taken away.
//!
//! The registry's document decides what is served; the index knows what there is to be served. Whatever changes both is
//! written to the index as something that is not served yet, then to the document, then served, and then the index is told.
//! [`Publishing::offered`] finishes or undoes what a crash has left between two of these steps.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use semver::Version;
use serde::Serialize;
use serde_json::Value;

use super::Publishing;
use super::digest::Digest;
use super::error::{Error, Limit};
use super::index::Changes;
use super::index::tables::{Record, stored};
use super::index::versions::{AgentRow, VersionRow};
use super::manifests::Put;
use super::name::{Reference, Repository, Tag};
use super::serving::Serving;
use super::wasm::{CONFIG_BYTES_MAX, Layout};
use crate::access::Principal;
use crate::agent::{Charged, Shape};
use crate::manifest::AgentName;

/// The tag that names what is served under the bare name.
pub const LATEST: &str = "latest";

/// Bytes of one version in a list.
const TOLD_BYTES: u64 = 1 << 10;

/// A field of an agent's entry.
pub(super) type Field = (&'static str, Value);

/// A version, for those who ask.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub version: String,
    pub live: bool,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub aliases: Vec<String>,
    pub digest: String,
    pub bytes: u64,
    pub published: u64,
    pub by: String,
    pub signed: bool,
    pub cold_start_ms: f64,
    pub memory_peak: u64,
}

impl Publishing {
    /// What is known of a version, and of its agent.
    pub(super) async fn version(
        &self,
        agent: &AgentName,
        version: &Tag,
    ) -> Result<(Option<AgentRow>, Option<VersionRow>), Error> {
        let (agent, version) = (agent.clone(), version.clone());
        self.reading(move |view| Ok((view.agent(agent.as_str())?, view.version(agent.as_str(), version.as_str())?)))
            .await
    }

    /// What callers of a version's tools depend on.
    pub(super) async fn shapes(&self, agent: &AgentName, version: &Version) -> Result<Vec<Shape>, Error> {
        let (agent, version) = (agent.clone(), version.to_string());
        self.reading(move |view| view.shapes(agent.as_str(), &version)).await
    }

    /// All versions of an agent, the newest first, and the repository they are in.
    ///
    /// # Errors
    ///
    /// When there are none, or nobody lends what the list takes.
    pub async fn versions(&self, agent: &AgentName) -> Result<Charged<(String, Vec<Told>)>, Error> {
        let aliases = self.serving()?.document.record(agent.as_str()).map(|record| record.get("aliases").clone());
        let name = agent.clone();
        let replies = self.0.replies.clone();
        let (row, mut versions, charge) = self
            .reading(move |view| {
                let name = name.as_str();
                // Before any of them is read.
                let charge = replies.charge(view.count_versions(name)? * TOLD_BYTES)?;
                Ok((view.agent(name)?, view.versions(name)?, charge))
            })
            .await?;
        let row = row.ok_or_else(|| no_versions(agent))?;
        versions.sort_by_cached_key(|(version, _)| std::cmp::Reverse(Version::parse(version).ok()));
        let told = |(version, known): (String, VersionRow)| {
            let named = aliases.as_ref().and_then(Value::as_object).into_iter().flatten();
            let aliases = named.filter(|(_, of)| of.as_str() == Some(&version)).map(|(alias, _)| alias.clone());
            Told {
                live: row.live.as_deref() == Some(&version),
                state: known.state.as_str(),
                why: known.why,
                aliases: aliases.collect(),
                digest: known.component,
                bytes: known.bytes,
                published: known.published,
                by: known.by,
                signed: known.signed,
                cold_start_ms: known.cold_start_us as f64 / 1e3,
                memory_peak: known.memory_peak,
                version,
            }
        };
        let told = versions.into_iter().map(told).collect();
        Ok(Charged { value: (row.repository, told), charge })
    }

    /// The file of a component whose layout is this, once everything about it holds that can be told without running it.
    pub(super) async fn component(&self, repository: &Repository, layout: &Layout) -> Result<PathBuf, Error> {
        let (repository, layout) = (repository.clone(), layout.clone());
        let look = self.on_disk(move |inner| {
            let (cap, bytes) = (inner.limits.component_bytes_max, layout.bytes);
            if bytes > cap {
                let (name, unit) = ("uploads.component_bytes_max", "bytes");
                return Err(Error::TooLarge(Limit { name, unit, cap, used: 0, wanted: bytes }));
            }
            let needed = |digest: &Digest| {
                let blob = inner.blob(&repository, digest);
                blob.map_err(|_| Error::ManifestBlobUnknown(digest.clone()))
            };
            let component = needed(&layout.component)?;
            if component.bytes != bytes {
                return Err(Error::SizeDiffers { digest: layout.component, said: bytes, has: component.bytes });
            }
            layout.check_config(&whole(needed(&layout.config)?.file, CONFIG_BYTES_MAX)?)?;
            Ok(inner.data.join(inner.blobs.path(&layout.component)))
        });
        look.await
    }

    /// The texts of the signatures on a manifest.
    pub(super) async fn signatures(&self, repository: &Repository, manifest: &Digest) -> Result<Vec<String>, Error> {
        let (repository, manifest) = (repository.clone(), manifest.clone());
        self.on_disk(move |inner| inner.signatures(&repository, &manifest)).await
    }

    /// Writes a version down, as one that is on its way.
    pub(super) async fn write_version(
        &self,
        (repository, agent, tag): (&Repository, &AgentName, &Tag),
        (record, bytes): (Record, Bytes),
        row: &VersionRow,
        shapes: Vec<Shape>,
        by: &Arc<Principal>,
    ) -> Result<Put, Error> {
        let (repository, agent, tag, row, by) =
            (repository.clone(), agent.clone(), tag.clone(), row.clone(), by.clone());
        let write = self.on_disk(move |inner| {
            let reference = Reference::Tag(tag.clone());
            inner.put_manifest((&repository, &reference), record, &bytes, &by, |changes| {
                let agent = agent.as_str();
                let known = changes
                    .agent(agent)?
                    .unwrap_or_else(|| AgentRow { repository: repository.as_str().to_owned(), ..AgentRow::default() });
                changes.set_agent(agent, &known)?;
                changes.add_version((&repository, agent, tag.as_str()), &row, &shapes)
            })
        });
        write.await
    }

    /// Undoes what [`write_version`](Self::write_version) did.
    pub(super) async fn take_version_back(
        &self,
        serving: &Serving,
        repository: &Repository,
        agent: &AgentName,
        tag: &Tag,
    ) {
        serving.agents.remove(agent.as_str(), tag.as_str());
        let (repository, agent, version) = (repository.clone(), agent.clone(), tag.as_str().to_owned());
        let undo = self
            .on_disk(move |inner| inner.index.change(|changes| remove(changes, &repository, agent.as_str(), &version)));
        if let Err(error) = undo.await {
            tracing::error!(%error, "a version that was not published can be removed only at the next start");
        }
    }
}

/// Takes a version out of the index, its tag with it, and its manifest unless another version is the same.
pub(super) fn remove(changes: &Changes<'_>, repository: &Repository, agent: &str, version: &str) -> Result<(), Error> {
    let Some(row) = changes.version(agent, version)? else { return Ok(()) };
    changes.remove_version(repository, agent, version)?;
    let manifest = stored(&row.manifest);
    let mut others = changes.versions(agent)?.into_iter();
    let gone = match others.find(|(_, other)| other.manifest == row.manifest) {
        Some((other, _)) => {
            changes.name_manifest(repository, &manifest, &other)?;
            changes.untag(repository, &version.parse().expect("a version is a tag"))
        }
        None => changes.remove_manifest(repository, &manifest),
    };
    unless_gone(gone)
}

/// Takes an agent out of the index, with all its versions; which those were.
pub(super) fn remove_all(changes: &Changes<'_>, agent: &str) -> Result<Vec<String>, Error> {
    let Some(row) = changes.agent(agent)? else { return Ok(Vec::new()) };
    let repository: Repository = row.repository.parse().expect("only names were written there");
    let (mut versions, mut manifests) = (Vec::new(), BTreeSet::new());
    for (version, row) in changes.versions(agent)? {
        changes.remove_version(&repository, agent, &version)?;
        versions.push(version);
        manifests.insert(row.manifest);
    }
    manifests.iter().try_for_each(|manifest| unless_gone(changes.remove_manifest(&repository, &stored(manifest))))?;
    Ok(versions)
}

/// What is missing already is no reason to keep the rest.
pub(super) fn unless_gone(removed: Result<(), Error>) -> Result<(), Error> {
    match removed {
        Err(Error::ManifestUnknown(_)) => Ok(()),
        removed => removed,
    }
}

pub(super) fn no_versions(agent: &AgentName) -> Error {
    Error::NoVersions(agent.to_string())
}

/// A small file.
pub(super) fn whole(file: std::fs::File, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
