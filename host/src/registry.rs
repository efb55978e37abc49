//! The typed view of the registry: which agents there are, and under which caps each one runs.
//!
//! Filled from the manifest. Callers see only [`Entry`] and [`Registry`], so that where the entries come from can change
//! without them. Never knows how an agent runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{AgentName, AgentSpec, Manifest};

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

    /// All entries, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}
