//! One request's part of an upload: bytes in, under the limits, written piece by piece.
//!
//! Owns the buffer of the piece that is to be written next, and what pays for it. Whichever way the request ends, the upload
//! is either free for the next one or removed.

use std::cell::Cell;
use std::sync::Arc;

use stockade_ledger::Charge;

use super::Publishing;
use super::digest::Digest;
use super::error::{Error, Limit};
use super::index::tables::{ROW_BYTES, on_disk};
use super::name::Repository;
use super::upload::Upload;
use crate::access::Principal;

/// Bytes that are written at a time.
const PIECE_BYTES: usize = 128 << 10;

/// Bytes that a body in flight takes: the piece, and what the socket's side holds of the next.
const RECEIVING_BYTES: u64 = 2 * PIECE_BYTES as u64;

/// An upload that a request is writing.
pub struct Receiving {
    publishing: Publishing,
    upload: Arc<Upload>,
    piece: Vec<u8>,
    _charge: Charge,
    /// Bytes that have come so far, those of the piece included.
    received: u64,
    /// Bytes that the namespace held when the request began.
    namespace_bytes: u64,
    /// Whether the upload ends with this request if it does not succeed.
    doomed: bool,
}

impl Publishing {
    /// Goes on with an upload of this caller's.
    ///
    /// # Errors
    ///
    /// When there is none, another request is writing it, or nobody lends a buffer.
    pub async fn resume(&self, repository: &Repository, id: &str, by: &Arc<Principal>) -> Result<Receiving, Error> {
        let charge = self.0.uploads.account().charge(RECEIVING_BYTES)?;
        let upload = self.0.uploads.seize(repository, id, by)?;
        // From here on its drop gives the upload free.
        let mut receiving = Receiving {
            publishing: self.clone(),
            upload: upload.clone(),
            piece: Vec::with_capacity(PIECE_BYTES),
            _charge: charge,
            received: 0,
            namespace_bytes: 0,
            doomed: false,
        };
        let look = self.on_disk(move |inner| {
            let namespace = upload.repository().namespace();
            let held = inner.index.read(|view| view.namespace_bytes(namespace))?;
            Ok((upload.content().bytes, held))
        });
        (receiving.received, receiving.namespace_bytes) = look.await?;
        Ok(receiving)
    }
}

impl Receiving {
    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The upload ends with this request, unless it succeeds.
    pub fn doom(&mut self) {
        self.doomed = true;
    }

    /// Refuses at once what announces more than would be taken.
    ///
    /// # Errors
    ///
    /// The limit that it would meet.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Error> {
        let fits = self.room(bytes);
        self.doomed |= fits.is_err();
        fits
    }

    /// Takes what comes next.
    ///
    /// # Errors
    ///
    /// When it is too much, or the disk is full or fails: then the upload is removed.
    pub async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.expect(bytes.len() as u64)?;
        self.received += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE_BYTES {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Ends the request, and leaves the upload to the next.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub async fn pause(mut self) -> Result<u64, Error> {
        self.write().await?;
        Ok(self.received)
    }

    /// Ends the upload: what has come is the blob of this digest, and in the repository.
    ///
    /// # Errors
    ///
    /// When it is not, does not fit, or the disk is full or fails. The upload is over in any case.
    pub async fn finish(mut self, digest: &Digest) -> Result<(), Error> {
        self.doomed = true;
        self.write().await?;
        let (upload, said) = (self.upload.clone(), digest.clone());
        let work = self.publishing.on_disk(move |inner| {
            let mut content = upload.content();
            let counted = content.digest(said.algorithm())?;
            if counted != said {
                return Err(Error::DigestDiffers { said, counted });
            }
            content.draft.file.sync_all()?;
            let (bytes, placed) = (content.bytes, Cell::new(false));
            inner.index.change_or(
                |changes| {
                    placed.set(!changes.has_blob(&said)?);
                    changes.add_blob(&said, bytes)?;
                    changes.link(upload.repository(), &said, &upload.by().name)?;
                    Ok(inner.blobs.keep(&mut content.draft, &said)?)
                },
                || inner.take_back(&said, placed.get()),
            )
        });
        work.await
    }

    /// Writes the piece.
    async fn write(&mut self) -> Result<(), Error> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let (piece, upload) = (std::mem::take(&mut self.piece), self.upload.clone());
        let written = self.publishing.on_disk(move |_| {
            upload.append(&piece)?;
            Ok(piece)
        });
        self.piece = written.await.inspect_err(|_| self.doomed = true)?;
        self.piece.clear();
        Ok(())
    }

    /// Whether so many bytes more may come.
    fn room(&self, more: u64) -> Result<(), Error> {
        let inner = &self.publishing.0;
        let limits = &inner.limits;
        let used = self.received;
        let after = used.saturating_add(more);
        let limit = |name, cap, used| Limit { name, unit: "bytes", cap, used, wanted: more };
        if after > limits.blob_bytes_max {
            return Err(Error::TooLarge(limit("uploads.blob_bytes_max", limits.blob_bytes_max, used)));
        }
        let held = self.namespace_bytes.saturating_add(used);
        if self.namespace_bytes.saturating_add(on_disk(after)).saturating_add(ROW_BYTES) > limits.namespace_disk {
            return Err(Error::Quota(limit("uploads.namespace_disk", limits.namespace_disk, held)));
        }
        let total = inner.index.total().saturating_add(inner.uploads.staged()).saturating_add(self.piece.len() as u64);
        if total.saturating_add(more) > limits.disk {
            return Err(Error::DiskQuota(limit("uploads.disk", limits.disk, total)));
        }
        Ok(())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.upload.release();
        if self.doomed && self.publishing.0.uploads.remove(&self.upload).is_some() {
            self.publishing.let_go(vec![self.upload.clone()]);
        }
    }
}
