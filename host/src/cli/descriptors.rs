//! File descriptors: how many this process may have open, and how many the manifest needs.

use std::fmt;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::manifest::Manifest;

/// Descriptors beside clients' connections: listeners, operators, connections that are only refused, components and
/// compiled code being read, the compiling child's pipes, the log.
const OTHERS: u64 = 256;

/// The limit in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// Of this process now.
    pub soft: Bound,
    /// What it may raise that to.
    pub hard: Bound,
}

/// A number, or none: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound(pub Option<u64>);

impl Descriptors {
    pub fn now() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Self { soft: Bound(current), hard: Bound(maximum) }
    }

    /// Raises the limit as far as an unprivileged process may.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub fn raise() -> anyhow::Result<Self> {
        let Self { soft, hard } = Self::now();
        if soft != hard {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: hard.0, maximum: hard.0 });
            raised.with_context(|| format!("cannot raise the limit of open files from {soft} to {hard}"))?;
        }
        Ok(Self { soft: hard, hard })
    }

    /// What is missing even once it is raised, in words.
    pub fn shortage(self, manifest: &Manifest) -> Option<String> {
        let needed = needed(manifest);
        let hard = self.hard.0.filter(|hard| *hard < needed)?;
        Some(format!(
            "`http.connections` of {} need {needed} open files, and this process may have {hard}: raise the limit \
             (`ulimit -Hn`, systemd's LimitNOFILE), or lower `http.connections` to {}",
            manifest.http.connections,
            hard.saturating_sub(needed - u64::from(manifest.http.connections)).max(1)
        ))
    }
}

/// Descriptors that are open when every client the manifest allows is connected; each call also opens the directories
/// that its agent sees, each upload and each blob on its way has a file.
pub(super) fn needed(manifest: &Manifest) -> u64 {
    let directories = |spec: &crate::manifest::AgentSpec| u64::from(spec.concurrency) * spec.dirs.len() as u64;
    let published = u64::from(manifest.uploads.open) + u64::from(manifest.http.in_flight);
    u64::from(manifest.http.connections) + published + manifest.agents.values().map(directories).sum::<u64>() + OTHERS
}

impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(out),
            None => out.write_str("any number"),
        }
    }
}
