//! What can be read of the index, all as of one moment.

use redb::ReadTransaction;
use serde::Serialize;
use serde_json::value::RawValue;

use super::tables::{BLOBS, IDLE, LINKS, LOOSE, MANIFESTS, NAMESPACES, REFERRERS, REPOSITORIES, Record, TAGS, stored};
use crate::publish::digest::Digest;
use crate::publish::error::Error;
use crate::publish::name::{Repository, Tag};

/// The index at one moment.
pub struct View(ReadTransaction);

/// Some tags of a repository, in the order of their bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub tags: Vec<String>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// Some of the manifests that refer to another one.
#[derive(Debug, Default)]
pub struct Referrers {
    pub manifests: Vec<Referrer>,
    /// The last one that was looked at, if there are more behind it.
    pub more_after: Option<Digest>,
}

/// A manifest that refers to another, as OCI describes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
}

impl View {
    pub(super) fn new(reading: ReadTransaction) -> Self {
        Self(reading)
    }

    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: redb::TableDefinition<'_, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, Error> {
        Ok(self.0.open_table(table)?)
    }

    /// Whether there is such a repository.
    pub fn has_repository(&self, repository: &Repository) -> Result<bool, Error> {
        Ok(self.0.open_table(REPOSITORIES)?.get(repository.as_str())?.is_some())
    }

    /// Who pushed to a repository first.
    pub fn owner(&self, repository: &Repository) -> Result<Option<String>, Error> {
        let row = self.0.open_table(REPOSITORIES)?.get(repository.as_str())?;
        Ok(row.map(|row| row.value().4.to_owned()))
    }

    /// Whether a blob's file is known.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.0.open_table(BLOBS)?.get(digest.as_str())?.is_some())
    }

    /// Whether a repository has a blob.
    pub fn has_link(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        Ok(self.0.open_table(LINKS)?.get((repository.as_str(), digest.as_str()))?.is_some())
    }

    /// Whether a link or a blob has been unused since `before`.
    pub fn has_unused(&self, before: u64) -> Result<bool, Error> {
        let idle = self.0.open_table(IDLE)?.range(..(before, "", ""))?.next().is_some();
        Ok(idle || self.0.open_table(LOOSE)?.range(..(before, ""))?.next().is_some())
    }

    /// Bytes that the repositories of a namespace hold.
    pub fn namespace_bytes(&self, namespace: &str) -> Result<u64, Error> {
        Ok(self.0.open_table(NAMESPACES)?.get(namespace)?.map_or(0, |row| row.value()))
    }

    /// What a tag names.
    pub fn tagged(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, Error> {
        let row = self.0.open_table(TAGS)?.get((repository.as_str(), tag.as_str()))?;
        Ok(row.map(|row| stored(row.value())))
    }

    /// What is known of a manifest.
    pub fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Option<Record>, Error> {
        let row = self.0.open_table(MANIFESTS)?.get((repository.as_str(), digest.as_str()))?;
        row.map(|row| serde_json::from_slice(row.value()).map_err(Error::disk)).transpose()
    }

    /// Tags behind `last`, at most so many.
    pub fn tags(&self, repository: &Repository, last: &str, count_max: usize) -> Result<Tags, Error> {
        let table = self.0.open_table(TAGS)?;
        let mut found = Tags::default();
        for row in table.range((repository.as_str(), last)..)? {
            let (key, _) = row?;
            let (of, tag) = key.value();
            if of != repository.as_str() {
                break;
            }
            if tag == last {
                continue;
            }
            if found.tags.len() == count_max {
                found.has_more = true;
                break;
            }
            found.tags.push(tag.to_owned());
        }
        Ok(found)
    }

    /// Digests of manifests that refer to `subject` and are of one type, at most so many. All that refer to it are looked at: whoever
    /// pushes others hides none.
    pub fn referrers_of_type(
        &self,
        (repository, subject): (&Repository, &Digest),
        artifact_type: &str,
        max: usize,
    ) -> Result<Vec<Digest>, Error> {
        let table = self.0.open_table(REFERRERS)?;
        let mut found = Vec::new();
        for row in table.range((repository.as_str(), subject.as_str(), "")..)? {
            let (key, _) = row?;
            let (of, about, digest) = key.value();
            if (of, about) != (repository.as_str(), subject.as_str()) || found.len() == max {
                break;
            }
            let digest = stored(digest);
            let record = self.manifest(repository, &digest)?;
            if record.is_some_and(|record| record.artifact_type.as_deref() == Some(artifact_type)) {
                found.push(digest);
            }
        }
        Ok(found)
    }

    /// Manifests behind `last` that refer to `subject`, and are of one type if one is asked for; about so many bytes of them.
    pub fn referrers(
        &self,
        (repository, subject): (&Repository, &Digest),
        artifact_type: Option<&str>,
        last: Option<&Digest>,
        bytes_max: usize,
    ) -> Result<Referrers, Error> {
        let table = self.0.open_table(REFERRERS)?;
        let (mut found, mut bytes) = (Referrers::default(), 0);
        let last = last.map_or("", Digest::as_str);
        let mut looked_at = None;
        for row in table.range((repository.as_str(), subject.as_str(), last)..)? {
            let (key, _) = row?;
            let (of, about, digest) = key.value();
            if (of, about) != (repository.as_str(), subject.as_str()) {
                break;
            }
            if digest == last {
                continue;
            }
            if bytes >= bytes_max {
                found.more_after = looked_at;
                break;
            }
            let digest = stored(digest);
            if let Some(record) = self.manifest(repository, &digest)? {
                // What is left out counts as well: it has been read.
                bytes += record.annotations.as_ref().map_or(0, |text| text.get().len()) + ENTRY_BYTES;
                if artifact_type.is_none_or(|wanted| record.artifact_type.as_deref() == Some(wanted)) {
                    found.manifests.push(Referrer::new(record, &digest));
                }
            }
            looked_at = Some(digest);
        }
        Ok(found)
    }
}

/// Bytes that a referrer's entry takes without its annotations, about.
const ENTRY_BYTES: usize = 512;

impl Referrer {
    fn new(record: Record, digest: &Digest) -> Self {
        let Record { media_type, size, artifact_type, annotations, .. } = record;
        Self { media_type, digest: digest.to_string(), size, artifact_type, annotations }
    }
}
