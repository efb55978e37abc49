//! What can change, and how it is named.

use std::sync::Arc;

/// A resource somebody wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    /// Empty for what is the host's own.
    pub agent: Arc<str>,
    /// As the agent knows it.
    pub uri: Arc<str>,
}

impl Topic {
    /// Something of the host's own.
    pub fn of_host(uri: &str) -> Self {
        Self { agent: "".into(), uri: uri.into() }
    }

    pub fn is_of_host(&self) -> bool {
        self.agent.is_empty()
    }
}

/// Which lists have changed, or are listened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u8);

/// What a listener wants of lists.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    pub kinds: Kinds,
    /// Of this agent; of all without one.
    pub agent: Option<Arc<str>>,
}

/// What has changed since a listener was told last.
#[derive(Debug, Default)]
pub struct Marks {
    pub kinds: Kinds,
    pub resources: Vec<Topic>,
}

impl Kinds {
    pub const TOOLS: Self = Self(1);
    pub const PROMPTS: Self = Self(2);
    pub const RESOURCES: Self = Self(4);
    pub const ALL: Self = Self(7);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
