//! The one lock of the ledger, and the counter of its handles: std's, or loom's when loom explores the interleavings.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
