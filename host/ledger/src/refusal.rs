//! Why bytes were not lent: a value for callers to branch on, and a line for operators to read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::books::ROOT_NAME;

/// The answer when bytes do not fit. Nothing was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The account that refused: the one that was asked, one above it, or `memory` for the root.
    pub account: Arc<str>,
    /// Bytes that were asked for.
    pub wanted: u64,
    /// Bytes that `account` had lent at that moment; for `memory`, guarantees included.
    pub used: u64,
    /// Bytes that `account` may lend at most.
    pub limit: u64,
    /// Whether asking again later can help.
    pub kind: RefusalKind,
}

/// Whether a refused request is worth repeating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// It would not fit even if nobody else held a byte: above the limit itself or, at the root, above the limit less
    /// what other accounts are guaranteed. Growth counts with what the charge already holds.
    Never,
    /// It would fit if others gave bytes back.
    FullNow,
}

impl Refusal {
    /// Whether the root refused: then bytes that any account gives back can help.
    pub fn is_by_root(&self) -> bool {
        &*self.account == ROOT_NAME
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { account, wanted, used, limit, kind } = self;
        let state = match kind {
            RefusalKind::Never => "is too small",
            RefusalKind::FullNow => "is full",
        };
        write!(out, "`{account}` {state}: wanted {wanted} bytes, used {used} of {limit}")
    }
}

impl Error for Refusal {}
