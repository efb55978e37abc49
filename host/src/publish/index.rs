//! The index: which repository has which blobs, manifests and tags, and how much all of it takes.
//!
//! Owns the file `oci/index.redb`. Everything that belongs together changes in one transaction, files of blobs included:
//! they are put and removed while one is open, and there is never more than one. What is told to be stored is on disk.
//!
//! - `tables`: the tables and their rows. `changes`: what one transaction may change. `manifests`: the same for manifests and
//!   tags. `versions`: of agents. `view`: what can be read.

mod changes;
mod manifests;
pub mod tables;
pub mod versions;
mod view;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use anyhow::Context as _;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _};

use super::error::Error;
use crate::manifest::UploadLimits;

pub use changes::Changes;
pub use view::{Referrer, Referrers, Tags, View};

/// Name of the file.
pub const FILE: &str = "index.redb";

/// Bytes of pages that the library keeps in memory.
const CACHE_BYTES: usize = 2 << 20;

/// The index.
pub struct Index {
    /// None only where it could not be opened again.
    database: RwLock<Option<Database>>,
    /// Opens the file again.
    file: Box<dyn Fn() -> std::io::Result<File> + Send + Sync>,
    /// A write has failed: the library does nothing more until the file is opened again.
    stuck: AtomicBool,
    /// One change at a time, files included.
    changing: Mutex<()>,
    limits: UploadLimits,
    /// Bytes that all of it takes on disk, as of the last change.
    total: AtomicU64,
}

impl Index {
    /// Opens the index, or makes it. `file` opens its file.
    ///
    /// # Errors
    ///
    /// When another process has it open, it is damaged, or the disk does not let us.
    pub fn open(
        file: impl Fn() -> std::io::Result<File> + Send + Sync + 'static,
        limits: UploadLimits,
    ) -> anyhow::Result<Self> {
        let index = Self {
            database: RwLock::new(Some(open(&file)?)),
            file: Box::new(file),
            stuck: AtomicBool::new(false),
            changing: Mutex::new(()),
            limits,
            total: AtomicU64::new(0),
        };
        // Makes the tables that are missing, so that nobody who reads has to ask whether they are there.
        index.change(|changes| changes.make_tables()).context("cannot write oci/index.redb")?;
        Ok(index)
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// Whatever `look` says, and when the disk fails.
    pub fn read<T>(&self, look: impl FnOnce(&View) -> Result<T, Error>) -> Result<T, Error> {
        let database = self.database()?;
        let reading = View::new(database.as_ref().ok_or_else(not_open)?.begin_read()?);
        look(&reading)
    }

    /// Changes everything that `change` says, or nothing.
    ///
    /// # Errors
    ///
    /// Whatever `change` says, and when the disk is full or fails.
    pub fn change<T>(&self, change: impl FnOnce(&Changes<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.change_or(change, || ())
    }

    /// The same; `undo` is called before the next change if this one failed, for what is not in the index.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change).
    pub fn change_or<T>(
        &self,
        change: impl FnOnce(&Changes<'_>) -> Result<T, Error>,
        undo: impl FnOnce(),
    ) -> Result<T, Error> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.try_change(change);
        if let Err(error) = &changed {
            undo();
            self.stuck.fetch_or(error.is_of_disk(), Ordering::Relaxed);
        }
        changed
    }

    fn try_change<T>(&self, change: impl FnOnce(&Changes<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let database = self.database()?;
        let writing = database.as_ref().ok_or_else(not_open)?.begin_write()?;
        let changes = Changes::begin(&writing, &self.limits, now())?;
        let said = change(&changes)?;
        let total = changes.end()?;
        writing.commit()?;
        self.total.store(total, Ordering::Relaxed);
        Ok(said)
    }

    /// Bytes that all of it takes on disk.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// The database, opened again if a write has failed before.
    fn database(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, Error> {
        if self.stuck.load(Ordering::Relaxed) {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if self.stuck.load(Ordering::Relaxed) {
                // It has the lock of its file.
                *database = None;
                *database = Some(open(&*self.file).map_err(Error::disk)?);
                self.stuck.store(false, Ordering::Relaxed);
            }
        }
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Index")
    }
}

fn not_open() -> Error {
    Error::disk(anyhow::anyhow!("the index is not open"))
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn open(file: &dyn Fn() -> std::io::Result<File>) -> anyhow::Result<Database> {
    let file = file().context("cannot open oci/index.redb")?;
    // Every page is looked at, so that damage is found before anything is served.
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let database = FileBackend::new(file).and_then(|file| builder.create_with_backend(file));
    database.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            anyhow::anyhow!("another stockade uses this data directory; stop it, or choose another `data`")
        }
        error => anyhow::Error::new(error).context("oci/index.redb cannot be read"),
    })
}
