//! Whether a version of an agent may be published: the way in for manifests whose tag is a version.

use std::sync::Arc;

use bytes::Bytes;
use semver::Version;

use super::error::Error;
use super::name::{Reference, Repository};
use super::{Publishing, Put};
use crate::access::Principal;
use crate::manifest::AgentName;

/// A manifest that would become a version of an agent.
#[derive(Debug)]
pub struct Candidate<'a> {
    pub repository: &'a Repository,
    pub agent: AgentName,
    pub version: Version,
    pub media_type: &'a str,
    pub bytes: Bytes,
    pub by: &'a Arc<Principal>,
}

impl<'a> Candidate<'a> {
    /// The version that a manifest would become under this reference, if it would.
    pub fn of(repository: &'a Repository, reference: &Reference) -> Option<(AgentName, Version)> {
        let Reference::Tag(tag) = reference else { return None };
        Some((repository.agent()?, tag.version()?))
    }
}

/// Admits a version, or says why not.
///
/// # Errors
///
/// Always, as yet.
pub async fn admit(_publishing: &Publishing, candidate: Candidate<'_>) -> Result<Put, Error> {
    let Candidate { agent, version, .. } = candidate;
    Err(Error::Unsupported(format!(
        "`{version}` would be a version of the agent `{agent}`, and versions cannot be published to this host yet: use a tag \
         that is no version"
    )))
}
