//! Why something is not pushed, pulled or deleted: for clients in the codes of the OCI distribution specification, for people
//! in words.

use std::io;
use std::sync::Arc;

use stockade_ledger::Refusal;

use super::digest::Digest;
use super::name::Repository;
use crate::access::Full;

/// Every way in which a request about a repository can fail.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("there is no repository `{0}`")]
    NameUnknown(Repository),
    #[error("no blob {0} is in this repository: push it, or mount it from one that has it")]
    BlobUnknown(Digest),
    #[error("this upload is over, or never was one of yours in this repository: begin a new one")]
    UploadUnknown,
    #[error("another request is writing this upload")]
    UploadBusy,
    #[error("the next byte of this upload is {received}, but `content-range` begins at {said}")]
    OutOfOrder { received: u64, said: u64 },
    #[error("`content-range` speaks of {said} bytes, but {came} came")]
    Truncated { said: u64, came: u64 },
    #[error("the digest of what came is {counted}, not {said}")]
    DigestDiffers { said: Digest, counted: Digest },
    #[error("there is no manifest `{0}` in this repository")]
    ManifestUnknown(String),
    #[error("nothing was published as `{0}`; `stockade agents` lists all agents")]
    NoVersions(String),
    #[error("{0}")]
    ManifestInvalid(String),
    #[error("the manifest names {0}, which is not in this repository: push that first")]
    ManifestBlobUnknown(Digest),
    #[error("the manifest says that {digest} has {said} bytes, but it has {has}")]
    SizeDiffers { digest: Digest, said: u64, has: u64 },
    #[error("a manifest of this repository names {0}: delete that manifest first")]
    InUse(Digest),
    #[error("{0}")]
    Unsupported(String),
    #[error("the version {0} is there already, as {1}: a version is published once; choose the next one")]
    VersionTaken(String, String),
    /// What only somebody else may do.
    #[error("{0}")]
    NotYours(String),
    /// A component that is not fit to be served.
    #[error("{0}")]
    NotAdmitted(String),
    /// What could not be done now.
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    NotServed(String),
    /// Too many changes of versions at once.
    #[error("{0}: come back")]
    Crowded(Full),
    /// What cannot be deleted.
    #[error("{0}")]
    Fixed(String),
    /// One thing that is larger than any may be.
    #[error(transparent)]
    TooLarge(Limit),
    /// Something that fits only once something else is deleted.
    #[error(transparent)]
    Quota(Limit),
    /// The same, when it is not the caller's own things that fill it.
    #[error(transparent)]
    DiskQuota(Limit),
    #[error("{0}: continue or cancel one, or come back")]
    TooManyUploads(Full),
    #[error("{0}")]
    Unpaid(Refusal),
    #[error("the host's disk is full")]
    DiskFull,
    #[error("the host's disk fails")]
    Disk(Arc<anyhow::Error>),
}

/// A limit that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit `{name}` of {cap} {unit}: {used} used, {wanted} wanted")]
pub struct Limit {
    /// The manifest's key.
    pub name: &'static str,
    pub unit: &'static str,
    pub cap: u64,
    pub used: u64,
    pub wanted: u64,
}

impl Error {
    /// The code that clients of OCI know.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameUnknown(_) => "NAME_UNKNOWN",
            Self::BlobUnknown(_) => "BLOB_UNKNOWN",
            Self::UploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::UploadBusy | Self::OutOfOrder { .. } => "BLOB_UPLOAD_INVALID",
            Self::DigestDiffers { .. } => "DIGEST_INVALID",
            Self::ManifestUnknown(_) | Self::NoVersions(_) => "MANIFEST_UNKNOWN",
            Self::ManifestInvalid(_) | Self::NotAdmitted(_) => "MANIFEST_INVALID",
            Self::ManifestBlobUnknown(_) => "MANIFEST_BLOB_UNKNOWN",
            Self::SizeDiffers { .. } | Self::Truncated { .. } | Self::TooLarge(_) => "SIZE_INVALID",
            Self::InUse(_) | Self::Unsupported(_) | Self::Fixed(_) => "UNSUPPORTED",
            Self::VersionTaken(..) | Self::NotYours(_) | Self::NotServed(_) => "DENIED",
            Self::Quota(_) | Self::DiskQuota(_) | Self::DiskFull => "DENIED",
            Self::TooManyUploads(_) | Self::Unpaid(_) | Self::Later(_) | Self::Crowded(_) => "TOOMANYREQUESTS",
            Self::Disk(_) => "UNKNOWN",
        }
    }

    /// The limit that refused, if one did.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::TooLarge(limit) | Self::Quota(limit) | Self::DiskQuota(limit) => Some(*limit),
            Self::TooManyUploads(full) | Self::Crowded(full) => {
                Some(Limit { name: full.limit, unit: full.unit, cap: full.cap, used: full.used, wanted: 1 })
            }
            Self::Unpaid(refusal) => {
                let Refusal { wanted, used, limit, .. } = *refusal;
                let name = match &*refusal.account {
                    "replies" => "replies",
                    "memory" => "memory",
                    _ => "uploads",
                };
                Some(Limit { name, unit: "bytes", cap: limit, used, wanted })
            }
            _ => None,
        }
    }

    /// Whether the disk was what failed.
    pub(super) fn is_of_disk(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Disk(_))
    }

    /// A failure of the disk that is not about the space on it.
    pub(super) fn disk(error: impl Into<anyhow::Error>) -> Self {
        Self::Disk(Arc::new(error.into()))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::disk(error),
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            error => Self::disk(error),
        }
    }
}

/// Each step of the library has an error type of its own.
macro_rules! from_step {
    ($($step:ty),*) => {$(
        impl From<$step> for Error {
            fn from(error: $step) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_step!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Unpaid(refusal)
    }
}
