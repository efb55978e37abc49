//! What a path below `/v2/` asks for.
//!
//! Names of repositories have slashes, so paths are read by hand, from their end. Nothing is decoded: no legal name or
//! reference has a letter that would need it.

use crate::publish::digest::{Digest, NoDigest};
use crate::publish::name::{NoRepository, Repository};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    pub repository: Repository,
    pub target: Target,
}

/// What of a repository.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    Blob(Digest),
    /// Where uploads begin.
    Uploads,
    /// One upload, by its name.
    Upload(String),
    /// A manifest, by a text that may or may not be a legal reference: which of both it is decides the method.
    Manifest(String),
    Tags,
    Referrers(Digest),
}

/// Why a path asks for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    #[error(transparent)]
    Repository(#[from] NoRepository),
    #[error(transparent)]
    Digest(#[from] NoDigest),
    #[error("there is no such path: repositories have /blobs/, /manifests/, /tags/list and /referrers/")]
    Path,
}

/// Reads what follows `/v2/`.
///
/// # Errors
///
/// When it is no path of the API, or a name in it is none.
pub fn read(rest: &str) -> Result<Asked, Nothing> {
    let (before, last) = rest.rsplit_once('/').ok_or(Nothing::Path)?;
    // `uploads` with or without the slash that the API has.
    let (name, target) =
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or(rest.strip_suffix("/blobs/uploads")) {
            (name, Target::Uploads)
        } else if let Some(name) = before.strip_suffix("/blobs/uploads") {
            (name, Target::Upload(last.to_owned()))
        } else if let Some(name) = before.strip_suffix("/blobs") {
            (name, Target::Blob(last.parse()?))
        } else if let Some(name) = before.strip_suffix("/manifests") {
            (name, Target::Manifest(last.to_owned()))
        } else if let Some(name) = before.strip_suffix("/referrers") {
            (name, Target::Referrers(last.parse()?))
        } else if let Some(name) = rest.strip_suffix("/tags/list") {
            (name, Target::Tags)
        } else {
            return Err(Nothing::Path);
        };
    Ok(Asked { repository: name.parse()?, target })
}

#[cfg(test)]
mod tests;
