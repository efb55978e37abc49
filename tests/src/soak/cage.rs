//! A control group with a memory limit, below the one this process is in: what a container is, as far as memory goes.
//!
//! Needs the right to make one, which root in a container often has. Owns the group, and removes it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// A group with a limit. Dropping it removes it, once its processes have ended.
#[derive(Debug)]
pub struct Cage {
    folder: PathBuf,
}

impl Cage {
    /// # Errors
    ///
    /// When there is no memory controller here, or no right to make a group.
    pub fn new(bytes: u64) -> Result<Self> {
        let (parent, limit) = own_group()?;
        let folder = parent.join(format!("stockade-soak-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let cage = Self { folder };
        let limited = fs::write(cage.folder.join(limit), bytes.to_string());
        limited.with_context(|| format!("cannot set {limit}"))?;
        Ok(cage)
    }

    /// The file that a process enters the group by.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Processes that the kernel has killed for the limit's sake.
    ///
    /// # Errors
    ///
    /// When the group does not say.
    pub fn kills(&self) -> Result<u64> {
        let read = |file: &str| fs::read_to_string(self.folder.join(file));
        let events = read("memory.events").or_else(|_| read("memory.oom_control")).context("the group says nothing")?;
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).context("no count of kills")?;
        Ok(kills.trim().parse()?)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{} is left: {error}", self.folder.display());
        }
    }
}

/// The group this process is in, and the file of its limit: of version 1 if memory is there, else of version 2.
fn own_group() -> Result<(PathBuf, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup").context("no control groups here")?;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let below = |mount: &str| Path::new(mount).join(group.trim_start_matches('/'));
        let found = match controllers {
            "" => (below("/sys/fs/cgroup"), "memory.max"),
            _ if controllers.split(',').any(|each| each == "memory") => {
                (below("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        if found.0.join("cgroup.procs").exists() && (found.1 != "memory.max" || found.0.join("memory.stat").exists()) {
            return Ok(found);
        }
    }
    bail!("no control group that limits memory is mounted where this process could make one")
}
