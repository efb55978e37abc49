//! `stockade status`: what a running host says of its agents, as a table or as JSON.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::remote::nearest_manifest;
use super::{Stop, say};
use crate::access::operator;
use crate::http::ask::{self, Question, StatusCode};
use crate::manifest::{parse_address, size};

const EXAMPLES: &str = "\
Examples:
  stockade status                           how the agents of the host on this machine are
  stockade status --json | jq .agents";

/// Where a host answers operators, and where it has its data, if nothing says otherwise.
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);
const DATA_DEFAULT: &str = "data";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    host: Host,
}

/// Which host is asked, and how its answer is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Host {
    /// Where the host answers operators [default: the nearest manifest.yaml's `admin`, else 127.0.0.1:8081]
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address)]
    admin: Option<SocketAddr>,
    /// Directory of the host's own data, with the operator's token [default: the nearest manifest.yaml's `data`, else data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print what the host says as it is, for programs
    #[arg(long)]
    pub json: bool,
}

impl Host {
    /// What it answers to a GET.
    pub fn get(&self, path: &str) -> Result<String, Stop> {
        self.ask(Question::get(path))
    }

    /// What it answers to a GET that may take several: the `agents` of all its pages together.
    pub fn get_all(&self, path: &str) -> Result<String, Stop> {
        let (foreign, first) = ("this is no answer of a stockade host", self.get(path)?);
        let mut all: Map<String, Value> = serde_json::from_str(&first).context(foreign)?;
        let Some(mut next) = all.remove("next") else { return Ok(first) };
        while let Value::String(after) = &next {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("after", after).finish();
            let mut page: Map<String, Value> =
                serde_json::from_str(&self.get(&format!("{path}?{query}"))?).context(foreign)?;
            match (all.get_mut("agents"), page.remove("agents")) {
                (Some(Value::Array(all)), Some(Value::Array(more))) => all.extend(more),
                (Some(Value::Object(all)), Some(Value::Object(more))) => all.extend(more),
                _ => return Err(anyhow!(foreign).into()),
            }
            let further = page.remove("next").unwrap_or_default();
            // Each page is behind the one before, so that this ends.
            if further.as_str().is_some_and(|further| further <= after.as_str()) {
                return Err(anyhow!(foreign).into());
            }
            next = further;
        }
        Ok(format!("{}\n", Value::Object(all)))
    }

    /// What it answers, as its operator.
    pub fn ask(&self, question: Question) -> Result<String, Stop> {
        let nearest = if self.admin.is_some() && self.data.is_some() { None } else { nearest_manifest() };
        let of_manifest = nearest.map(|manifest| (manifest.admin, manifest.data));
        let (admin, data) = of_manifest.unwrap_or_else(|| (ADMIN_DEFAULT, DATA_DEFAULT.into()));
        let (admin, data) = (self.admin.unwrap_or(admin), self.data.clone().unwrap_or(data));
        let token = operator::read(&data).with_context(|| {
            let data = data.display();
            format!(
                "no operator's token in {data}: has `stockade serve` run with it? Name the host's data with --data DIR"
            )
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
        let (status, answer) = runtime.block_on(ask::ask(admin, question, &token))?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let why = match (status, super::agents::reason(&text)) {
            (status, _) if status.is_success() => return Ok(text),
            (StatusCode::UNAUTHORIZED, _) => {
                anyhow!("{admin} does not know this token: is {} its data?", data.display())
            }
            (_, Some(reason)) => anyhow!(reason),
            // Every path that is asked here is there, at the right address.
            (StatusCode::NOT_FOUND, None) => anyhow!(
                "{admin} is not where a host answers operators, but perhaps clients: name its manifest's `admin` with --admin"
            ),
            (_, None) => anyhow!("it answers {status} {}", super::plain(text.trim())),
        };
        Err(why.into())
    }
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
pub(super) struct Agent {
    name: String,
    version: String,
    pub standing: String,
    reason: Option<String>,
    pub calls: u64,
    stopped: std::collections::BTreeMap<String, u64>,
    refused: std::collections::BTreeMap<String, u64>,
    broken: u64,
    /// Not said by a host of before.
    pub memory_bytes: Option<u64>,
    pub memory_peak_bytes: u64,
}

impl Agent {
    /// Calls that a limit has stopped, or that broke the contract.
    pub fn traps(&self) -> u64 {
        self.stopped.values().sum::<u64>() + self.broken
    }
}

/// Why an agent is not served, cut to what a terminal shows.
const REASON_CHARS_MAX: usize = 100;

pub(super) fn status(options: &Options) -> Result<(), Stop> {
    let text = options.host.get_all("/status")?;
    if options.host.json {
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
    let mut out = format!("stockade {version}, {sessions} sessions, {streams} streams\n\n{}", aligned(&rows));
    // Writing to a String cannot fail.
    for Agent { name, standing, reason, .. } in &agents {
        if let Some(reason) = reason {
            // An agent's own words are in it: none of them may steer the terminal.
            let reason: String = reason.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect();
            let _ = writeln!(out, "\n{name} is {standing}: {reason}");
        }
    }
    for (name, Account { used, ceiling, refusals }) in accounts.iter().filter(|(_, account)| account.refusals > 0) {
        let [used, ceiling] = [*used, *ceiling].map(size::round);
        let _ = writeln!(out, "\naccount {name} has refused {refusals} times; it lends {used} of {ceiling} now");
    }
    Ok(out)
}

/// The agents of an answer, by name.
pub(super) fn agents(answer: &str) -> serde_json::Result<std::collections::BTreeMap<String, Agent>> {
    let Answer { agents, .. } = serde_json::from_str(answer)?;
    Ok(agents.into_iter().map(|agent| (agent.name.clone(), agent)).collect())
}

/// Rows whose columns stand below each other.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for row in rows {
        let padded: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    }
    out
}
