//! What a client said of itself when it began its session.

use std::sync::Arc;

use crate::access::Principal;
use crate::mcp::Scope;

/// Bytes of the names of a client's capabilities that are remembered; the rest are forgotten.
const CAPABILITIES_BYTES_MAX: usize = 256;

/// Between two names.
const SEPARATOR: char = '\n';

/// A client of this era.
#[derive(Debug, Clone)]
pub struct Client {
    pub principal: Arc<Principal>,
    /// The endpoint at which it began; its session is good for no other.
    pub scope: Scope,
    /// The revision that was agreed on.
    pub version: &'static str,
    /// Names of its capabilities in one text, since ten thousand clients may have to be remembered.
    pub capabilities: Box<str>,
}

impl Client {
    /// Names of capabilities as they are remembered.
    pub fn remembered(names: &[String]) -> Box<str> {
        let mut kept = String::new();
        for name in names.iter().filter(|name| !name.contains(SEPARATOR)) {
            if kept.len() + name.len() < CAPABILITIES_BYTES_MAX {
                kept.extend((!kept.is_empty()).then_some(SEPARATOR));
                kept.push_str(name);
            }
        }
        kept.into()
    }

    /// The names, each on its own.
    pub fn capability_names(&self) -> Vec<String> {
        self.capabilities.split(SEPARATOR).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}
