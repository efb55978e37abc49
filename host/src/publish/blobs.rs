//! Blobs on disk: files by their digest, shared by all repositories, and drafts of those that are still to come.
//!
//! Owns the directory `oci` in the host's data, but for the index. Names of files are made from digests and random numbers
//! alone, never from what a client says. Knows nothing of repositories: the index says which blob is where.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use cap_std::fs::Dir;

use super::digest::{Algorithm, Digest};
use crate::data::{directory, writable};

/// Name of the directory below the host's data, and of those in it.
const DIRECTORY: &str = "oci";
const BLOBS: &str = "blobs";
const UPLOADS: &str = "uploads";

/// The directories.
#[derive(Debug)]
pub struct Blobs {
    oci: Dir,
    uploads: Arc<Dir>,
    sha256: Dir,
    sha512: Dir,
}

/// A blob's file, which is read from wherever one likes.
#[derive(Debug)]
pub struct Blob {
    pub file: File,
    pub bytes: u64,
}

/// A file that is being written; gone unless it is kept.
#[derive(Debug)]
pub struct Draft {
    dir: Arc<Dir>,
    name: Option<String>,
    pub file: File,
}

impl Blobs {
    /// Opens the directories, makes them if need be, and removes what an earlier run has left half written.
    ///
    /// # Errors
    ///
    /// When the data directory cannot be written.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        let data = crate::data::open(data)?;
        let open = || -> io::Result<Self> {
            let oci = directory(&data, DIRECTORY)?;
            let uploads = directory(&oci, UPLOADS)?;
            for left in uploads.entries()? {
                uploads.remove_file(left?.file_name())?;
            }
            let blobs = directory(&oci, BLOBS)?;
            let [sha256, sha512] = Algorithm::ALL.map(|algorithm| directory(&blobs, algorithm.name()));
            Ok(Self { oci, uploads: Arc::new(uploads), sha256: sha256?, sha512: sha512? })
        };
        open().context("cannot use `oci` in the data directory")
    }

    /// A file beside the blobs, for the index.
    pub fn beside(&self, name: &str) -> io::Result<File> {
        Ok(self.oci.open_with(name, writable().read(true).create(true).truncate(false))?.into_std())
    }

    /// A new file, under a name that nobody has used.
    pub fn draft(&self, name: &str) -> io::Result<Draft> {
        let file = self.uploads.open_with(name, writable().read(true).create_new(true))?.into_std();
        Ok(Draft { dir: self.uploads.clone(), name: Some(name.to_owned()), file })
    }

    /// Makes a draft, which is on disk already, the blob of this digest. The same blob of before gives way to it.
    pub fn keep(&self, draft: &mut Draft, digest: &Digest) -> io::Result<()> {
        let Some(name) = &draft.name else { return Ok(()) };
        let dir = self.of(digest.algorithm());
        self.uploads.rename(name, dir, digest.hex())?;
        draft.name = None;
        sync(dir)
    }

    /// A blob, if it is there.
    pub fn find(&self, digest: &Digest) -> io::Result<Option<Blob>> {
        match self.of(digest.algorithm()).open(digest.hex()) {
            Ok(file) => {
                let file = file.into_std();
                let bytes = file.metadata()?.len();
                Ok(Some(Blob { file, bytes }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a blob is, below the host's data: for the one who loads components.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        [DIRECTORY, BLOBS, digest.algorithm().name(), digest.hex()].iter().collect()
    }

    /// Removes a blob; one that is gone already is as good.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        match self.of(digest.algorithm()).remove_file(digest.hex()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Looks at the digest of every blob there is, in no order.
    pub fn each(&self, mut look: impl FnMut(Digest)) -> io::Result<()> {
        for algorithm in Algorithm::ALL {
            for entry in self.of(algorithm).entries()? {
                let name = entry?.file_name();
                // What is no digest was not put there by us.
                if let Ok(digest) = format!("{}:{}", algorithm.name(), name.to_string_lossy()).parse() {
                    look(digest);
                }
            }
        }
        Ok(())
    }

    fn of(&self, algorithm: Algorithm) -> &Dir {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name
            && let Err(error) = self.dir.remove_file(name)
        {
            tracing::warn!(%error, "an upload's file cannot be removed before the next start");
        }
    }
}

/// What was renamed into a directory is there after a crash, too.
fn sync(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}

#[cfg(test)]
mod tests;
