//! Manifests of repositories, and their tags: taken, found, listed, deleted.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::admission::{self, Candidate};
use super::aliases::Naming;
use super::blobs::Blob;
use super::digest::{Algorithm, Digest};
use super::error::{Error, Limit};
use super::index::{Changes, Referrers, Tags, tables};
use super::name::{Reference, Repository};
use super::report::Report;
use super::{Inner, Publishing, fresh_name, known, manifest};
use crate::access::Principal;

/// A manifest that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    pub digest: Digest,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// What came of it, if it became a version of an agent.
    pub report: Option<Report>,
}

/// A manifest that is there.
#[derive(Debug)]
pub struct Manifest {
    pub digest: Digest,
    pub media_type: String,
    pub blob: Blob,
}

impl Publishing {
    /// Takes a manifest. One whose tag is a version of an agent goes through [`admission`], by `force` even if it breaks
    /// callers; a tag that names a version becomes an alias.
    ///
    /// # Errors
    ///
    /// When it is none, names what is not there, or does not fit.
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        media_type: &str,
        bytes: Bytes,
        (by, force): (&Arc<Principal>, bool),
    ) -> Result<Put, Error> {
        if let Some((agent, tag, version)) = Candidate::of(repository, reference) {
            let (repository, media_type, by) = (repository.clone(), media_type.to_owned(), by.clone());
            let candidate = Candidate { repository, agent, tag, version, media_type, bytes, by, force };
            return self.to_its_end(async move |publishing| admission::admit(&publishing, candidate).await).await;
        }
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let alias = match reference {
            Reference::Tag(tag) => match self.naming(repository, tag, &digest).await? {
                Naming::Version(agent, _) => Some((agent, tag.clone())),
                Naming::Plain => None,
            },
            Reference::Digest(_) => None,
        };
        let record = manifest::read(media_type, &bytes)?;
        let (repository, reference, by) = (repository.clone(), reference.clone(), by.clone());
        let Some((agent, alias)) = alias else {
            let put =
                move |inner: &Inner| inner.put_manifest((&repository, &reference), record, &bytes, &by, |_| Ok(()));
            return self.on_disk(put).await;
        };
        self.to_its_end(async move |publishing| {
            publishing.put_alias((&repository, &agent, &alias), (record, bytes), &by).await
        })
        .await
    }

    /// A manifest of a repository.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub async fn manifest(&self, repository: &Repository, reference: &Reference) -> Result<Manifest, Error> {
        let (repository, reference) = (repository.clone(), reference.clone());
        let find = self.on_disk(move |inner| {
            let unknown = || Error::ManifestUnknown(reference.to_string());
            let (digest, record) = inner.index.read(|view| {
                known(view, &repository)?;
                let digest = match &reference {
                    Reference::Digest(digest) => digest.clone(),
                    Reference::Tag(tag) => view.tagged(&repository, tag)?.ok_or_else(unknown)?,
                };
                let record = view.manifest(&repository, &digest)?.ok_or_else(unknown)?;
                Ok((digest, record))
            })?;
            let blob = inner.blob(&repository, &digest)?;
            Ok(Manifest { digest, media_type: record.media_type, blob })
        });
        find.await
    }

    /// Who pushed to a repository first; nobody where there is none.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub async fn owner(&self, repository: &Repository) -> Result<Option<String>, Error> {
        let repository = repository.clone();
        self.on_disk(move |inner| inner.index.read(|view| view.owner(&repository))).await
    }

    /// Takes a tag away, or a manifest with all its tags.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        by: &Arc<Principal>,
    ) -> Result<(), Error> {
        let (repository, by) = (repository.clone(), by.clone());
        match reference.clone() {
            Reference::Tag(tag) => {
                self.to_its_end(async move |publishing| publishing.delete_tag(&repository, &tag, &by).await).await
            }
            Reference::Digest(digest) => {
                let delete = move |inner: &Inner| {
                    inner.index.change(|changes| {
                        changes.is_free(&repository, &Reference::Digest(digest.clone()))?;
                        changes.remove_manifest(&repository, &digest)
                    })
                };
                self.on_disk(delete).await
            }
        }
    }

    /// Tags of a repository behind `last`, at most so many, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// When there is no such repository.
    pub async fn tags(&self, repository: &Repository, last: &str, count_max: usize) -> Result<Tags, Error> {
        let (repository, last) = (repository.clone(), last.to_owned());
        let list = self.on_disk(move |inner| {
            inner.index.read(|view| {
                known(view, &repository)?;
                view.tags(&repository, &last, count_max)
            })
        });
        list.await
    }

    /// Manifests behind `last` that refer to `subject`, of one type if one is asked for; about so many bytes of them.
    ///
    /// # Errors
    ///
    /// When the disk fails. What nobody refers to, or is not there itself, has none.
    pub async fn referrers(
        &self,
        (repository, subject): (&Repository, &Digest),
        artifact_type: Option<String>,
        last: Option<Digest>,
        bytes_max: usize,
    ) -> Result<Referrers, Error> {
        let (repository, subject) = (repository.clone(), subject.clone());
        let list = self.on_disk(move |inner| {
            let of = (&repository, &subject);
            inner.index.read(|view| view.referrers(of, artifact_type.as_deref(), last.as_ref(), bytes_max))
        });
        list.await
    }
}

impl Inner {
    /// Takes a manifest that was read, and whatever `also` writes with it.
    pub(super) fn put_manifest(
        &self,
        (repository, reference): (&Repository, &Reference),
        record: tables::Record,
        bytes: &Bytes,
        by: &Principal,
        also: impl FnOnce(&Changes<'_>) -> Result<(), Error>,
    ) -> Result<Put, Error> {
        let (cap, size) = (self.limits.manifest_bytes_max, bytes.len() as u64);
        if size > cap {
            let (name, unit) = ("uploads.manifest_bytes_max", "bytes");
            return Err(Error::TooLarge(Limit { name, unit, cap, used: 0, wanted: size }));
        }
        let algorithm = match reference {
            Reference::Digest(digest) => digest.algorithm(),
            Reference::Tag(_) => Algorithm::Sha256,
        };
        let digest = Digest::of(algorithm, bytes);
        if let Reference::Digest(said) = reference
            && *said != digest
        {
            return Err(Error::DigestDiffers { said: said.clone(), counted: digest });
        }
        let mut draft = self.blobs.draft(&fresh_name()?)?;
        draft.file.write_all(bytes)?;
        draft.file.sync_all()?;
        let placed = Cell::new(false);
        self.index.change_or(
            |changes| {
                placed.set(!changes.has_blob(&digest)?);
                changes.add_blob(&digest, size)?;
                changes.put_manifest(repository, &digest, &record, &by.name)?;
                if let Reference::Tag(tag) = reference {
                    changes.tag(repository, tag, &digest)?;
                }
                also(changes)?;
                Ok(self.blobs.keep(&mut draft, &digest)?)
            },
            || self.take_back(&digest, placed.get()),
        )?;
        Ok(Put { digest, subject: record.subject.map(|subject| tables::stored(&subject)), report: None })
    }
}
