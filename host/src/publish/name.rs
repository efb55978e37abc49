//! Names of repositories and tags, and what a manifest is asked for by.
//!
//! Once parsed they are plain text of a few letters: nothing in them can leave a directory, a table's key or a URL.

use std::fmt;
use std::str::FromStr;

use semver::Version;

use super::digest::Digest;
use crate::manifest::AgentName;

/// Bytes of a repository's name.
pub const REPOSITORY_BYTES_MAX: usize = 255;

/// Bytes of a tag.
pub const TAG_BYTES_MAX: usize = 128;

/// Namespace of a repository whose name is one segment alone.
const NAMESPACE: &str = "default";

/// Segments of the name of a repository whose versions are agents: namespace and agent.
const AGENT_SEGMENTS_MAX: usize = 2;

/// Name of a repository, such as `team/files`: segments of a-z and 0-9, with single `.` or `_`, a double `_`, or hyphens
/// between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(Box<str>);

/// A tag: letters, digits and `_`, then `.` and `-` as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    Tag(Tag),
    Digest(Digest),
}

/// Why a text names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRepository {
    #[error("a repository's name has at most {REPOSITORY_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    #[error(
        "a repository's name is segments of a-z and 0-9 with single `.`, `_`, `__` or hyphens inside, divided by `/`"
    )]
    Malformed,
}

/// Why a text refers to no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tag has at most {TAG_BYTES_MAX} letters, digits, `_`, `.` and `-`, and begins with none of the last two")]
pub struct NoReference;

impl Repository {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All segments but the last.
    pub fn namespace(&self) -> &str {
        self.0.rsplit_once('/').map_or(NAMESPACE, |(namespace, _)| namespace)
    }

    /// The last segment, by which it is decided who may push.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }

    /// The agent whose versions this repository holds, if its name allows that.
    pub fn agent(&self) -> Option<AgentName> {
        let segments = self.0.split('/').count();
        AgentName::parse(self.last()).ok().filter(|_| segments <= AGENT_SEGMENTS_MAX)
    }
}

impl FromStr for Repository {
    type Err = NoRepository;

    fn from_str(text: &str) -> Result<Self, NoRepository> {
        match text.len() {
            length if length > REPOSITORY_BYTES_MAX => Err(NoRepository::TooLong(length)),
            _ if text.split('/').all(is_segment) => Ok(Self(text.into())),
            _ => Err(NoRepository::Malformed),
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_plain = [segment.bytes().next(), segment.bytes().last()].iter().all(|byte| byte.is_some_and(is_plain));
    let mut dividers = segment.split(|letter: char| u8::try_from(letter).is_ok_and(is_plain));
    ends_plain
        && dividers.all(|divider| matches!(divider, "" | "." | "_" | "__") || divider.bytes().all(|byte| byte == b'-'))
}

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version it names, if it is one, such as `1.2.3` or `1.2.3-rc.1`.
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.0).ok()
    }
}

impl FromStr for Tag {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        let is_first = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let is_legal = text.len() <= TAG_BYTES_MAX
            && text.as_bytes().first().is_some_and(is_first)
            && text.bytes().all(|byte| is_first(&byte) || byte == b'.' || byte == b'-');
        if is_legal { Ok(Self(text.into())) } else { Err(NoReference) }
    }
}

impl FromStr for Reference {
    type Err = NoReference;

    /// A text with a colon can only be a digest.
    fn from_str(text: &str) -> Result<Self, NoReference> {
        match text.parse() {
            Ok(digest) => Ok(Self::Digest(digest)),
            Err(_) => text.parse().map(Self::Tag),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(out),
            Self::Digest(digest) => digest.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests;
