//! What is to be read, and what for.

/// How a resource is read.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where to begin: at this byte, which not every agent can, or at the start.
    pub offset: Option<u64>,
    /// Most bytes to read, and at least one.
    pub bytes: u64,
    pub use_as: Use,
}

/// What becomes of the bytes: decides how much is charged for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// They are sent as they are.
    Raw,
    /// They are written into JSON, as text or as base64, while they are still held.
    Encoded,
}

impl Plan {
    /// The whole resource, to be written as JSON.
    pub const WHOLE: Self = Self { offset: None, bytes: u64::MAX, use_as: Use::Encoded };
}

impl Use {
    /// Bytes to hold for a chunk of so many.
    pub(super) fn room(self, bytes: u64) -> u64 {
        match self {
            Self::Raw => bytes,
            // Four bytes for each three, begun or whole.
            Self::Encoded => bytes + bytes.div_ceil(3) * 4,
        }
    }
}
