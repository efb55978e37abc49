//! What the process really uses, as the kernel counts it (design, Memory 7).
//!
//! Two figures: what this process and its children hold themselves, and what the control group that binds them has charged,
//! less the file cache that the kernel takes back by itself. The kernel kills by the second, whoever fills it, so the group
//! counts as far as it leaves less than `memory` to us. Only reads.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

/// Bytes read of a file in `/proc` or `/sys`.
const KERNEL_FILE_BYTES_MAX: u64 = 64 << 10;

/// The control group that binds this process tightest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlGroup {
    /// The file that holds its limit: `memory.max` of version 2, `memory.limit_in_bytes` of version 1.
    pub file: PathBuf,
    /// Its limit, in bytes.
    pub limit: u64,
}

/// Child processes whose memory counts as ours. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Children(Arc<Mutex<Vec<u32>>>);

/// A child that is counted until this is dropped.
#[derive(Debug)]
#[must_use = "a child that nobody names is not counted"]
pub struct Child {
    all: Children,
    id: u32,
}

impl Children {
    /// Counts the process of this id from now on.
    pub fn add(&self, id: u32) -> Child {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Child { all: self.clone(), id }
    }

    fn ids(&self) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.id);
    }
}

/// Memory in use at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Pages that this process and its children hold, without those of files.
    pub own: u64,
    /// What the control group has charged, less reclaimable file cache; none without a group that has a limit.
    pub group: Option<u64>,
    /// What counts against `memory`: the larger of `own` and what the group leaves us too little.
    pub used: u64,
}

/// Reads what is used.
#[derive(Debug)]
pub struct Meter {
    /// Where `proc` and `sys` are mounted.
    root: PathBuf,
    group: Option<Group>,
    children: Children,
}

#[derive(Debug)]
struct Group {
    usage: PathBuf,
    stat: PathBuf,
    /// Keys in `stat` of the file cache.
    cache: [&'static str; 2],
    /// What the group allows beyond `memory`: others may use that without taking anything from us.
    beyond: u64,
}

impl Meter {
    /// For a process that may use `memory` bytes.
    pub fn new(memory: u64, group: Option<&ControlGroup>, children: Children) -> Self {
        let group = group.map(|ControlGroup { file, limit }| {
            let version_2 = file.file_name().is_some_and(|name| name == "memory.max");
            let (usage, cache) = match version_2 {
                true => ("memory.current", ["active_file", "inactive_file"]),
                false => ("memory.usage_in_bytes", ["total_active_file", "total_inactive_file"]),
            };
            let beyond = limit.saturating_sub(memory);
            Group { usage: file.with_file_name(usage), stat: file.with_file_name("memory.stat"), cache, beyond }
        });
        Self { root: PathBuf::from("/"), group, children }
    }

    /// One that reads a tree of files laid out like the system's.
    #[cfg(test)]
    pub(super) fn below(root: &Path, memory: u64) -> Self {
        Self { root: root.to_owned(), ..Self::new(memory, None, Children::default()) }
    }

    /// Reads all figures.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say what this process uses. A group that has become unreadable is left out.
    pub fn read(&self) -> anyhow::Result<Measured> {
        let mut own = self.resident("self")?;
        for id in self.children.ids() {
            // It may have ended this moment.
            own += self.resident(&id.to_string()).unwrap_or_default();
        }
        let group = self.group.as_ref().and_then(|group| self.charged(group));
        let taken = self.group.as_ref().zip(group).map_or(0, |(group, bytes)| bytes.saturating_sub(group.beyond));
        Ok(Measured { own, group, used: own.max(taken) })
    }

    /// Address space that this process has mapped for writing and for itself (`VmData`), in bytes.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say.
    pub fn mapped(&self) -> anyhow::Result<u64> {
        let status = self.status("self")?;
        kib(&status, "VmData").context("/proc/self/status has no VmData")
    }

    fn status(&self, process: &str) -> anyhow::Result<String> {
        let file = self.root.join("proc").join(process).join("status");
        read(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Anonymous and shared pages of a process (proc(5), `/proc/pid/status`).
    fn resident(&self, process: &str) -> anyhow::Result<u64> {
        let status = self.status(process)?;
        let pages = kib(&status, "RssAnon").zip(kib(&status, "RssShmem"));
        let bytes = pages.map(|(anon, shared)| anon + shared);
        bytes.with_context(|| format!("/proc/{process}/status has no RssAnon"))
    }

    fn charged(&self, group: &Group) -> Option<u64> {
        let usage: u64 = read(&self.root.join(group.usage.strip_prefix("/").ok()?))?.trim().parse().ok()?;
        let stat = read(&self.root.join(group.stat.strip_prefix("/").ok()?))?;
        let cache: u64 = group.cache.iter().filter_map(|key| after(&stat, key, ' ')?.parse::<u64>().ok()).sum();
        Some(usage.saturating_sub(cache))
    }
}

/// A figure of `/proc/pid/status`, in bytes.
fn kib(status: &str, key: &str) -> Option<u64> {
    let kib: u64 = after(status, key, ':')?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// What stands behind a key, on a line of its own.
fn after<'a>(text: &'a str, key: &str, colon: char) -> Option<&'a str> {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(colon));
    found.map(str::trim)
}

/// A small file of the kernel's; none when it cannot be read.
pub(crate) fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file).ok()?.take(KERNEL_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests;
