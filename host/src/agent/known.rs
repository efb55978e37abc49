//! What was found out about agents when they were on trial, for the next start: an agent whose component is still the same
//! file is served at once, and loaded when somebody calls it.
//!
//! Owns the directory `known` in the host's data, with a file for each agent. Nothing is lost with such a file: an agent
//! without one is loaded and put on trial as if it were new.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use super::Offer;
use super::contract::{Changes, Description, Icon, Theme};
use super::release::Release;
use crate::manifest::AgentSpec;

/// Name of the directory below the host's data.
const DIRECTORY: &str = "known";

/// Bytes of what is noted of one agent; one that says more of itself is loaded at each start.
const FACTS_BYTES_MAX: u64 = 64 << 10;

/// A file that was changed a moment ago may be changed again without looking different: clocks of disks are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// The directory.
#[derive(Debug)]
pub(super) struct Known(Dir);

/// What a trial found, and what it was held with.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    subject: Subject,
    initial_memory: u64,
    digest: String,
    resources: bool,
    tools: bool,
    prompts: bool,
    completion: bool,
    said: Said,
}

/// What a trial's findings depend on: this host, the agent's file, what it may see.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    host: String,
    component: PathBuf,
    grants: String,
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// An agent's description.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    title: String,
    description: String,
    version: String,
    instructions: Option<String>,
    website_url: Option<String>,
    icons: Vec<SaidIcon>,
    /// Tools, prompts, resources, single resources.
    changes: [bool; 4],
    poll_ms: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SaidIcon {
    src: String,
    mime_type: Option<String>,
    sizes: Vec<String>,
    /// Whether for a dark background, if it is for one at all.
    dark: Option<bool>,
}

const CHANGES: [Changes; 4] = [Changes::TOOLS, Changes::PROMPTS, Changes::RESOURCES, Changes::RESOURCE];

impl Subject {
    /// As it is now; none for a file that cannot be looked at, or that changed too short ago to be told from the next.
    pub fn of(release: &Release, spec: &AgentSpec, now: SystemTime) -> Option<Self> {
        let component = &release.component;
        let file = std::fs::metadata(component).ok()?;
        let changed = (file.ctime(), file.ctime_nsec());
        let since = UNIX_EPOCH + Duration::new(u64::try_from(changed.0).ok()?, u32::try_from(changed.1).ok()?);
        // What lies there under its digest never changes. A clock that was set back says nothing about age either.
        if release.digest.is_none() && !now.duration_since(since).is_ok_and(|age| age >= SETTLED) {
            return None;
        }
        Some(Self {
            host: env!("CARGO_PKG_VERSION").to_owned(),
            component: component.clone(),
            grants: format!("{:?}", spec.dirs),
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed,
        })
    }
}

impl Known {
    /// # Errors
    ///
    /// When the data directory cannot be written.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        crate::data::below(data, DIRECTORY).map(Self)
    }

    /// What is known of a release, if that is still so.
    pub fn recall(&self, release: &Release, spec: &AgentSpec, now: SystemTime) -> Option<Offer> {
        let mut text = Vec::new();
        self.0.open(file_name(release)).ok()?.take(FACTS_BYTES_MAX).read_to_end(&mut text).ok()?;
        // What was cut short by a crash is as good as never written.
        let facts: Facts = serde_json::from_slice(&text).ok()?;
        let subject = Subject::of(release, spec, now);
        let holds = facts.initial_memory <= spec.memory && Some(&facts.subject) == subject.as_ref();
        holds.then(|| facts.into_offer(release))
    }

    /// Notes what was found out about a release.
    pub fn note(&self, release: &Release, subject: Subject, offer: &Offer, initial_memory: u64) {
        if let Err(error) = self.write(release, &Facts::new(subject, offer, initial_memory)) {
            tracing::warn!(agent = &*release.key, %error, "the next start has to load it again");
        }
    }

    /// Forgets a release that is gone.
    pub fn forget(&self, release: &Release) {
        // Without it nothing is lost; with it, nothing is wrong.
        let _ = self.0.remove_file(file_name(release));
    }

    /// Forgets every release but these, by their keys; says how many.
    pub fn prune(&self, keys: &HashSet<Arc<str>>) -> io::Result<usize> {
        let mut removed = 0;
        for entry in self.0.entries()? {
            let name = entry?.file_name();
            let key = name.to_str().and_then(|name| name.strip_suffix(".json"));
            if !key.is_some_and(|key| keys.contains(key)) {
                self.0.remove_file(&name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn write(&self, release: &Release, facts: &Facts) -> io::Result<()> {
        let text = serde_json::to_vec(facts)?;
        if text.len() as u64 >= FACTS_BYTES_MAX {
            return Ok(());
        }
        let (name, draft) = (file_name(release), format!("{}.draft", release.key));
        self.0.open_with(&draft, crate::data::writable().create(true).truncate(true))?.write_all(&text)?;
        self.0.rename(&draft, &self.0, &name)
    }
}

fn file_name(release: &Release) -> String {
    format!("{}.json", release.key)
}

impl Facts {
    fn new(subject: Subject, offer: &Offer, initial_memory: u64) -> Self {
        let Offer { description, digest, resources, tools, prompts, completion, .. } = offer;
        let icon = |icon: &Icon| SaidIcon {
            src: icon.src.clone(),
            mime_type: icon.mime_type.clone(),
            sizes: icon.sizes.clone(),
            dark: icon.theme.map(|theme| matches!(theme, Theme::Dark)),
        };
        let said = Said {
            title: description.title.clone(),
            description: description.description.clone(),
            version: description.version.clone(),
            instructions: description.instructions.clone(),
            website_url: description.website_url.clone(),
            icons: description.icons.iter().map(icon).collect(),
            changes: CHANGES.map(|flag| description.changes.contains(flag)),
            poll_ms: description.poll_ms,
        };
        let (digest, resources, tools, prompts, completion) =
            (digest.clone(), *resources, *tools, *prompts, *completion);
        Self { subject, initial_memory, digest, resources, tools, prompts, completion, said }
    }

    fn into_offer(self, release: &Release) -> Offer {
        let Self { said, digest, resources, tools, prompts, completion, .. } = self;
        let icon = |icon: SaidIcon| Icon {
            src: icon.src,
            mime_type: icon.mime_type,
            sizes: icon.sizes,
            theme: icon.dark.map(|dark| if dark { Theme::Dark } else { Theme::Light }),
        };
        let announced = CHANGES.iter().zip(said.changes).filter(|(_, announced)| *announced);
        let description = Description {
            title: said.title,
            description: said.description,
            version: said.version,
            instructions: said.instructions,
            website_url: said.website_url,
            icons: said.icons.into_iter().map(icon).collect(),
            changes: announced.fold(Changes::empty(), |all, (flag, _)| all | *flag),
            poll_ms: said.poll_ms,
        };
        let version = release.version_of(&description);
        Offer { description, version, digest, resources, tools, prompts, completion, _charge: None }
    }
}

#[cfg(test)]
mod tests;
