//! What the manifest fixes, and no edit of the document can exceed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{AgentSpec, Manifest, RESERVE_BYTES_DEFAULT};

/// The manifest's caps, by agent.
#[derive(Debug, Default)]
pub struct Ceilings {
    by_agent: BTreeMap<String, AgentSpec>,
    /// Of all others, which were published.
    published: Option<AgentSpec>,
}

impl Ceilings {
    pub fn new(manifest: &Manifest) -> Self {
        let agents = manifest.agents.iter().map(|(name, spec)| (name.as_str().to_owned(), spec.clone()));
        Self { by_agent: agents.collect(), published: Some(manifest.published.clone()) }
    }

    /// Whether the manifest has this agent.
    pub fn has(&self, agent: &str) -> bool {
        self.by_agent.contains_key(agent)
    }

    /// Whether an agent may have this value.
    ///
    /// # Errors
    ///
    /// What the manifest allows instead, as a sentence.
    pub fn check(&self, agent: &str, field: &str, value: &Value) -> Result<(), String> {
        let Some(spec) = self.by_agent.get(agent).or(self.published.as_ref()) else { return Ok(()) };
        let ceiling = match field {
            "memory" => spec.memory,
            "reserve" => spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT),
            "deadline" => spec.deadline.as_millis() as u64,
            "concurrency" => spec.concurrency.into(),
            "grants" => return granted(spec, value),
            _ => return Ok(()),
        };
        match value.as_u64() {
            Some(0) => {
                Err(format!("`{field}: 0` of agent `{agent}` would leave it nothing; `enabled: false` disables it"))
            }
            Some(wanted) if wanted > ceiling => {
                Err(format!("`{field}: {wanted}` of agent `{agent}` is more than the manifest's {ceiling}"))
            }
            _ => Ok(()),
        }
    }
}

/// A grant is always of the manifest's.
fn granted(spec: &AgentSpec, value: &Value) -> Result<(), String> {
    let paths = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    match paths.into_iter().find(|path| !spec.dirs.contains_key(*path)) {
        Some(path) => Err(format!("`grants`: the manifest grants no directory `{path}`")),
        None => Ok(()),
    }
}
