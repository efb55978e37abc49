//! The document on disk: every update that was taken, since the last snapshot of the whole.
//!
//! What is stored here is what is acknowledged: nobody is told of an update before it is. A group of updates is one
//! transaction; a snapshot takes the place of the updates before it in one, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::document::Epoch;

/// Name of the directory below the host's data, and of the file in it.
const DIRECTORY: &str = "registry";
const FILE: &str = "document.redb";

/// Bytes of pages that the library keeps in memory.
const CACHE_BYTES: usize = 1 << 20;

/// Updates, and bytes of them, after which a snapshot takes their place.
const LOG_UPDATES_MAX: u64 = 1_000;
const LOG_BYTES_MAX: u64 = 1 << 20;

/// A file that is larger than this, and so many times what stands in it, is made smaller at the start.
const SHRINK_BYTES_MIN: u64 = 8 << 20;
const SHRINK_TIMES: u64 = 4;

/// Updates since the snapshot, by their number.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// The snapshot: the update that makes the whole document, and the number of the last update in it.
const SNAPSHOT: TableDefinition<'_, (), (u64, &[u8])> = TableDefinition::new("snapshot");

/// The epoch: its number, and the host's client ids, the latest first.
const EPOCH: TableDefinition<'_, (), (u64, Vec<u64>)> = TableDefinition::new("epoch");

/// Who writes as which client.
const AUTHORS: TableDefinition<'_, u64, &str> = TableDefinition::new("authors");

/// The stored document. There is one for each data directory: the file is locked.
#[derive(Debug)]
pub struct Store {
    /// The host's data.
    data: PathBuf,
    /// None only where it could not be opened again.
    database: Option<Database>,
    /// A write has failed: the library takes no more until the file is opened again, and whether that write is on disk after
    /// all, nobody knows.
    stuck: bool,
    /// Number of the last update that is stored.
    last: u64,
    log_updates: u64,
    log_bytes: u64,
    /// Bytes of the file when it was opened.
    file_bytes: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    pub epoch: Epoch,
    /// The snapshot, if there is one, then the updates since.
    pub updates: Vec<Vec<u8>>,
    /// Names of principals, by the ids they write as.
    pub authors: BTreeMap<u64, Arc<str>>,
}

impl Store {
    /// Opens what is stored below the host's data, or makes it.
    ///
    /// # Errors
    ///
    /// When another process has it open, it is damaged, or the disk does not let us.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        let (database, file_bytes) = open(data, true)?;
        let data = data.to_owned();
        Ok(Self { data, database: Some(database), stuck: false, last: 0, log_updates: 0, log_bytes: 0, file_bytes })
    }

    /// Whether a write has failed, and none is taken until [`Store::reopen`] and a snapshot.
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Opens the file again.
    ///
    /// # Errors
    ///
    /// When it cannot be: the disk may be full still.
    pub fn reopen(&mut self) -> anyhow::Result<()> {
        // It has the lock.
        self.database = None;
        self.database = Some(open(&self.data, false)?.0);
        Ok(())
    }

    fn database(&self) -> anyhow::Result<&Database> {
        self.database.as_ref().context("its file is not open")
    }

    /// Notes that a write has failed, if it has.
    fn noted<T>(&mut self, written: anyhow::Result<T>) -> anyhow::Result<T> {
        self.stuck |= written.is_err();
        written
    }

    /// Reads everything; none where nothing was stored yet.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn load(&mut self) -> anyhow::Result<Option<Found>> {
        let reading = self.database()?.begin_read()?;
        let epoch = match reading.open_table(EPOCH) {
            Ok(table) => table.get(())?.map(|row| row.value()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some((number, host)) = epoch else { return Ok(None) };
        let mut updates = Vec::new();
        (self.last, self.log_updates, self.log_bytes) = (0, 0, 0);
        if let Some(row) = reading.open_table(SNAPSHOT)?.get(())? {
            let (last, snapshot) = row.value();
            self.last = last;
            updates.push(snapshot.to_vec());
        }
        for row in reading.open_table(LOG)?.iter()? {
            let (number, update) = row?;
            self.last = number.value();
            self.log_updates += 1;
            self.log_bytes += update.value().len() as u64;
            updates.push(update.value().to_vec());
        }
        let authors = match reading.open_table(AUTHORS) {
            Ok(table) => {
                let authors = table.iter()?.map(|row| row.map(|(client, name)| (client.value(), name.value().into())));
                authors.collect::<Result<_, _>>()?
            }
            // A file of before there was such a thing.
            Err(redb::TableError::TableDoesNotExist(_)) => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Found { epoch: Epoch { number, host }, updates, authors }))
    }

    /// Gives back what the file has taken beyond need, where that is much. It does not shrink by itself.
    pub fn shrink(&mut self, found: &Found) {
        let needed = found.updates.iter().map(|update| update.len() as u64).sum::<u64>();
        if self.file_bytes < SHRINK_BYTES_MIN || self.file_bytes < needed * SHRINK_TIMES {
            return;
        }
        let Some(database) = &mut self.database else { return };
        match database.compact() {
            Ok(_) => {
                tracing::info!(bytes = self.file_bytes, needed, "the file of the registry's document is made smaller");
            }
            // A full disk, for one: it is as good as it was.
            Err(error) => {
                tracing::warn!(%error, "the file of the registry's document cannot be made smaller");
                self.stuck = true;
            }
        }
        self.file_bytes = 0;
    }

    /// Stores updates, and the authors that are new with them, all or none.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails: then none of them is stored.
    pub fn append(&mut self, updates: &[Vec<u8>], authors: &[(u64, Arc<str>)]) -> anyhow::Result<()> {
        let appended = self.try_append(updates, authors);
        self.noted(appended)
    }

    fn try_append(&mut self, updates: &[Vec<u8>], authors: &[(u64, Arc<str>)]) -> anyhow::Result<()> {
        let writing = self.database()?.begin_write()?;
        let mut last = self.last;
        {
            let mut log = writing.open_table(LOG)?;
            for update in updates {
                last += 1;
                log.insert(last, update.as_slice())?;
            }
        }
        if !authors.is_empty() {
            let mut table = writing.open_table(AUTHORS)?;
            authors.iter().try_for_each(|(client, name)| table.insert(client, &**name).map(drop))?;
        }
        writing.commit()?;
        self.last = last;
        self.log_updates += updates.len() as u64;
        self.log_bytes += updates.iter().map(|update| update.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Whether the log has grown so long that a snapshot should take its place.
    pub fn wants_snapshot(&self) -> bool {
        self.log_updates >= LOG_UPDATES_MAX || self.log_bytes >= LOG_BYTES_MAX
    }

    /// Stores the whole document, of this epoch, and who writes as which client, in the place of all that is stored.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails: then everything is as it was.
    pub fn snapshot(&mut self, epoch: &Epoch, state: &[u8], authors: &BTreeMap<u64, Arc<str>>) -> anyhow::Result<()> {
        let stored = self.try_snapshot(epoch, state, authors);
        self.noted(stored)?;
        // Whatever a write that failed has left behind, this took its place.
        self.stuck = false;
        Ok(())
    }

    fn try_snapshot(&mut self, epoch: &Epoch, state: &[u8], authors: &BTreeMap<u64, Arc<str>>) -> anyhow::Result<()> {
        let writing = self.database()?.begin_write()?;
        {
            writing.open_table(EPOCH)?.insert((), (epoch.number, epoch.host.clone()))?;
            writing.open_table(SNAPSHOT)?.insert((), (self.last, state))?;
            writing.open_table(LOG)?.retain(|_, _| false)?;
            let mut table = writing.open_table(AUTHORS)?;
            table.retain(|client, _| authors.contains_key(&client))?;
            authors.iter().try_for_each(|(client, name)| table.insert(client, &**name).map(drop))?;
        }
        writing.commit()?;
        (self.log_updates, self.log_bytes) = (0, 0);
        Ok(())
    }

    /// Number of the last update that is stored: it only grows.
    pub fn last(&self) -> u64 {
        self.last
    }
}

/// Opens the database below the host's data, and says how large its file was.
fn open(data: &Path, create: bool) -> anyhow::Result<(Database, u64)> {
    let file = file(data, create).with_context(|| format!("cannot open {DIRECTORY}/{FILE} in {}", data.display()))?;
    let file_bytes = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    // Every page is looked at, so that damage is found before anything is served.
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let database = FileBackend::new(file).and_then(|file| builder.create_with_backend(file));
    let database = database.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            anyhow::anyhow!(
                "another stockade uses the data directory {}; stop it, or choose another `data`",
                data.display()
            )
        }
        error => anyhow::Error::new(error)
            .context(format!("{}/{DIRECTORY}/{FILE} cannot be read; move it away to begin anew", data.display())),
    })?;
    Ok((database, file_bytes))
}

/// The file, through a directory that no name can leave.
fn file(data: &Path, create: bool) -> anyhow::Result<File> {
    let dir = crate::data::below(data, DIRECTORY)?;
    Ok(dir.open_with(FILE, crate::data::writable().read(true).create(create).truncate(false))?.into_std())
}

#[cfg(test)]
mod tests;
