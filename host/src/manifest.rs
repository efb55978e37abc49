//! The operator's file: raw YAML in, one checked [`Manifest`] out.
//!
//! Owns the meaning of every key, its default and its bounds. After [`Manifest::load`] has returned, nothing else in
//! the host asks whether a setting makes sense. Never reads anything but the file it is given and what that file names.
//!
//! ```text
//! text -> raw (a tree with places) -> table (keys, types, bounds) -> check (what must hold between keys) -> Manifest
//! ```
//!
//! Nothing stops at the first mistake: every stage notes a [`Problem`] and goes on, so that one start shows them all.

mod agents;
mod check;
mod detect;
mod document;
mod name;
mod network;
mod problem;
mod raw;
mod remote;
mod signatures;
mod similar;
pub mod size;
mod table;
mod text;
mod time;
mod tokens;
mod transports;
mod uploads;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use agents::AGENTS_MAX;
pub use detect::MemorySource;
pub use document::DocumentLimits;
pub use name::{AgentName, NameError};
pub use network::parse_address;
pub use problem::{ManifestErrors, Place, Problem};
pub use remote::{Address, Remote};
pub use signatures::{Key, SignatureMode, Signatures};
pub use tokens::{NamePattern, Role, TOKEN_PREFIX, TOKENS_MAX, TokenHash, TokenSpec, parse_token_name};
pub use transports::Transports;
pub use uploads::UploadLimits;

use crate::memory::{ControlGroup, Thresholds};
use detect::Surroundings;
use problem::Findings;

/// Bytes of a manifest. A thousand agents with every key written out take a third of it.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a length of time as the manifest has it, such as `5s`.
///
/// # Errors
///
/// How it should have been written.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    time::parse(text)
}

/// Everything an operator decides, checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Bytes the whole process may use; from the file, else the container's limit, else physical memory.
    pub memory: u64,
    /// Where [`memory`](Self::memory) was found.
    pub memory_source: MemorySource,
    /// The control group that limits this process, whatever the file says.
    pub control_group: Option<ControlGroup>,
    /// Where MCP clients connect.
    pub listen: SocketAddr,
    /// Where operators connect; loopback unless said otherwise.
    pub admin: SocketAddr,
    /// Host names (without port) that requests may carry besides loopback ones; lower case.
    pub hosts: Vec<String>,
    /// Origins of browser pages that may call, such as `https://app.example.org`; as browsers write them.
    pub origins: Vec<String>,
    /// Who may call with a token, by name; without any, everybody on this machine may.
    pub tokens: BTreeMap<Arc<str>, TokenSpec>,
    /// Directory of the host's own data, canonical; created when missing.
    pub data: PathBuf,
    /// Levels of memory use at which the host acts.
    pub pressure: Thresholds,
    /// Whether the kernel is told to end this process, should all else fail.
    pub fuse: Fuse,
    /// Bounds of the HTTP side.
    pub http: HttpLimits,
    /// Bounds of what clients may keep open.
    pub transports: Transports,
    /// Bounds of the registry's document.
    pub document: DocumentLimits,
    /// Who vouches for what is published.
    pub signatures: Signatures,
    /// Bounds of what publishers push.
    pub uploads: UploadLimits,
    /// Bounds of compiling and of compiled code.
    pub compile: CompileLimits,
    /// Longest time a stop waits for running calls.
    pub drain: Duration,
    /// Shape of the log lines.
    pub log: LogFormat,
    /// The agents, by name.
    pub agents: BTreeMap<AgentName, AgentSpec>,
    /// The caps of agents that are published under names the manifest does not have: its `defaults`, and no grants.
    pub published: AgentSpec,
    /// What is allowed but probably not meant; to be logged at start.
    pub warnings: Vec<Problem>,
}

/// Bounds of the HTTP side: what a client may send, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Open connections.
    pub connections: u32,
    /// Requests being answered at once, over all connections.
    pub in_flight: u32,
    /// Bytes of a request body.
    pub body: u64,
    /// Bytes of a request's header lines.
    pub headers: u64,
    /// Time for all header lines to arrive, and longest idle time of a kept-alive connection.
    pub header_wait: Duration,
    /// Time for a whole body to arrive.
    pub body_wait: Duration,
    /// Nesting of a JSON body.
    pub depth: u32,
    /// Values (numbers, strings, literals, objects, arrays) in a JSON body.
    pub elements: u32,
    /// Bytes of a reply's body, if it is collected before it is sent.
    pub reply: u64,
    /// Bytes of a resource, which is sent while it is read.
    pub stream_bytes_max: u64,
    /// Time without any byte of a reply taken by the client.
    pub stream_stall: Duration,
    /// Results kept for whoever asks next, where their agents allow it; none at 0.
    pub kept: u32,
}

/// Bounds of compiling a component, which happens in a child process, and of keeping the result.
#[derive(Debug, Clone, Copy)]
pub struct CompileLimits {
    /// Memory of the child; it gets less when the ledger has less.
    pub memory: u64,
    /// CPU time of the child.
    pub cpu: Duration,
    /// Bytes of the compiled file.
    pub output: u64,
    /// Bytes of a component's file.
    pub component: u64,
    /// Components kept loaded; beyond it the least recently used is unmapped.
    pub loaded: u32,
}

/// The last fuse: see `memory::fuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuse {
    /// Where no control group limits this process.
    Auto,
    On,
    Off,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Cap of one call, unless the manifest says otherwise.
pub const CALL_MEMORY_BYTES_DEFAULT: u64 = 64 << 20;

/// Guest memory a call is guaranteed, unless the manifest or the component asks for more.
pub const RESERVE_BYTES_DEFAULT: u64 = 2 << 20;

/// One agent's component and caps, with the manifest's `defaults` filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// Where its component comes from.
    pub component: Component,
    /// Cap of one call: bytes of all its linear memories and tables.
    pub memory: u64,
    /// Bytes granted before a call starts; `None` is the larger of 2 MiB and the component's declared initial memory.
    pub reserve: Option<u64>,
    /// Wall clock of one guest call.
    pub deadline: Duration,
    /// CPU time of one guest call.
    pub cpu: Duration,
    /// Longest wait for a turn.
    pub queue_wait: Duration,
    /// Calls that may wait for a turn.
    pub queue: u32,
    /// Bytes the host may copy out of the guest for one result or chunk.
    pub copies: u64,
    /// Calls running at once.
    pub concurrency: u32,
    /// Its share of turns when there is not enough for all, beside those of other agents.
    pub weight: u32,
    /// Directories the agent sees, by the path it sees them under.
    pub dirs: BTreeMap<String, DirGrant>,
}

/// Where an agent's component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    /// The operator's own file.
    File(PathBuf),
    /// Whoever publishes it.
    Published,
    /// Elsewhere; and the file it is in once it was pulled.
    Remote(Remote, PathBuf),
}

impl std::fmt::Display for Component {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::Published => out.write_str(PUBLISHED),
            Self::Remote(remote, _) => remote.fmt(out),
        }
    }
}

/// Directory below the host's data where components are that were pulled.
pub const PULLED: &str = "pulled";

/// What the manifest says instead of a component's path where publishers bring it.
const PUBLISHED: &str = "published";

/// A granted directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// Canonical path on the host.
    pub path: PathBuf,
    /// What the agent may do there.
    pub access: Access,
}

/// What an agent may do with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// List and read.
    Read,
    /// Also create, change and delete.
    Write,
}

/// What the command line and the environment say; each beats the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `PORT`, which means `0.0.0.0:PORT`; `--listen` beats it.
    pub port: Option<u16>,
    /// `--admin`.
    pub admin: Option<SocketAddr>,
    /// `--data`, relative to the current directory.
    pub data: Option<PathBuf>,
}

impl Manifest {
    /// Reads and checks a manifest. Paths in it are relative to its own folder.
    ///
    /// # Errors
    /// Everything that is wrong with the file, together.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ManifestErrors> {
        let text = text::read(path).map_err(|fault| Findings::new(path, "").only(fault))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::check(path, &text, folder, overrides, &Surroundings::here())
    }

    /// Checks a manifest's text; `folder` is what its paths are relative to.
    ///
    /// # Errors
    /// Everything that is wrong with the text, together.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ManifestErrors> {
        Self::check(Path::new("manifest.yaml"), text, folder, &Overrides::default(), &Surroundings::here())
    }

    fn check(
        file: &Path,
        text: &str,
        folder: &Path,
        overrides: &Overrides,
        surroundings: &Surroundings,
    ) -> Result<Self, ManifestErrors> {
        let findings = Findings::new(file, text);
        let root = raw::parse(text).map_err(|fault| findings.only(fault))?;
        let manifest = check::manifest(&root, folder, overrides, surroundings, &findings);
        let warnings = findings.settle()?;
        Ok(Self { warnings, ..manifest })
    }
}
