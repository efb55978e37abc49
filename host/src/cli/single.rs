//! One agent, alone: the manifest that `inspect`, `build` and `run` try it under, and data that vanishes with it.
//!
//! The agent's caps are those that a manifest gives by default, so that what works here works in production. The host's own
//! memory is the machine's: the first thing that a developer does with an agent is to compile it, which takes more than all
//! that it will ever use.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use tempfile::TempDir;

use super::{Stop, THIS_PROGRAM};
use crate::Host;
use crate::manifest::{AgentName, Manifest};
use crate::memory::Tenancy;

/// What an agent is called whose file has no name that would do.
const NAME_DEFAULT: &str = "agent";

/// What somebody may say of the one agent.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub component: &'a Path,
    /// Bytes of one call.
    pub memory: u64,
    pub dirs: &'a [Grant],
    pub listen: SocketAddr,
}

/// A directory the agent may read.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    guest: String,
    host: String,
}

/// The manifest of one agent.
#[derive(Debug)]
pub(super) struct Single {
    pub name: AgentName,
    pub manifest: Manifest,
    /// The host's data, gone when this is dropped.
    _data: TempDir,
}

impl Single {
    /// # Errors
    ///
    /// When there is no room for temporary data, or no host could serve such an agent.
    pub fn new(terms: &Terms<'_>) -> Result<Self, Stop> {
        let Terms { component, memory, dirs, listen } = terms;
        let name = name_of(component);
        let data = tempfile::Builder::new().prefix("stockade-").tempdir().context("no directory for temporary data")?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("the path is not UTF-8");
        let dirs: BTreeMap<&str, _> = dirs.iter().map(|it| (&*it.guest, json!({ "path": it.host }))).collect();
        // YAML is what a manifest is written in, and JSON is YAML.
        let manifest = json!({
            "listen": listen,
            "admin": "127.0.0.1:0",
            "data": text(data.path())?,
            "agents": { name.as_str(): { "component": text(component)?, "memory": memory, "dirs": dirs } },
        });
        let manifest = Manifest::parse(&manifest.to_string(), Path::new(".")).map_err(|errors| {
            // There is no such file, so neither its name nor a line of it would help.
            let problems = errors.problems().iter();
            let told: Vec<_> = problems.map(|problem| format!("{}; {}", problem.message, problem.suggestion)).collect();
            Stop::Usage(told.join("\n"))
        })?;
        Ok(Self { name, manifest, _data: data })
    }

    /// Its host.
    pub fn host(&self) -> anyhow::Result<Host> {
        Host::new(&self.manifest, PathBuf::from(THIS_PROGRAM), Tenancy::Sole)
    }
}

impl FromStr for Grant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once('=') {
            Some((guest, host)) if !guest.is_empty() && !host.is_empty() => {
                Ok(Self { guest: guest.to_owned(), host: host.to_owned() })
            }
            _ => {
                Err(anyhow!("a grant is GUEST=HOST, such as /docs=./docs: the path the agent sees, and your directory"))
            }
        }
    }
}

/// The agent's name: the file's, as near as a name may come to it. Cargo writes `price-list` to `price_list.wasm`.
pub(super) fn name_of(component: &Path) -> AgentName {
    let stem = component.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    AgentName::nearest(stem).unwrap_or_else(|| AgentName::parse(NAME_DEFAULT).expect("it is a name"))
}
