//! The registry's document under load: edits, sockets, and hosts that are killed.

pub mod caps;
pub mod churn;
pub mod crash;
pub mod gate;
pub mod many;
pub mod sockets;
pub mod waves;

use anyhow::{Context as _, Result};
use std::path::Path;

/// The token of whoever looks after the host with this data directory.
pub(super) fn operator(data: &Path) -> Result<String> {
    let token = std::fs::read_to_string(data.join("operator.token")).context("the host has made a token")?;
    Ok(token.trim().to_owned())
}
