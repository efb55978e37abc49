//! What one transaction changes about manifests and tags.
//!
//! A manifest needs its blobs and manifests: they stay in its repository as long as it does. It is a blob itself, which it
//! needs as well.

use redb::ReadableTable as _;

use super::changes::{Changes, Cost, within};
use super::tables::{MANIFESTS, Need, REFERRERS, Record, TAGS, stored};
use crate::publish::digest::Digest;
use crate::publish::error::Error;
use crate::publish::name::{Repository, Tag};
use crate::publish::signature::{ARTIFACT_TYPE, SIGNATURES_MAX};

impl Changes<'_> {
    /// Puts a manifest, whose blob there is, into a repository. The same one again changes nothing.
    ///
    /// # Errors
    ///
    /// When what it needs is not there, or is something else than it says.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        record: &Record,
        owner: &str,
    ) -> Result<(), Error> {
        record.needs.iter().try_for_each(|need| self.has(repository, need))?;
        let key = (repository.as_str(), digest.as_str());
        if self.writing.open_table(MANIFESTS)?.get(key)?.is_some() {
            return Ok(());
        }
        self.link(repository, digest, owner)?;
        let (used, cap) = (self.counts(repository)?.manifests, u64::from(self.limits.manifests));
        within("uploads.manifests", "manifests of a repository", cap, used, 1).map_err(Error::Quota)?;
        let row = serde_json::to_vec(record).map_err(Error::disk)?;
        self.take(repository, Cost::row(row.len() as u64))?;
        self.recount(repository, |counts| counts.manifests += 1)?;
        self.writing.open_table(MANIFESTS)?.insert(key, row.as_slice())?;
        if let Some(subject) = &record.subject {
            self.has_room_for_signature(repository, subject, record)?;
            self.writing.open_table(REFERRERS)?.insert((key.0, subject.as_str(), key.1), ())?;
        }
        let needs = record.needs.iter().map(|need| need.digest.as_str());
        needs.chain([digest.as_str()]).try_for_each(|digest| self.need(repository, digest, true))
    }

    /// All signatures of a manifest are looked at, so there may be few: none is hidden behind others.
    fn has_room_for_signature(&self, repository: &Repository, subject: &str, record: &Record) -> Result<(), Error> {
        if record.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            return Ok(());
        }
        let referrers = self.writing.open_table(REFERRERS)?;
        let mut used = 0;
        for row in referrers.range((repository.as_str(), subject, "")..)? {
            let (key, _) = row?;
            let (of, about, digest) = key.value();
            if (of, about) != (repository.as_str(), subject) {
                break;
            }
            let other = self.manifest(repository, &stored(digest))?;
            used += u64::from(other.is_some_and(|other| other.artifact_type.as_deref() == Some(ARTIFACT_TYPE)));
        }
        within("signatures", "signatures of a manifest", SIGNATURES_MAX as u64, used, 1).map_err(Error::Quota)
    }

    /// Whether a repository has what a manifest needs.
    fn has(&self, repository: &Repository, need: &Need) -> Result<(), Error> {
        let Need { digest, size, is_manifest } = need;
        let key = (repository.as_str(), digest.as_str());
        let has = self.linked(repository, digest)?;
        let is_there = !is_manifest || self.writing.open_table(MANIFESTS)?.get(key)?.is_some();
        match has.filter(|_| is_there) {
            None => Err(Error::ManifestBlobUnknown(stored(digest))),
            Some(has) if has != *size => Err(Error::SizeDiffers { digest: stored(digest), said: *size, has }),
            Some(_) => Ok(()),
        }
    }

    /// What is known of a manifest, if it is there.
    pub fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Option<Record>, Error> {
        let manifests = self.writing.open_table(MANIFESTS)?;
        let row = manifests.get((repository.as_str(), digest.as_str()))?;
        row.map(|row| serde_json::from_slice(row.value()).map_err(Error::disk)).transpose()
    }

    /// Takes a manifest out of a repository, and its tags with it.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn remove_manifest(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let key = (repository.as_str(), digest.as_str());
        let record = self.manifest(repository, digest)?;
        let record = record.ok_or_else(|| Error::ManifestUnknown(digest.to_string()))?;
        let row_bytes = {
            let mut manifests = self.writing.open_table(MANIFESTS)?;
            manifests.remove(key)?.map_or(0, |row| row.value().len() as u64)
        };
        for tag in self.tags_of(repository, digest)? {
            self.untag(repository, &tag)?;
        }
        if let Some(subject) = &record.subject {
            self.writing.open_table(REFERRERS)?.remove((key.0, subject.as_str(), key.1))?;
        }
        let needs = record.needs.iter().map(|need| need.digest.as_str());
        needs.chain([digest.as_str()]).try_for_each(|digest| self.need(repository, digest, false))?;
        self.give_back(repository, Cost::row(row_bytes))?;
        self.recount(repository, |counts| counts.manifests -= 1)?;
        match self.unlink(repository, digest) {
            // An index still needs it, of which only a blob is left now.
            Err(Error::InUse(_)) => Ok(()),
            unlinked => unlinked,
        }
    }

    /// Makes a tag name a manifest of the repository, whatever it named before. A limit that is met has changed nothing.
    pub fn tag(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Result<(), Error> {
        let key = (repository.as_str(), tag.as_str());
        let is_new = self.writing.open_table(TAGS)?.get(key)?.is_none();
        if is_new {
            let (used, cap) = (self.counts(repository)?.tags, u64::from(self.limits.tags));
            within("uploads.tags", "tags of a repository", cap, used, 1).map_err(Error::Quota)?;
            self.take(repository, Cost::row(0))?;
            self.recount(repository, |counts| counts.tags += 1)?;
        }
        self.writing.open_table(TAGS)?.insert(key, digest.as_str())?;
        Ok(())
    }

    /// Removes a tag; what it named stays.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn untag(&self, repository: &Repository, tag: &Tag) -> Result<(), Error> {
        let key = (repository.as_str(), tag.as_str());
        if self.writing.open_table(TAGS)?.remove(key)?.is_none() {
            return Err(Error::ManifestUnknown(tag.to_string()));
        }
        self.give_back(repository, Cost::row(0))?;
        self.recount(repository, |counts| counts.tags -= 1)
    }

    /// The tags that name a manifest.
    fn tags_of(&self, repository: &Repository, digest: &Digest) -> Result<Vec<Tag>, Error> {
        let tags = self.writing.open_table(TAGS)?;
        let mut found = Vec::new();
        for row in tags.range((repository.as_str(), "")..)? {
            let (key, named) = row?;
            let (of, tag) = key.value();
            if of != repository.as_str() {
                break;
            }
            if named.value() == digest.as_str() {
                found.push(tag.parse().expect("only tags were written there"));
            }
        }
        Ok(found)
    }
}
