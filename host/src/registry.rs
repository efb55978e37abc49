//! The registry: which agents there are, and under which caps each one runs.
//!
//! The manifest names the agents that the operator has; the document `@mcp.registry` says what of them is served, and how.
//! The only room that names yrs, and redb.
//!
//! # Layout, from a client of the document inwards
//!
//! - `sync`: one client's protocol. `outbox`: what waits for it. `presence`: what clients say of themselves.
//! - `live`: the handle that all rooms have, and what the document's thread and its clients share.
//! - `owner`: the thread that has the document. `store`: the document on disk.
//! - `document`: the document itself, behind the gate. `record`: what it says. `schema`: what it may say, and who.
//!   `ceilings`: what the manifest fixes. `cleanup`: retired entries, removed.
//!
//! Invariant: nobody is told what is not stored.

mod ceilings;
mod cleanup;
mod document;
#[doc(hidden)]
pub mod fuzz;
mod live;
mod outbox;
mod owner;
mod pace;
mod presence;
mod record;
pub mod schema;
mod store;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{AgentName, AgentSpec, Manifest};
pub use document::Refused;
pub use live::{Handle, Paying, View};
pub use outbox::Next;
pub use owner::Failed;
pub use record::Record;
pub use sync::{Close, Outgoing, Session};

/// Name of the document, as clients know it.
pub const DOCUMENT: &str = "@mcp.registry";

/// URIs of agents' entries begin so, towards clients of MCP (a URN of RFC 8141).
pub const URI: &str = "urn:mcp:agent/";

/// The URI of an agent's entry.
pub fn uri(agent: &str) -> String {
    format!("{URI}{agent}")
}

/// One registered agent.
#[derive(Debug)]
pub struct Entry {
    pub name: AgentName,
    /// Caps and grants in force.
    pub spec: AgentSpec,
}

/// Every registered agent, by name.
#[derive(Debug, Clone)]
pub struct Registry {
    entries: Arc<BTreeMap<AgentName, Arc<Entry>>>,
}

impl Registry {
    /// The view that the manifest alone gives.
    pub fn from_manifest(manifest: &Manifest) -> Self {
        let entry = |(name, spec): (&AgentName, &AgentSpec)| {
            (name.clone(), Arc::new(Entry { name: name.clone(), spec: spec.clone() }))
        };
        Self { entries: Arc::new(manifest.agents.iter().map(entry).collect()) }
    }

    /// Whether the manifest has this agent.
    pub fn has(&self, name: &AgentName) -> bool {
        self.entries.contains_key(name)
    }

    /// All entries, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}
