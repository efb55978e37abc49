//! Publishing: repositories of blobs and manifests, as OCI clients push and pull them.
//!
//! Owns what is pushed, on disk: blobs by their digest, and an index of which repository has which. Uploads are hashed while
//! they are written; nothing is kept in memory but the piece that is being written or sent. Knows what a client may push, and
//! never how the request came: it names neither HTTP nor MCP.
//!
//! # Layout, along the way of what is pushed
//!
//! - `name`, `digest`: what things are called. `error`: why something is refused.
//! - `upload`: blobs while they come. `receive`: one request's part of that.
//! - `manifests`: manifests and tags, and the lists of both. `manifest`: what of one the host has to know.
//! - `admission`: whether one may become a version of an agent, which looks at its `wasm` layout, its `signature`, and what of
//!   its tools is `compat`ible; `report`: what it came to. `versions`, `live`, `aliases`: what there is, what of it is served, and
//!   under which names. `serving`: what it is served by. `start`: what a start finds. `retire`: what goes. `probation`: what is rolled back. `audit`: who did what.
//! - `pull`: components that lie elsewhere.
//! - `blobs`: the files. `index`: who has what, and the limits on it. `sweep`: what nobody uses any more.
//!
//! Invariant: a repository's manifest never lacks what it names there.

pub mod admission;
mod aliases;
mod audit;
mod blobs;
mod compat;
pub mod digest;
pub mod error;
mod index;
mod live;
pub mod manifest;
mod manifests;
pub mod name;
mod probation;
pub mod pull;
mod receive;
mod report;
mod retire;
mod serving;
pub mod signature;
mod start;
mod sweep;
mod upload;
mod versions;
pub mod wasm;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use stockade_ledger::{Account, Charge};
use tokio::sync::Semaphore;

use crate::access::{Principal, random};
use crate::manifest::UploadLimits;
use blobs::Blobs;
use digest::Digest;
use error::Error;
use index::{Index, View, now};
use name::Repository;
use upload::{Upload, Uploads};

pub use audit::Audit;
pub use blobs::Blob;
pub use index::{Referrer, Referrers, Tags};
pub use manifests::{Manifest, Put};
pub use receive::Receiving;
pub use report::Report;
pub use serving::Serving;
pub use versions::Told;

/// Threads that may work on the disk for publishing at once; others wait for their turn.
const DISK_TURNS: usize = 16;

/// Bytes of a blob that are read and sent at a time; fewer where many are sent, but not less than the second.
const PIECE_BYTES: u64 = 128 << 10;
const PIECE_BYTES_MIN: u64 = 4 << 10;

/// Changes of versions that go on at once, whoever asked for them has gone or not: what may wait in all turns.
const AT_WORK_MAX: usize = 64;

/// Random bytes of an upload's name.
const ID_BYTES: usize = 16;

/// Accounts that pay.
#[derive(Debug, Clone)]
pub struct Paying {
    /// For uploads.
    pub uploads: Account,
    /// For what is sent.
    pub replies: Account,
}

/// All repositories. A cheap handle.
#[derive(Debug, Clone)]
pub struct Publishing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: UploadLimits,
    blobs: Arc<Blobs>,
    index: Index,
    uploads: Uploads,
    replies: Account,
    turns: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
    /// The host's data, which components are loaded from.
    data: PathBuf,
    /// Set once there are agents.
    serving: OnceLock<Serving>,
    /// Agents that have had an entry since the host started: no more than there are repositories.
    seen: Mutex<BTreeSet<String>>,
}

/// Bytes of a blob, and what pays for them.
struct Paid {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Publishing {
    /// Opens what was pushed to the host whose data this is. Half an upload is nothing: it is removed.
    ///
    /// # Errors
    ///
    /// When the directory cannot be had, or its index is damaged or in use.
    pub fn open(data: &Path, limits: UploadLimits, paying: Paying) -> anyhow::Result<Self> {
        let blobs = Arc::new(Blobs::open(data)?);
        let beside = blobs.clone();
        let index = Index::open(move || beside.beside(index::FILE), limits)?;
        let uploads = Uploads::new(&limits, paying.uploads);
        let [turns, at_work] = [DISK_TURNS, AT_WORK_MAX].map(|places| Arc::new(Semaphore::new(places)));
        let (replies, data, serving) = (paying.replies, data.to_owned(), OnceLock::new());
        let seen = Mutex::default();
        Ok(Self(Arc::new(Inner { limits, blobs, index, uploads, replies, turns, at_work, data, serving, seen })))
    }

    /// From now on versions are served by these, and can be published.
    pub fn serve_with(&self, serving: Serving) {
        // A second time would be a mistake of the wiring, and changes nothing.
        let _ = self.0.serving.set(serving);
    }

    fn serving(&self) -> Result<&Serving, Error> {
        self.0.serving.get().ok_or_else(|| Error::Unsupported("this host serves no agents".to_owned()))
    }

    pub fn limits(&self) -> &UploadLimits {
        &self.0.limits
    }

    /// Pays for uploads.
    pub fn account(&self) -> &Account {
        self.0.uploads.account()
    }

    /// How many uploads are open.
    pub fn open_uploads(&self) -> usize {
        self.0.uploads.count()
    }

    /// Bytes that count for all that was pushed.
    pub fn stored(&self) -> u64 {
        self.0.index.total()
    }

    /// Removes all uploads: nobody will continue them.
    pub fn end(&self) {
        self.let_go(self.0.uploads.clear());
    }

    /// A blob of a repository.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Blob, Error> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.on_disk(move |inner| inner.blob(&repository, &digest)).await
    }

    /// Bytes of a blob from an offset on, as many as are sent at a time; none at its end. Where replies are nearly full there are
    /// fewer: a blob that is on its way should not break off.
    ///
    /// # Errors
    ///
    /// When nobody lends them, or the disk fails.
    pub async fn piece(&self, blob: &Arc<Blob>, offset: u64, bytes_max: u64) -> Result<Bytes, Error> {
        let mut bytes = bytes_max.min(PIECE_BYTES).min(blob.bytes.saturating_sub(offset));
        let charge = loop {
            match self.0.replies.charge(bytes) {
                Ok(charge) => break charge,
                Err(refusal) if bytes <= PIECE_BYTES_MIN => return Err(refusal.into()),
                Err(_) => bytes = (bytes / 2).max(PIECE_BYTES_MIN),
            }
        };
        let blob = blob.clone();
        let read = self.on_disk(move |_| {
            let mut bytes = vec![0; usize::try_from(bytes).expect("a piece is small")];
            blob.file.read_exact_at(&mut bytes, offset)?;
            Ok(Bytes::from_owner(Paid { bytes, _charge: charge }))
        });
        read.await
    }

    /// Takes a blob out of a repository.
    ///
    /// # Errors
    ///
    /// When it is not there, or a manifest there needs it.
    pub async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.on_disk(move |inner| inner.index.change(|changes| changes.unlink(&repository, &digest))).await
    }

    /// Puts a blob of one repository into another, if it is there.
    ///
    /// # Errors
    ///
    /// When it does not fit.
    pub async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: &Repository,
        by: &Arc<Principal>,
    ) -> Result<bool, Error> {
        let (repository, digest, from, by) = (repository.clone(), digest.clone(), from.clone(), by.clone());
        let mount = self.on_disk(move |inner| {
            inner.index.change(|changes| {
                let is_there = changes.linked(&from, digest.as_str())?.is_some();
                if is_there {
                    changes.link(&repository, &digest, &by.name)?;
                }
                Ok(is_there)
            })
        });
        mount.await
    }

    /// Begins an upload; its name.
    ///
    /// # Errors
    ///
    /// When too many are open, nobody lends what it needs, or the disk is full or fails.
    pub async fn begin(&self, repository: &Repository, by: &Arc<Principal>) -> Result<Arc<str>, Error> {
        let admitted = self.0.uploads.admit(by)?;
        let (repository, by) = (repository.clone(), by.clone());
        let begin = self.on_disk(move |inner| {
            let id: Arc<str> = fresh_name()?.into();
            let draft = inner.blobs.draft(&id)?;
            inner.uploads.open(admitted, (&repository, &by), draft, id.clone());
            Ok(id)
        });
        begin.await
    }

    /// Bytes of an upload of this caller's that have come.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn received(&self, repository: &Repository, id: &str, by: &Arc<Principal>) -> Result<u64, Error> {
        let upload = self.0.uploads.find(repository, id, by)?;
        self.on_disk(move |_| Ok(upload.content().bytes)).await
    }

    /// Ends an upload of this caller's, of which nothing stays.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn cancel(&self, repository: &Repository, id: &str, by: &Arc<Principal>) -> Result<(), Error> {
        let upload = self.0.uploads.find(repository, id, by)?;
        self.0.uploads.remove(&upload);
        self.on_disk(move |_| {
            drop(upload);
            Ok(())
        })
        .await
    }

    /// Does something with versions to its end, whoever goes away meanwhile: half of it would be no version and no error.
    async fn to_its_end<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        // Waited for by whoever may still go away: what has begun is bounded, however many come and go.
        let place = self.0.at_work.clone().acquire_owned().await.expect("the semaphore is never closed");
        let work = work(self.clone());
        let done = tokio::spawn(async move {
            let _place = place;
            work.await
        });
        done.await.map_err(Error::disk)?
    }

    /// Reads the index on a thread that may wait for the disk.
    async fn reading<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.on_disk(move |inner| inner.index.read(look)).await
    }

    /// Does something on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = self.0.clone();
        let turn = inner.turns.clone().acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&inner)
        });
        done.await.map_err(Error::disk)?
    }

    /// Lets uploads go where their files may be removed.
    fn let_go(&self, uploads: Vec<Arc<Upload>>) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(uploads))),
            Err(_) => drop(uploads),
        }
    }
}

/// What nobody has pushed to is no repository.
fn known(view: &View, repository: &Repository) -> Result<(), Error> {
    if view.has_repository(repository)? { Ok(()) } else { Err(Error::NameUnknown(repository.clone())) }
}

/// A name of a draft that nobody can guess.
fn fresh_name() -> Result<String, Error> {
    let random = random::<ID_BYTES>().map_err(Error::disk)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Inner {
    fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Blob, Error> {
        let unknown = || Error::BlobUnknown(digest.clone());
        let is_there = self.index.read(|view| {
            known(view, repository)?;
            view.has_link(repository, digest)
        })?;
        let blob = if is_there { self.blobs.find(digest)? } else { None };
        blob.ok_or_else(unknown)
    }

    /// Removes the file of a blob that the index did not take after all, if it was to be a new one.
    fn take_back(&self, digest: &Digest, was_new: bool) {
        if was_new && let Err(error) = self.blobs.remove(digest) {
            tracing::warn!(%digest, %error, "a blob that nobody has cannot be removed before the next start");
        }
    }
}
