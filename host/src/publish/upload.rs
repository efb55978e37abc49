//! Uploads: blobs while they come.
//!
//! Owns the table of open uploads and what each one takes: a place, a charge, bytes on disk. An upload is written by one
//! request at a time; its digest is counted as its bytes are written. One that nobody continues, whose bytes turn out wrong
//! or which meets a limit is removed with everything it had.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stockade_ledger::{Account, Charge};

use super::blobs::Draft;
use super::digest::{Algorithm, Digest, Hasher};
use super::error::Error;
use super::name::Repository;
use crate::access::{Place, Places, Principal};
use crate::manifest::UploadLimits;

/// Bytes of an open upload: its entry in the table, names, the digest so far.
const UPLOAD_BYTES: u64 = 2 << 10;

/// Bytes that are read at a time to count another digest than the usual one.
const READ_BYTES: usize = 64 << 10;

/// Every open upload.
#[derive(Debug)]
pub struct Uploads {
    open: Mutex<HashMap<Arc<str>, Arc<Upload>>>,
    places: Places,
    account: Account,
    /// Bytes on disk of all of them.
    staged: Arc<AtomicU64>,
    idle: Duration,
}

/// An open upload.
#[derive(Debug)]
pub struct Upload {
    id: Arc<str>,
    repository: Repository,
    /// Whose it is.
    by: Arc<Principal>,
    /// Whether a request is writing it.
    busy: AtomicBool,
    touched: Mutex<Instant>,
    content: Mutex<Content>,
    staged: Arc<AtomicU64>,
    _place: Place,
    _charge: Charge,
}

/// What of it has come.
#[derive(Debug)]
pub struct Content {
    pub draft: Draft,
    /// Of the algorithm that nearly everybody uses.
    hasher: Hasher,
    pub bytes: u64,
}

impl Uploads {
    pub fn new(limits: &UploadLimits, account: Account) -> Self {
        Self {
            open: Mutex::default(),
            places: Places::new("uploads.open", "uploads", limits.open),
            account,
            staged: Arc::default(),
            idle: limits.idle,
        }
    }

    /// Takes what an upload needs before there is a file.
    ///
    /// # Errors
    ///
    /// When too many are open, or nobody lends the bytes.
    pub fn admit(&self, by: &Arc<Principal>) -> Result<(Place, Charge), Error> {
        let place = self.places.take(by).map_err(Error::TooManyUploads)?;
        Ok((place, self.account.charge(UPLOAD_BYTES)?))
    }

    /// Opens an upload that was admitted.
    pub fn open(
        &self,
        (place, charge): (Place, Charge),
        of: (&Repository, &Arc<Principal>),
        draft: Draft,
        id: Arc<str>,
    ) {
        let (repository, by) = of;
        let hasher = Algorithm::Sha256.hasher();
        let upload = Upload {
            id: id.clone(),
            repository: repository.clone(),
            by: by.clone(),
            busy: AtomicBool::new(false),
            touched: Mutex::new(Instant::now()),
            content: Mutex::new(Content { draft, hasher, bytes: 0 }),
            staged: self.staged.clone(),
            _place: place,
            _charge: charge,
        };
        self.lock().insert(id, Arc::new(upload));
    }

    /// An upload, for the one request that may write it now.
    ///
    /// # Errors
    ///
    /// When there is none of this caller's in this repository, or another request is writing it.
    pub fn seize(&self, repository: &Repository, id: &str, by: &Principal) -> Result<Arc<Upload>, Error> {
        let upload = self.find(repository, id, by)?;
        if upload.busy.swap(true, Ordering::Acquire) { Err(Error::UploadBusy) } else { Ok(upload) }
    }

    /// An upload of this caller's.
    ///
    /// # Errors
    ///
    /// When there is none in this repository.
    pub fn find(&self, repository: &Repository, id: &str, by: &Principal) -> Result<Arc<Upload>, Error> {
        let upload = self.lock().get(id).cloned();
        let own = upload.filter(|upload| upload.repository == *repository && *upload.by == *by);
        own.ok_or(Error::UploadUnknown)
    }

    /// Forgets an upload. Its file goes with the last who has it.
    pub fn remove(&self, upload: &Upload) -> Option<Arc<Upload>> {
        self.lock().remove(&upload.id)
    }

    /// Forgets all that nobody has continued for too long.
    pub fn remove_idle(&self) -> Vec<Arc<Upload>> {
        let is_idle = |upload: &Upload| !upload.busy.load(Ordering::Acquire) && upload.touched().elapsed() >= self.idle;
        self.lock().extract_if(|_, upload| is_idle(upload)).map(|(_, upload)| upload).collect()
    }

    /// Forgets all.
    pub fn clear(&self) -> Vec<Arc<Upload>> {
        self.lock().drain().map(|(_, upload)| upload).collect()
    }

    /// Bytes that all of them have on disk.
    pub fn staged(&self) -> u64 {
        self.staged.load(Ordering::Relaxed)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Pays for uploads.
    pub fn account(&self) -> &Account {
        &self.account
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Whose it is.
    pub fn by(&self) -> &Arc<Principal> {
        &self.by
    }

    /// What of it has come. Its lock is held while a piece is written, so this is for threads that may wait.
    pub fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes next.
    pub fn append(&self, piece: &[u8]) -> Result<(), Error> {
        let mut content = self.content();
        // Counted first: what of a piece is written when the disk is full is there as well.
        self.staged.fetch_add(piece.len() as u64, Ordering::Relaxed);
        content.bytes += piece.len() as u64;
        content.draft.file.write_all(piece)?;
        content.hasher.update(piece);
        Ok(())
    }

    /// The request that was writing it is over.
    pub fn release(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.busy.store(false, Ordering::Release);
    }

    fn touched(&self) -> Instant {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// The digest of all that has come.
    pub fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, Error> {
        if algorithm == Algorithm::Sha256 {
            return Ok(self.hasher.clone().finish());
        }
        let mut hasher = algorithm.hasher();
        let mut piece = vec![0; READ_BYTES];
        self.draft.file.seek(SeekFrom::Start(0))?;
        loop {
            match self.draft.file.read(&mut piece)? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&piece[..count]),
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.staged.fetch_sub(self.content().bytes, Ordering::Relaxed);
    }
}
