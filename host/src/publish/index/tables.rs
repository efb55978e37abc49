//! The tables of the index, and what stands in their rows.
//!
//! Times are milliseconds since 1970. Digests are written as OCI writes them.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::publish::digest::Digest;

/// Repository -> when it was made, links, manifests, tags, and who made it.
pub const REPOSITORIES: TableDefinition<'_, &str, (u64, u64, u64, u64, &str)> = TableDefinition::new("repositories");

/// Namespace -> bytes that its repositories hold.
pub const NAMESPACES: TableDefinition<'_, &str, u64> = TableDefinition::new("namespaces");

/// Bytes that all of it takes on disk.
pub const TOTAL: TableDefinition<'_, (), u64> = TableDefinition::new("total");

/// Blob -> bytes, repositories that it is in, and since when it is in none, if so.
pub const BLOBS: TableDefinition<'_, &str, (u64, u64, u64)> = TableDefinition::new("blobs");

/// Repository and blob -> bytes, manifests of the repository that need it, and since when none does, if so.
pub const LINKS: TableDefinition<'_, (&str, &str), (u64, u64, u64)> = TableDefinition::new("links");

/// Links that no manifest needs, the oldest first.
pub const IDLE: TableDefinition<'_, (u64, &str, &str), ()> = TableDefinition::new("idle");

/// Blobs that are in no repository, the oldest first.
pub const LOOSE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("loose");

/// Repository and manifest -> its [`Record`], as JSON.
pub const MANIFESTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("manifests");

/// Repository and tag -> manifest.
pub const TAGS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("tags");

/// Repository, subject and referrer.
pub const REFERRERS: TableDefinition<'_, (&str, &str, &str), ()> = TableDefinition::new("referrers");

/// Bytes that a row counts for beside what stands in it: its pages, and a file's last block.
pub const ROW_BYTES: u64 = 4 << 10;

/// What is known of a manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub media_type: String,
    pub size: u64,
    /// What it is about, if it refers to another manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What a referrer is: its `artifactType`, else the type of its config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Of a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// What it needs of its repository; nothing stands here twice.
    pub needs: Vec<Need>,
}

/// A blob or a manifest that another manifest needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Need {
    pub digest: String,
    pub size: u64,
    /// Whether it must be a manifest.
    pub is_manifest: bool,
}

/// What a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub created: u64,
    pub links: u64,
    pub manifests: u64,
    pub tags: u64,
    /// Who pushed to it first.
    pub owner: String,
}

impl Counts {
    pub fn of(row: (u64, u64, u64, u64, &str)) -> Self {
        let (created, links, manifests, tags, owner) = row;
        Self { created, links, manifests, tags, owner: owner.to_owned() }
    }

    pub fn row(&self) -> (u64, u64, u64, u64, &str) {
        (self.created, self.links, self.manifests, self.tags, &self.owner)
    }

    pub fn is_empty(&self) -> bool {
        (self.links, self.manifests, self.tags) == (0, 0, 0)
    }
}

/// Bytes that a file takes on disk, in whole blocks.
pub fn on_disk(bytes: u64) -> u64 {
    bytes.next_multiple_of(ROW_BYTES)
}

/// Reads a digest that stands in a row.
pub fn stored(digest: &str) -> Digest {
    digest.parse().expect("only digests were written there")
}
