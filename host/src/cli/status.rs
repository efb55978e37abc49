//! `stockade status`: what a running host says of its agents, as a table or as JSON.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use super::{Stop, say};
use crate::access::operator;
use crate::http::ask;
use crate::manifest::{parse_address, size};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Where the host answers operators: the manifest's `admin`
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address, default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// Directory of the host's own data, with the operator's token: the manifest's `data`
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Print what the host says as it is, for programs
    #[arg(long)]
    json: bool,
}

/// What is shown of an answer; there may be more in it.
#[derive(Debug, Deserialize)]
struct Answer {
    version: String,
    sessions: u32,
    streams: u32,
    accounts: std::collections::BTreeMap<String, Account>,
    agents: Vec<Agent>,
}

#[derive(Debug, Deserialize)]
struct Account {
    used: u64,
    ceiling: u64,
    refusals: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    name: String,
    version: String,
    standing: String,
    reason: Option<String>,
    calls: u64,
    stopped: std::collections::BTreeMap<String, u64>,
    refused: std::collections::BTreeMap<String, u64>,
    broken: u64,
    memory_peak_bytes: u64,
}

/// Why an agent is not served, cut to what a terminal shows.
const REASON_CHARS_MAX: usize = 100;

pub(super) fn status(options: &Options) -> Result<(), Stop> {
    let token = operator::read(&options.data).context("name the host's data directory with --data DIR")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let (status, answer) = runtime.block_on(ask::get(options.admin, "/status", &token))?;
    let text = String::from_utf8_lossy(&answer);
    if !status.is_success() {
        return Err(anyhow!("{} answers {status}: {}; is this its data?", options.admin, text.trim()).into());
    }
    if options.json {
        say(&text);
    } else {
        say(&table(&text)?);
    }
    Ok(())
}

/// The answer for people.
pub(super) fn table(answer: &str) -> anyhow::Result<String> {
    let Answer { version, sessions, streams, accounts, agents } =
        serde_json::from_str(answer).context("this is no answer of a stockade host")?;
    let header = ["agent", "version", "standing", "calls", "stopped", "refused", "broken", "peak"].map(str::to_owned);
    let total = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>().to_string();
    let cells = |agent: &Agent| {
        [
            agent.name.clone(),
            agent.version.clone(),
            agent.standing.clone(),
            agent.calls.to_string(),
            total(&agent.stopped),
            total(&agent.refused),
            agent.broken.to_string(),
            size::round(agent.memory_peak_bytes),
        ]
    };
    let rows: Vec<[String; 8]> = std::iter::once(header).chain(agents.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let mut out = format!("stockade {version}, {sessions} sessions, {streams} streams\n\n");
    // Writing to a String cannot fail.
    for row in &rows {
        let padded: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column))).collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    }
    for Agent { name, reason, .. } in &agents {
        if let Some(reason) = reason {
            // An agent's own words are in it: none of them may steer the terminal.
            let reason: String = reason.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect();
            let _ = writeln!(out, "\n{name} is refused: {reason}");
        }
    }
    for (name, Account { used, ceiling, refusals }) in accounts.iter().filter(|(_, account)| account.refusals > 0) {
        let [used, ceiling] = [*used, *ceiling].map(size::round);
        let _ = writeln!(out, "\naccount {name} has refused {refusals} times; it lends {used} of {ceiling} now");
    }
    Ok(out)
}
