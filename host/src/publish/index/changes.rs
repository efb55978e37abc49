//! What one transaction changes: blobs, and which repositories have them.
//!
//! Owns the sums: what a namespace and the whole disk hold follows from every row that comes or goes, and a row that would
//! take one of them beyond its limit does not come.
//!
//! A blob is in a repository by a link. A link that no manifest needs is idle, a blob without links is loose; both are queued by
//! time, so that the sweep looks at what is due and nothing else.

use std::cell::Cell;

use redb::{ReadableTable as _, WriteTransaction};

use super::tables::{
    BLOBS, Counts, IDLE, LINKS, LOOSE, MANIFESTS, NAMESPACES, REFERRERS, REPOSITORIES, ROW_BYTES, TAGS, TOTAL, on_disk,
    stored,
};
use crate::manifest::UploadLimits;
use crate::publish::digest::Digest;
use crate::publish::error::{Error, Limit};
use crate::publish::name::Repository;

/// A transaction that is open.
pub struct Changes<'a> {
    pub(super) writing: &'a WriteTransaction,
    pub(super) limits: &'a UploadLimits,
    now: u64,
    total: Cell<u64>,
}

/// Bytes that a row counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub namespace: u64,
    pub disk: u64,
}

impl Cost {
    /// A row of its own with so many bytes in it.
    pub fn row(bytes: u64) -> Self {
        Self { namespace: ROW_BYTES + bytes, disk: ROW_BYTES + bytes }
    }

    /// A link: the blob itself is counted once, whoever has it.
    pub fn link(blob_bytes: u64) -> Self {
        Self { namespace: ROW_BYTES + on_disk(blob_bytes), disk: ROW_BYTES }
    }
}

impl<'a> Changes<'a> {
    pub(super) fn begin(writing: &'a WriteTransaction, limits: &'a UploadLimits, now: u64) -> Result<Self, Error> {
        let total = writing.open_table(TOTAL)?.get(())?.map_or(0, |row| row.value());
        Ok(Self { writing, limits, now, total: Cell::new(total) })
    }

    pub(super) fn make_tables(&self) -> Result<(), Error> {
        self.writing.open_table(REPOSITORIES)?;
        self.writing.open_table(NAMESPACES)?;
        self.writing.open_table(BLOBS)?;
        self.writing.open_table(LINKS)?;
        self.writing.open_table(IDLE)?;
        self.writing.open_table(LOOSE)?;
        self.writing.open_table(MANIFESTS)?;
        self.writing.open_table(TAGS)?;
        self.writing.open_table(REFERRERS)?;
        self.make_version_tables()
    }

    /// Writes what is written last, and says how much there is now.
    pub(super) fn end(&self) -> Result<u64, Error> {
        self.writing.open_table(TOTAL)?.insert((), self.total.get())?;
        Ok(self.total.get())
    }

    /// Notes a blob whose file is there now.
    pub fn add_blob(&self, digest: &Digest, bytes: u64) -> Result<(), Error> {
        let mut blobs = self.writing.open_table(BLOBS)?;
        if blobs.get(digest.as_str())?.is_some() {
            return Ok(());
        }
        self.take_disk(on_disk(bytes))?;
        blobs.insert(digest.as_str(), (bytes, 0, self.now))?;
        self.writing.open_table(LOOSE)?.insert((self.now, digest.as_str()), ())?;
        Ok(())
    }

    /// Whether a blob's file is known.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.writing.open_table(BLOBS)?.get(digest.as_str())?.is_some())
    }

    /// Bytes of a blob in a repository, if it is there.
    pub fn linked(&self, repository: &Repository, digest: &str) -> Result<Option<u64>, Error> {
        let links = self.writing.open_table(LINKS)?;
        Ok(links.get((repository.as_str(), digest))?.map(|row| row.value().0))
    }

    /// Puts a blob that there is into a repository. If it is there and idle, it is so from now on: whoever pushes it
    /// again is about to name it.
    pub fn link(&self, repository: &Repository, digest: &Digest, owner: &str) -> Result<(), Error> {
        let key = (repository.as_str(), digest.as_str());
        let mut links = self.writing.open_table(LINKS)?;
        let mut idle = self.writing.open_table(IDLE)?;
        let before = links.get(key)?.map(|row| row.value());
        if let Some((bytes, needed, since)) = before {
            if needed == 0 {
                idle.remove((since, key.0, key.1))?;
                idle.insert((self.now, key.0, key.1), ())?;
                links.insert(key, (bytes, 0, self.now))?;
            }
            return Ok(());
        }
        let bytes = self.count_link(digest, true)?;
        self.open_repository(repository, owner)?;
        self.take(repository, Cost::link(bytes))?;
        self.recount(repository, |counts| counts.links += 1)?;
        idle.insert((self.now, key.0, key.1), ())?;
        links.insert(key, (bytes, 0, self.now))?;
        Ok(())
    }

    /// Takes a blob out of a repository.
    ///
    /// # Errors
    ///
    /// When it is not there, or a manifest there needs it.
    pub fn unlink(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let key = (repository.as_str(), digest.as_str());
        let mut links = self.writing.open_table(LINKS)?;
        let row = links.get(key)?.map(|row| row.value());
        let (bytes, needed, since) = row.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        if needed > 0 {
            return Err(Error::InUse(digest.clone()));
        }
        links.remove(key)?;
        self.writing.open_table(IDLE)?.remove((since, key.0, key.1))?;
        self.count_link(digest, false)?;
        self.give_back(repository, Cost::link(bytes))?;
        self.recount(repository, |counts| counts.links -= 1)
    }

    /// Notes that one more manifest of a repository needs a blob there, or one less.
    pub(super) fn need(&self, repository: &Repository, digest: &str, more: bool) -> Result<(), Error> {
        let key = (repository.as_str(), digest);
        let mut links = self.writing.open_table(LINKS)?;
        let row = links.get(key)?.map(|row| row.value());
        let (bytes, needed, since) = row.ok_or_else(|| Error::BlobUnknown(stored(digest)))?;
        let mut idle = self.writing.open_table(IDLE)?;
        let needed = if more { needed + 1 } else { needed - 1 };
        match (more, needed) {
            (true, 1) => drop(idle.remove((since, key.0, key.1))?),
            (false, 0) => drop(idle.insert((self.now, key.0, key.1), ())?),
            _ => {}
        }
        links.insert(key, (bytes, needed, self.now))?;
        Ok(())
    }

    /// Links that have been idle since `before`, at most so many.
    pub fn idle_links(&self, before: u64, count_max: usize) -> Result<Vec<(Repository, Digest)>, Error> {
        let idle = self.writing.open_table(IDLE)?;
        let mut found = Vec::new();
        for row in idle.range(..(before, "", ""))?.take(count_max) {
            let (key, _) = row?;
            let (_, repository, digest) = key.value();
            found.push((repository.parse().expect("only names were written there"), stored(digest)));
        }
        Ok(found)
    }

    /// Forgets blobs that have been loose since `before`, at most so many; `remove` removes their files. Says how many.
    pub fn forget_blobs(
        &self,
        before: u64,
        count_max: usize,
        remove: impl Fn(&Digest) -> std::io::Result<()>,
    ) -> Result<usize, Error> {
        let mut loose = self.writing.open_table(LOOSE)?;
        let mut due = Vec::new();
        for row in loose.range(..(before, ""))?.take(count_max) {
            let (key, _) = row?;
            let (since, digest) = key.value();
            due.push((since, stored(digest)));
        }
        let mut blobs = self.writing.open_table(BLOBS)?;
        for (since, digest) in &due {
            remove(digest)?;
            loose.remove((*since, digest.as_str()))?;
            let bytes = blobs.remove(digest.as_str())?.map_or(0, |row| row.value().0);
            self.total.set(self.total.get() - on_disk(bytes));
        }
        Ok(due.len())
    }

    /// Notes that one more repository has a blob, or one less; its bytes.
    fn count_link(&self, digest: &Digest, more: bool) -> Result<u64, Error> {
        let mut blobs = self.writing.open_table(BLOBS)?;
        let row = blobs.get(digest.as_str())?.map(|row| row.value());
        let (bytes, links, since) = row.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        let mut loose = self.writing.open_table(LOOSE)?;
        let links = if more { links + 1 } else { links - 1 };
        match (more, links) {
            (true, 1) => drop(loose.remove((since, digest.as_str()))?),
            (false, 0) => drop(loose.insert((self.now, digest.as_str()), ())?),
            _ => {}
        }
        blobs.insert(digest.as_str(), (bytes, links, self.now))?;
        Ok(bytes)
    }

    /// Makes a repository, unless it is there.
    fn open_repository(&self, repository: &Repository, owner: &str) -> Result<(), Error> {
        let mut repositories = self.writing.open_table(REPOSITORIES)?;
        if repositories.get(repository.as_str())?.is_some() {
            return Ok(());
        }
        let (used, cap) = (redb::ReadableTableMetadata::len(&repositories)?, u64::from(self.limits.repositories));
        within("uploads.repositories", "repositories", cap, used, 1).map_err(Error::Quota)?;
        repositories.insert(repository.as_str(), (self.now, 0, 0, 0, owner))?;
        Ok(())
    }

    /// What a repository has; it must be there.
    pub(super) fn counts(&self, repository: &Repository) -> Result<Counts, Error> {
        let repositories = self.writing.open_table(REPOSITORIES)?;
        let row = repositories.get(repository.as_str())?;
        row.map(|row| Counts::of(row.value())).ok_or_else(|| Error::NameUnknown(repository.clone()))
    }

    /// Changes what a repository has. One that has nothing more is none.
    pub(super) fn recount(&self, repository: &Repository, count: impl FnOnce(&mut Counts)) -> Result<(), Error> {
        let mut counts = self.counts(repository)?;
        count(&mut counts);
        let mut repositories = self.writing.open_table(REPOSITORIES)?;
        if counts.is_empty() {
            repositories.remove(repository.as_str())?;
        } else {
            repositories.insert(repository.as_str(), counts.row())?;
        }
        Ok(())
    }

    /// Counts what a row takes, in its namespace and on disk; both or neither.
    pub(super) fn take(&self, repository: &Repository, cost: Cost) -> Result<(), Error> {
        let mut namespaces = self.writing.open_table(NAMESPACES)?;
        let used = namespaces.get(repository.namespace())?.map_or(0, |row| row.value());
        let cap = self.limits.namespace_disk;
        within("uploads.namespace_disk", "bytes", cap, used, cost.namespace).map_err(Error::Quota)?;
        self.take_disk(cost.disk)?;
        namespaces.insert(repository.namespace(), used + cost.namespace)?;
        Ok(())
    }

    /// Gives back what [`take`](Self::take) counted.
    pub(super) fn give_back(&self, repository: &Repository, cost: Cost) -> Result<(), Error> {
        let mut namespaces = self.writing.open_table(NAMESPACES)?;
        let used = namespaces.get(repository.namespace())?.map_or(0, |row| row.value());
        match used - cost.namespace {
            0 => drop(namespaces.remove(repository.namespace())?),
            left => drop(namespaces.insert(repository.namespace(), left)?),
        }
        self.total.set(self.total.get() - cost.disk);
        Ok(())
    }

    fn take_disk(&self, bytes: u64) -> Result<(), Error> {
        let used = self.total.get();
        within("uploads.disk", "bytes", self.limits.disk, used, bytes).map_err(Error::DiskQuota)?;
        self.total.set(used + bytes);
        Ok(())
    }
}

/// Refuses what would go beyond a limit.
pub(super) fn within(name: &'static str, unit: &'static str, cap: u64, used: u64, wanted: u64) -> Result<(), Limit> {
    let fits = used.checked_add(wanted).is_some_and(|sum| sum <= cap);
    if fits { Ok(()) } else { Err(Limit { name, unit, cap, used, wanted }) }
}
