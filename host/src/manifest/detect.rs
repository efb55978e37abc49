//! How much memory this process may use, when the manifest does not say.
//!
//! Asks, in this order, the control groups (version 2, then 1), `MEMORY_LIMIT` as Cloud Foundry sets it, and the
//! machine; the smallest answer counts, since each of them is enforced. Only reads, and never fails: what
//! cannot be read is no limit.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::size;
use crate::memory::{ControlGroup, read_kernel_file};

/// A control group of version 1 that has no limit says more than this.
const UNLIMITED: u64 = 1 << 60;

/// Where the memory limit was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemorySource {
    /// The key `memory`.
    Manifest,
    /// This file of a control group.
    ControlGroup(PathBuf),
    /// The variable `MEMORY_LIMIT`.
    Environment,
    /// The machine's physical memory.
    Machine,
}

impl fmt::Display for MemorySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => out.write_str("the manifest"),
            Self::ControlGroup(file) => write!(out, "the container's limit in {}", file.display()),
            Self::Environment => out.write_str("the variable MEMORY_LIMIT"),
            Self::Machine => out.write_str("the machine's physical memory"),
        }
    }
}

/// What the process can see of its limits.
pub(super) struct Surroundings {
    /// Where `proc` and `sys` are mounted.
    pub root: PathBuf,
    /// The variable `MEMORY_LIMIT`.
    pub memory_limit: Option<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Self {
        Self { root: PathBuf::from("/"), memory_limit: std::env::var("MEMORY_LIMIT").ok() }
    }

    /// The smallest limit in force; none on a system that tells nothing.
    pub fn limit(&self) -> Option<(u64, MemorySource)> {
        let groups = self.control_group().map(|group| (group.limit, MemorySource::ControlGroup(group.file)));
        let variable = self.variable().map(|bytes| (bytes, MemorySource::Environment));
        let machine = self.machine().map(|bytes| (bytes, MemorySource::Machine));
        // Of equals the first is kept.
        [groups, variable, machine].into_iter().flatten().min_by_key(|(bytes, _)| *bytes)
    }

    /// The one with the smallest limit among the process's control groups and their parents, which bind it just as well.
    pub fn control_group(&self) -> Option<ControlGroup> {
        let groups = self.read(Path::new("proc/self/cgroup"))?;
        let limits = groups.lines().filter_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, group) = line.split_once(':')?;
            if controllers.is_empty() {
                self.smallest(Path::new("sys/fs/cgroup"), group, "memory.max")
            } else if controllers.split(',').any(|controller| controller == "memory") {
                self.smallest(Path::new("sys/fs/cgroup/memory"), group, "memory.limit_in_bytes")
            } else {
                None
            }
        });
        let (limit, file) = limits.min_by_key(|(bytes, _)| *bytes)?;
        Some(ControlGroup { file, limit })
    }

    /// Walks from a group up to the mount. A container often sees its group only as the mount itself, under another
    /// name than `/proc` tells, so folders that are not there are passed over.
    fn smallest(&self, mount: &Path, group: &str, file: &str) -> Option<(u64, PathBuf)> {
        let inside: PathBuf =
            Path::new(group).components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let files = inside.ancestors().map(|group| mount.join(group).join(file));
        let limits = files.filter_map(|file| Some((self.read(&file)?.trim().parse().ok()?, Path::new("/").join(file))));
        // Without a limit, version 2 says `max`, which is no number; version 1 gives a number larger than any machine.
        let limits = limits.filter(|(bytes, _)| *bytes < UNLIMITED);
        limits.min_by_key(|(bytes, _)| *bytes)
    }

    /// Cloud Foundry writes `512m` or `1g`, in binary units.
    fn variable(&self) -> Option<u64> {
        let text = self.memory_limit.as_ref()?.to_ascii_uppercase();
        size::parse(text.strip_suffix('B').unwrap_or(&text)).ok().filter(|bytes| *bytes > 0)
    }

    fn machine(&self) -> Option<u64> {
        let table = self.read(Path::new("proc/meminfo"))?;
        let line = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1 << 10)
    }

    fn read(&self, file: &Path) -> Option<String> {
        read_kernel_file(&self.root.join(file))
    }
}
