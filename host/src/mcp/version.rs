//! The revisions of MCP that are served, and which of the two eras each one belongs to.

/// Every revision, newest first.
pub const SUPPORTED: [&str; 5] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The newest revision without `initialize`: each request says in its `_meta` what it speaks.
pub const MODERN: &str = SUPPORTED[0];

/// The newest revision with `initialize`; offered to a client that proposes one we do not know.
pub const NEWEST_LEGACY: &str = SUPPORTED[1];

/// What a request without the `MCP-Protocol-Version` header is taken for: the header came with 2025-06-18.
pub const WITHOUT_HEADER: &str = SUPPORTED[3];

/// The newest revision in which a POST may hold several messages.
pub const NEWEST_WITH_BATCHES: &str = SUPPORTED[3];

/// The oldest revision, with a transport of its own.
pub const OLDEST: &str = SUPPORTED[4];

/// How a revision says who speaks, and how it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Stateless; `_meta` on every request.
    Modern,
    /// Opened by `initialize`.
    Legacy,
}

/// A revision of the initialize era, if `name` is one.
pub fn legacy(name: &str) -> Option<&'static str> {
    SUPPORTED[1..].iter().copied().find(|known| *known == name)
}
