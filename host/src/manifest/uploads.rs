//! Bounds of what publishers push: uploads, and what is kept of them.

use std::time::Duration;

use super::table::{Setting, Table};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

/// No disk has more.
const DISK_MAX: u64 = 1 << 50;

/// Largest blob that may be configured.
const BLOB_MAX: u64 = 16 * G;

/// Largest manifest that may be configured: it is read as a whole.
const MANIFEST_MAX: u64 = 4 * M;

/// Longest and shortest time that anything is kept which nobody uses.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);
const TIME_MIN: Duration = Duration::from_millis(100);

/// Bounds of what publishers push.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// Bytes of one blob.
    pub blob_bytes_max: u64,
    /// Bytes of a component that is published as a version.
    pub component_bytes_max: u64,
    /// Bytes of one manifest.
    pub manifest_bytes_max: u64,
    /// Uploads open at once.
    pub open: u32,
    /// Time after which an upload that nobody continues is removed.
    pub idle: Duration,
    /// Bytes on disk of all that was pushed, uploads included.
    pub disk: u64,
    /// Bytes of what the repositories below one namespace hold.
    pub namespace_disk: u64,
    /// Repositories.
    pub repositories: u32,
    /// Tags of one repository.
    pub tags: u32,
    /// Manifests of one repository.
    pub manifests: u32,
    /// Versions of one agent.
    pub versions: u32,
    /// How long a blob is kept that no manifest of its repository names.
    pub grace: Duration,
}

pub(super) fn check(mut table: Table<'_>) -> UploadLimits {
    let times = TIME_MIN..=TIME_MAX;
    let blob = table.size("blob_bytes_max", Setting::default(64 * M), K..=BLOB_MAX);
    let component = table.size("component_bytes_max", Setting::default(24 * M), 4 * K..=256 * M);
    let limits = UploadLimits {
        blob_bytes_max: blob.value,
        component_bytes_max: component.value,
        manifest_bytes_max: table.size("manifest_bytes_max", Setting::default(4 * M), K..=MANIFEST_MAX).value,
        open: table.count("open", Setting::default(64), 1..=10_000).value,
        idle: table.time("idle", Setting::default(Duration::from_secs(600)), times.clone()).value,
        disk: table.size("disk", Setting::default(8 * G), M..=DISK_MAX).value,
        namespace_disk: table.size("namespace_disk", Setting::default(2 * G), 64 * K..=DISK_MAX).value,
        repositories: table.count("repositories", Setting::default(20_000), 1..=1_000_000).value,
        tags: table.count("tags", Setting::default(10_000), 1..=100_000).value,
        manifests: table.count("manifests", Setting::default(20_000), 1..=1_000_000).value,
        versions: table.count("versions", Setting::default(1_000), 1..=10_000).value,
        grace: table.time("grace", Setting::default(Duration::from_secs(3_600)), times).value,
    };
    table.end();
    limits
}
