//! What an agent runs: a file of the operator's, or one of the versions that were published under its name.

use std::path::PathBuf;
use std::sync::Arc;

use super::cache::{Code, Digest};
use super::contract::Description;
use crate::manifest::{Address, AgentName, AgentSpec, Component};

/// A published version. Its bytes lie under their digest, where only the host writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// A semantic version without build metadata.
    pub version: Arc<str>,
    pub component: PathBuf,
    /// sha256 of the component, in hex.
    pub digest: String,
}

/// The component of one [`Agent`](super::Agent).
#[derive(Debug, Clone)]
pub(super) struct Release {
    /// What it is called among all that are loaded: the agent's name, and the version if it was published.
    pub key: Arc<str>,
    pub component: PathBuf,
    pub version: Option<Arc<str>>,
    /// The only bytes that will do, if it was published.
    pub digest: Option<Digest>,
}

impl Release {
    /// The operator's file, if that is what the agent is served from.
    pub fn of_file(agent: &AgentName, spec: &AgentSpec) -> Option<Self> {
        match &spec.component {
            Component::File(path) => {
                Some(Self { key: agent.as_str().into(), component: path.clone(), version: None, digest: None })
            }
            Component::Remote(remote, path) => {
                // In a registry it is the manifest that is pinned, whose layer was checked when it was pulled.
                let digest = matches!(remote.address, Address::Web(_)).then(|| Digest(remote.sha256.clone()));
                Some(Self { key: agent.as_str().into(), component: path.clone(), version: None, digest })
            }
            Component::Published => None,
        }
    }

    /// How good its code must be. What was published is to be served soon; the operator's own files are compiled for good.
    pub fn least(&self) -> Code {
        if self.version.is_some() { Code::Quick } else { Code::Fast }
    }

    /// Whether its file is still to be pulled.
    pub fn is_missing(&self, spec: &AgentSpec) -> bool {
        matches!(spec.component, Component::Remote(..)) && !self.component.is_file()
    }

    pub fn published(agent: &str, version: &Version) -> Self {
        let Version { version, component, digest } = version;
        Self {
            key: format!("{agent}@{version}").into(),
            component: component.clone(),
            version: Some(version.clone()),
            digest: Some(Digest(digest.clone())),
        }
    }

    /// What clients are told is its version: the one it was published as, else the one it says it has.
    pub fn version_of(&self, description: &Description) -> Arc<str> {
        self.version.clone().unwrap_or_else(|| description.version.as_str().into())
    }
}
