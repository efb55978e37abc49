//! What a start finds of versions: finishes or undoes what a crash has left half done, and tells what there is to be served.

use semver::Version;

use super::error::Error;
use super::index::versions::{AgentRow, State, VersionRow};
use super::index::{Changes, View};
use super::live::set_live;
use super::name::Repository;
use super::signature::{ARTIFACT_TYPE, SIGNATURE_BYTES_MAX, SIGNATURES_MAX, Statement};
use super::versions::{remove, whole};
use super::{Inner, Publishing, digest::Digest, known};
use crate::agent::{Published, Version as Known};
use crate::manifest::{AgentName, SignatureMode, Signatures};
use crate::registry::Handle;

/// Bytes of a list of signatures that are looked at, and of a signature's manifest.
const REFERRERS_BYTES_MAX: usize = 64 << 10;
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

impl Publishing {
    /// Every agent that was published to this host, in the order of their names, as its entry in the document has it served.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn offered(&self, document: &Handle, policy: &Signatures) -> anyhow::Result<Vec<Published>> {
        let rows = self.0.index.read(View::agents)?;
        let mut found = Vec::new();
        for (name, row) in rows {
            let agent = AgentName::parse(&name)?;
            let said = document.record(&name).and_then(|record| record.text("version").map(str::to_owned));
            self.0.index.change(|changes| settle(changes, &name, &row, said.as_deref()))?;
            let Some(row) = self.0.index.read(|view| view.agent(&name))? else { continue };
            let versions = self.0.index.read(|view| view.versions(&name))?;
            let versions: Vec<_> = versions
                .into_iter()
                .filter(|(version, known)| self.0.is_vouched(&row, version, known, policy))
                .collect();
            let is_there = |wanted: &String| versions.iter().any(|(version, _)| version == wanted);
            let live = row.live.clone().filter(is_there).map(|version| version.as_str().into());
            let known = |(version, known): (String, VersionRow)| {
                let component: Digest = known.component.parse().expect("only digests were written there");
                Known {
                    version: version.as_str().into(),
                    component: self.0.data.join(self.0.blobs.path(&component)),
                    digest: component.hex().to_owned(),
                }
            };
            found.push(Published { name: agent, versions: versions.into_iter().map(known).collect(), live });
        }
        Ok(found)
    }
}

impl Inner {
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
        let signatures = self.signatures(&repository, &manifest).unwrap_or_default();
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
        let found = self.index.read(|view| {
            if known(view, repository).is_err() {
                return Ok(Vec::new());
            }
            let of = (repository, manifest);
            Ok(view.referrers(of, Some(ARTIFACT_TYPE), None, REFERRERS_BYTES_MAX)?.manifests)
        })?;
        let mut texts = Vec::new();
        for referrer in found.iter().take(SIGNATURES_MAX) {
            if let Some(text) = self.signature(repository, &referrer.digest)? {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// The text of a signature, from its manifest's one layer.
    fn signature(&self, repository: &Repository, manifest: &str) -> Result<Option<String>, Error> {
        let Ok(digest) = manifest.parse::<Digest>() else { return Ok(None) };
        let manifest = whole(self.blob(repository, &digest)?.file, MANIFEST_BYTES_MAX)?;
        let layer = serde_json::from_slice::<serde_json::Value>(&manifest).ok();
        let layer = layer.as_ref().and_then(|manifest| manifest["layers"][0]["digest"].as_str()?.parse().ok());
        let Some(layer) = layer else { return Ok(None) };
        let text = whole(self.blob(repository, &layer)?.file, SIGNATURE_BYTES_MAX)?;
        Ok(String::from_utf8(text).ok())
    }
}

/// Brings an agent's rows in line with its entry, which decides: a version on its way that the entry names has arrived, any
/// other never was.
fn settle(changes: &Changes<'_>, name: &str, row: &AgentRow, said: Option<&str>) -> Result<(), Error> {
    let repository: Repository = row.repository.parse().expect("only names were written there");
    for (version, mut known) in changes.versions(name)? {
        if known.state != State::Pending {
            continue;
        }
        if said == Some(version.as_str()) {
            known.state = State::Published;
            changes.set_version(name, &version, &known)?;
        } else {
            tracing::warn!(
                agent = name,
                version,
                "its publishing was cut off: it is removed, and can be published again"
            );
            remove(changes, &repository, name, &version)?;
        }
    }
    let said = said.filter(|said| Version::parse(said).is_ok() && row.live.as_deref() != Some(*said));
    match said.map(|said| Ok::<_, Error>((said, changes.version(name, said)?))).transpose()? {
        Some((said, Some(known))) => set_live(changes, name, Some((said, &known))),
        _ => Ok(()),
    }
}
