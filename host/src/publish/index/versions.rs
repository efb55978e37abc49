//! Versions of agents in the index: what was found out about each, and which one is served.
//!
//! An agent belongs to the repository that first published a version of it. A version is there once and for good: its row
//! is written together with its manifest and tag, as one that is not served yet, and so a crash leaves either nothing or
//! something that the next start can finish.

use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::changes::{Changes, Cost, within};
use super::tables::{TAGS, stored};
use super::view::View;
use crate::agent::Shape;
use crate::publish::digest::Digest;
use crate::publish::error::Error;
use crate::publish::name::{Reference, Repository, Tag};

/// Agent -> its [`AgentRow`], as JSON.
pub const AGENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("agents");

/// Agent and version -> its [`VersionRow`], as JSON.
pub const VERSIONS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("versions");

/// Agent and version -> what callers of its tools depend on, as JSON.
pub const SHAPES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("shapes");

/// Repository and manifest -> the version that it is.
pub const BY_MANIFEST: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("versions_by_manifest");

/// Versions of one agent that were served before: so far back a rollback reaches.
const SERVED_MAX: usize = 32;

/// An agent that has versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    pub repository: String,
    /// What is served under its bare name.
    pub live: Option<String>,
    /// What was before that, the last one last.
    #[serde(default)]
    pub served: Vec<String>,
    /// Whether its entry was seen to be retired: once that is cleaned up, its versions go as well.
    #[serde(default)]
    pub retired: bool,
}

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// Digest of its manifest, and of its component, as OCI writes them.
    pub manifest: String,
    pub component: String,
    /// Bytes of the component.
    pub bytes: u64,
    /// Who published it, and when, in milliseconds since 1970.
    pub by: String,
    pub published: u64,
    pub state: State,
    /// Why it is not what it was, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether a key of its namespace has signed it.
    pub signed: bool,
    /// A fresh instance and its first answer, in microseconds.
    pub cold_start_us: u64,
    /// Most guest memory that its trial took, and what it declares to begin with, in bytes.
    pub memory_peak: u64,
    pub memory_initial: u64,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// On its way: nobody was told yet that it is there.
    Pending,
    Published,
    /// To be called by its exact version alone.
    Yanked,
    /// It failed whoever called it while it was new.
    Failed,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Yanked => "yanked",
            Self::Failed => "failed",
        }
    }
}

impl AgentRow {
    /// Serves another version, or none, from now on.
    pub fn go_live(&mut self, version: Option<&str>) {
        let before = std::mem::replace(&mut self.live, version.map(str::to_owned));
        self.served.retain(|served| Some(served.as_str()) != version);
        if let Some(before) = before.filter(|before| Some(before.as_str()) != version) {
            self.served.retain(|served| *served != before);
            self.served.push(before);
        }
        let beyond = self.served.len().saturating_sub(SERVED_MAX);
        self.served.drain(..beyond);
    }
}

impl Changes<'_> {
    pub(super) fn make_version_tables(&self) -> Result<(), Error> {
        self.writing.open_table(AGENTS)?;
        self.writing.open_table(VERSIONS)?;
        self.writing.open_table(SHAPES)?;
        self.writing.open_table(BY_MANIFEST)?;
        Ok(())
    }

    /// What is known of an agent that has versions.
    pub fn agent(&self, agent: &str) -> Result<Option<AgentRow>, Error> {
        row(self.writing.open_table(AGENTS)?.get(agent)?.map(|row| row.value().to_vec()))
    }

    /// All versions of an agent.
    pub fn versions(&self, agent: &str) -> Result<Vec<(String, VersionRow)>, Error> {
        versions(&self.writing.open_table(VERSIONS)?, agent)
    }

    /// What is known of a version.
    pub fn version(&self, agent: &str, version: &str) -> Result<Option<VersionRow>, Error> {
        row(self.writing.open_table(VERSIONS)?.get((agent, version))?.map(|row| row.value().to_vec()))
    }

    pub fn set_agent(&self, agent: &str, row: &AgentRow) -> Result<(), Error> {
        self.writing.open_table(AGENTS)?.insert(agent, json(row)?.as_slice())?;
        Ok(())
    }

    /// Changes what is known of a version that there is.
    pub fn set_version(&self, agent: &str, version: &str, row: &VersionRow) -> Result<(), Error> {
        self.writing.open_table(VERSIONS)?.insert((agent, version), json(row)?.as_slice())?;
        Ok(())
    }

    /// Adds a version whose manifest is there.
    ///
    /// # Errors
    ///
    /// When the agent has as many as it may, or it does not fit.
    pub fn add_version(
        &self,
        (repository, agent, version): (&Repository, &str, &str),
        row: &VersionRow,
        shapes: &[Shape],
    ) -> Result<(), Error> {
        let (cap, used) = (u64::from(self.limits.versions), self.count_versions(agent)?);
        within("uploads.versions", "versions of an agent", cap, used, 1).map_err(Error::Quota)?;
        let shapes = json(&shapes.iter().map(shape).collect::<Vec<_>>())?;
        self.take(repository, Cost::row(shapes.len() as u64))?;
        self.writing.open_table(SHAPES)?.insert((agent, version), shapes.as_slice())?;
        self.name_manifest(repository, &stored(&row.manifest), version)?;
        self.set_version(agent, version, row)
    }

    /// Says which version a manifest is: the last one that was published, if it is several.
    pub fn name_manifest(&self, repository: &Repository, manifest: &Digest, version: &str) -> Result<(), Error> {
        self.writing.open_table(BY_MANIFEST)?.insert((repository.as_str(), manifest.as_str()), version)?;
        Ok(())
    }

    /// Takes a version away, and its agent with the last one. Its manifest and tag are the caller's to remove.
    pub fn remove_version(&self, repository: &Repository, agent: &str, version: &str) -> Result<(), Error> {
        let Some(row) = self.version(agent, version)? else { return Ok(()) };
        self.writing.open_table(VERSIONS)?.remove((agent, version))?;
        self.writing.open_table(BY_MANIFEST)?.remove((repository.as_str(), row.manifest.as_str()))?;
        let bytes = self.writing.open_table(SHAPES)?.remove((agent, version))?.map_or(0, |row| row.value().len());
        self.give_back(repository, Cost::row(bytes as u64))?;
        if self.count_versions(agent)? == 0 {
            self.writing.open_table(AGENTS)?.remove(agent)?;
        }
        Ok(())
    }

    /// The version that a manifest of a repository is, if it is one.
    pub fn version_of(&self, repository: &Repository, manifest: &Digest) -> Result<Option<String>, Error> {
        let key = (repository.as_str(), manifest.as_str());
        Ok(self.writing.open_table(BY_MANIFEST)?.get(key)?.map(|row| row.value().to_owned()))
    }

    /// Whether what is referred to may be deleted.
    ///
    /// # Errors
    ///
    /// When it is a version of an agent: its versions go with its entry, once that was retired for long enough.
    pub fn is_free(&self, repository: &Repository, reference: &Reference) -> Result<(), Error> {
        let digest = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            // Other names of a version may go.
            Reference::Tag(tag) if tag.version().is_none() => None,
            Reference::Tag(tag) => self.tagged(repository, tag)?,
        };
        let version = digest.map(|digest| self.version_of(repository, &digest)).transpose()?.flatten();
        match version {
            Some(version) => Err(Error::Fixed(format!(
                "{version} is a version of an agent, which is there for good: `stockade yank` takes it from lists, and \
                 `stockade retire` its agent with all versions"
            ))),
            None => Ok(()),
        }
    }

    fn tagged(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, Error> {
        let tags = self.writing.open_table(TAGS)?;
        Ok(tags.get((repository.as_str(), tag.as_str()))?.map(|row| stored(row.value())))
    }

    fn count_versions(&self, agent: &str) -> Result<u64, Error> {
        count(&self.writing.open_table(VERSIONS)?, agent)
    }
}

impl View {
    /// Every agent that has versions.
    pub fn agents(&self) -> Result<Vec<(String, AgentRow)>, Error> {
        let table = self.table(AGENTS)?;
        let mut found = Vec::new();
        for entry in table.iter()? {
            let (name, text) = entry?;
            found.push((name.value().to_owned(), parse(text.value())?));
        }
        Ok(found)
    }

    /// What is known of an agent that has versions.
    pub fn agent(&self, agent: &str) -> Result<Option<AgentRow>, Error> {
        row(self.table(AGENTS)?.get(agent)?.map(|row| row.value().to_vec()))
    }

    /// How many versions an agent has.
    pub fn count_versions(&self, agent: &str) -> Result<u64, Error> {
        count(&self.table(VERSIONS)?, agent)
    }

    /// All versions of an agent, in the order of their texts.
    pub fn versions(&self, agent: &str) -> Result<Vec<(String, VersionRow)>, Error> {
        versions(&self.table(VERSIONS)?, agent)
    }

    /// What is known of a version.
    pub fn version(&self, agent: &str, version: &str) -> Result<Option<VersionRow>, Error> {
        row(self.table(VERSIONS)?.get((agent, version))?.map(|row| row.value().to_vec()))
    }

    /// What callers of a version's tools depend on.
    pub fn shapes(&self, agent: &str, version: &str) -> Result<Vec<Shape>, Error> {
        let Some(text) = self.table(SHAPES)?.get((agent, version))?.map(|row| row.value().to_vec()) else {
            return Ok(Vec::new());
        };
        let stored: Vec<StoredShape> = parse(&text)?;
        let shape = |StoredShape { name, input, output }: StoredShape| Shape { name, input, output };
        Ok(stored.into_iter().map(shape).collect())
    }

    /// The version that a manifest of a repository is, if it is one.
    pub fn version_of(&self, repository: &Repository, manifest: &Digest) -> Result<Option<String>, Error> {
        let key = (repository.as_str(), manifest.as_str());
        Ok(self.table(BY_MANIFEST)?.get(key)?.map(|row| row.value().to_owned()))
    }
}

fn count(table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>, agent: &str) -> Result<u64, Error> {
    let mut count = 0;
    for row in table.range((agent, "")..)? {
        if row?.0.value().0 != agent {
            break;
        }
        count += 1;
    }
    Ok(count)
}

fn versions(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    agent: &str,
) -> Result<Vec<(String, VersionRow)>, Error> {
    let mut found = Vec::new();
    for entry in table.range((agent, "")..)? {
        let (key, text) = entry?;
        let (of, version) = key.value();
        if of != agent {
            break;
        }
        found.push((version.to_owned(), parse(text.value())?));
    }
    Ok(found)
}

#[derive(Serialize, Deserialize)]
struct StoredShape {
    name: String,
    input: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

fn shape(shape: &Shape) -> StoredShape {
    let Shape { name, input, output } = shape.clone();
    StoredShape { name, input, output }
}

fn json<T: Serialize>(row: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(row).map_err(Error::disk)
}

fn parse<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(Error::disk)
}

fn row<T: for<'de> Deserialize<'de>>(text: Option<Vec<u8>>) -> Result<Option<T>, Error> {
    text.map(|text| parse(&text)).transpose()
}
