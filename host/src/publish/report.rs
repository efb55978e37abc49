//! What a publisher is told of a version that was taken.

use std::time::Duration;

use serde::Serialize;

use super::index::versions::VersionRow;
use crate::manifest::AgentName;

/// A cap is suggested in whole mebibytes, this many times what the trial took: calls take more than descriptions.
const SUGGESTED_TIMES: u64 = 4;
const MEBIBYTE: u64 = 1 << 20;

/// The body of the answer to a version's push.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub agent: String,
    pub version: String,
    /// Whether it is served under the agent's bare name now.
    pub live: bool,
    /// Where it can be called, below the host's address.
    pub path: String,
    /// A fresh instance and its first answer.
    pub cold_start_ms: f64,
    /// Most guest memory of its trial, what it declares to begin with, and its cap, in bytes.
    pub memory_peak: u64,
    pub memory_initial: u64,
    pub memory_cap: u64,
    /// A cap that should do, in bytes.
    pub memory_suggested: u64,
    pub signed: bool,
    /// From its manifest's last byte to here.
    pub seconds: f64,
    pub warnings: Vec<String>,
}

impl Report {
    pub fn new(
        (agent, version): (&AgentName, &str),
        live: bool,
        row: &VersionRow,
        memory_cap: u64,
        took: Duration,
        warnings: Vec<String>,
    ) -> Self {
        let path = if live { format!("/mcp/{agent}") } else { format!("/mcp/{agent}@{version}") };
        Self {
            agent: agent.to_string(),
            version: version.to_owned(),
            live,
            path,
            cold_start_ms: row.cold_start_us as f64 / 1e3,
            memory_peak: row.memory_peak,
            memory_initial: row.memory_initial,
            memory_cap,
            memory_suggested: suggested(row, memory_cap),
            signed: row.signed,
            seconds: took.as_secs_f64(),
            warnings,
        }
    }
}

/// What its trial took and some more, within its cap.
fn suggested(row: &VersionRow, cap: u64) -> u64 {
    let peak = row.memory_peak.max(row.memory_initial).max(1);
    peak.saturating_mul(SUGGESTED_TIMES).div_ceil(MEBIBYTE).saturating_mul(MEBIBYTE).min(cap)
}
