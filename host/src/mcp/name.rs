//! Names across agents, and the cursors of lists.
//!
//! Owns the one mapping between what an agent calls its things and what a client sees: on the common endpoint
//! `agent__tool` and `agent+uri`, on an agent's own endpoint the plain name. An agent's name has neither `_` nor `+`,
//! so the first of them always ends it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

/// Between an agent's name and the name of its tool or prompt.
const NAME_MARK: &str = "__";

/// Between an agent's name and a URI.
const URI_MARK: &str = "+";

/// Bytes of a tool's or prompt's name as a client sees it.
const NAME_BYTES_MAX: usize = 64;

/// Bytes of a cursor as clients see it. An agent's own is at most half as long, before it is encoded.
const CURSOR_BYTES_MAX: usize = 8 << 10;

/// How names are shown on one endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The agent to put before each name; none on its own endpoint.
    pub agent: Option<&'a str>,
}

/// A name as clients see it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    agent: Option<&'a str>,
    mark: &'static str,
    name: &'a str,
}

impl<'a> Names<'a> {
    pub fn name(self, name: &'a str) -> Shown<'a> {
        Shown { agent: self.agent, mark: NAME_MARK, name }
    }

    pub fn uri(self, uri: &'a str) -> Shown<'a> {
        Shown { agent: self.agent, mark: URI_MARK, name: uri }
    }

    /// Why a tool or prompt cannot be offered under this name.
    pub fn refuses(self, name: &str) -> Option<&'static str> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
        let shown = name.len() + self.agent.map_or(0, |agent| agent.len() + NAME_MARK.len());
        if name.is_empty() || !name.bytes().all(is_allowed) {
            Some("a name is made of A-Z a-z 0-9 _ . / -")
        } else if shown > NAME_BYTES_MAX {
            Some("with the agent's name before it, it is longer than 64 bytes")
        } else {
            None
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(agent) = self.agent {
            out.write_str(agent)?;
            out.write_str(self.mark)?;
        }
        out.write_str(self.name)
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.agent {
            None => serializer.serialize_str(self.name),
            Some(_) => serializer.collect_str(self),
        }
    }
}

/// `agent__tool` -> the agent and its name for the tool.
pub fn split_name(shown: &str) -> Option<(&str, &str)> {
    shown.split_once(NAME_MARK)
}

/// `agent+uri` -> the agent and its URI.
pub fn split_uri(shown: &str) -> Option<(&str, &str)> {
    shown.split_once(URI_MARK)
}

/// Where a list goes on: at an agent, and there at the agent's own cursor. Says all by itself, so it survives a restart
/// and agents that come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Which list it belongs to.
    pub list: char,
    pub agent: String,
    /// None: from the agent's beginning.
    pub at: Option<String>,
}

/// First character of every cursor of this shape.
const CURSOR_VERSION: char = '1';

impl Cursor {
    /// Opaque to clients.
    pub fn encode(&self) -> String {
        let mut text = format!("{CURSOR_VERSION}{}{}", self.list, self.agent);
        if let Some(at) = &self.at {
            text.push_str(URI_MARK);
            text.push_str(at);
        }
        URL_SAFE_NO_PAD.encode(text)
    }

    /// None for what was never a cursor of `list`.
    pub fn decode(encoded: &str, list: char) -> Option<Self> {
        if encoded.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
        let rest = text.strip_prefix(CURSOR_VERSION)?.strip_prefix(list)?;
        let (agent, at) = match rest.split_once(URI_MARK) {
            None => (rest, None),
            Some((agent, at)) => (agent, Some(at.to_owned())),
        };
        (!agent.is_empty()).then(|| Self { list, agent: agent.to_owned(), at })
    }
}

#[cfg(test)]
mod tests;
