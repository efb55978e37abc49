//! The name of an agent. Once parsed, it is legal in a URL path, a tool name, a URI scheme and a file name alike.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Bytes of an agent's name.
const NAME_BYTES_MAX: usize = 32;

/// Name of an agent: `[a-z][a-z0-9]*(-[a-z0-9]+)*`, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(Arc<str>);

/// Why a text cannot name an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no letters at all.
    #[error("an agent's name must not be empty")]
    Empty,
    /// It has this many bytes.
    #[error("an agent's name has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// It does not begin with a lower-case letter.
    #[error("an agent's name starts with a letter a-z, not with {0:?}")]
    Start(char),
    /// It holds something other than lower-case letters, digits and hyphens.
    #[error("an agent's name holds only a-z, 0-9 and single hyphens, not {0:?}")]
    Character(char),
    /// A hyphen at the end, or two in a row.
    #[error("a hyphen in an agent's name stands between letters or digits")]
    Hyphen,
}

impl AgentName {
    /// Reads a name.
    ///
    /// # Errors
    /// The first thing that makes it illegal.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        if !first.is_ascii_lowercase() {
            return Err(NameError::Start(first));
        }
        let legal = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if let Some(letter) = text.chars().find(|letter| !legal(*letter)) {
            return Err(NameError::Character(letter));
        }
        if text.ends_with('-') || text.contains("--") {
            return Err(NameError::Hyphen);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest legal name, if there is one worth offering: `My_Agent` becomes `my-agent`.
    pub fn nearest(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> =
            lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let joined = words.join("-");
        let begun = joined.trim_start_matches(|letter: char| !letter.is_ascii_lowercase());
        let short = begun.get(..NAME_BYTES_MAX).unwrap_or(begun).trim_end_matches('-');
        Self::parse(short).ok()
    }
}

impl FromStr for AgentName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Lets a map keyed by names be asked with a `&str`.
impl Borrow<str> for AgentName {
    fn borrow(&self) -> &str {
        &self.0
    }
}
