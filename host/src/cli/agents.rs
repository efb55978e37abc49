//! `stockade agents`, `agent`, `set`, `enable`, `disable`, `retire`: the registry's entries, of a running host.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Stop, say, status};
use crate::http::ask;
use crate::manifest::size;

const EXAMPLES: &str = "\
Examples:
  stockade agents                           every entry, and how its agent does
  stockade agent hello                      one entry in full
  stockade set hello memory=8M deadline=2s  the next call runs under it
  stockade set hello memory=                as the manifest has it
  stockade disable hello                    not served until `stockade enable hello`";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct All {
    #[command(flatten)]
    host: status::Host,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct One {
    /// The agent's name
    name: String,
    #[command(flatten)]
    host: status::Host,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Set {
    /// The agent's name
    name: String,
    /// Such as memory=32M, deadline=2s, concurrency=4, enabled=false, title="My agent"; without a value: as the manifest has it
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    #[command(flatten)]
    host: status::Host,
}

/// What is shown of the entries; there may be more in them.
#[derive(Debug, Deserialize)]
struct Entries {
    epoch: u64,
    clients: usize,
    agents: BTreeMap<String, Map<String, Value>>,
}

pub(super) fn agents(options: &All) -> Result<(), Stop> {
    let entries = options.host.get_all("/registry")?;
    if options.host.json {
        say(&entries);
        return Ok(());
    }
    let status = options.host.get_all("/status")?;
    say(&table(&entries, &status)?);
    Ok(())
}

pub(super) fn agent(options: &One) -> Result<(), Stop> {
    show(&options.host, &options.host.get(&format!("/registry/{}", options.name))?)
}

pub(super) fn set(options: &Set) -> Result<(), Stop> {
    let fields = options.fields.iter().map(|field| assignment(field)).collect::<Result<Map<_, _>, _>>()?;
    change(&options.host, &options.name, fields)
}

pub(super) fn enable(options: &One) -> Result<(), Stop> {
    change(&options.host, &options.name, fields([("enabled", true.into()), ("retired", Value::Null)]))
}

pub(super) fn disable(options: &One) -> Result<(), Stop> {
    change(&options.host, &options.name, fields([("enabled", false.into())]))
}

/// Its entry is removed later, once it has been retired for as long as the manifest's `document.retired` says; if the manifest
/// has the agent, it stays.
pub(super) fn retire(options: &One) -> Result<(), Stop> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    change(&options.host, &options.name, fields([("retired", now.into())]))
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn change(host: &status::Host, name: &str, fields: Map<String, Value>) -> Result<(), Stop> {
    let body = Value::Object(fields).to_string();
    show(host, &host.ask(ask::Question::patch(&format!("/registry/{name}"), body))?)
}

/// A field and its value, as a program would write them.
pub(super) fn assignment(text: &str) -> Result<(String, Value), Stop> {
    let (field, value) = text
        .split_once('=')
        .ok_or_else(|| Stop::Usage(format!("`{text}` is no FIELD=VALUE: such as memory=32M, or enabled=false")))?;
    let wrong = |what: &str| Stop::Usage(format!("`{value}` is no {what}: {field} takes one"));
    let value = match field {
        _ if value.is_empty() => Value::Null,
        "memory" | "reserve" => size::parse(value).map_err(|_| wrong("size, such as 32M"))?.into(),
        "deadline" => {
            let time = crate::manifest::parse_time(value).map_err(|_| wrong("time, such as 2s"))?;
            (time.as_millis() as u64).into()
        }
        "enabled" => value.parse::<bool>().map_err(|_| wrong("true or false"))?.into(),
        "title" | "description" => value.into(),
        "grants" => value.split(',').collect(),
        // A number, a list; what is neither is text, and the host says whether it takes it.
        _ => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
    };
    Ok((field.to_owned(), value))
}

/// One entry, for people or for programs.
fn show(host: &status::Host, entry: &str) -> Result<(), Stop> {
    if host.json {
        say(entry);
        return Ok(());
    }
    let fields: Map<String, Value> = serde_json::from_str(entry).context("this is no answer of a stockade host")?;
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    let mut out = String::new();
    for (field, value) in &fields {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{field:<width$}  {}", shown(field, value));
    }
    say(&out);
    Ok(())
}

/// A value in the units that people write, without what could steer a terminal.
fn shown(field: &str, value: &Value) -> String {
    let text = match (field, value, value.as_u64()) {
        ("memory" | "reserve", _, Some(bytes)) => size::show(bytes),
        ("deadline", _, Some(milliseconds)) => format!("{}s", milliseconds as f64 / 1e3),
        (_, Value::String(text), _) => text.clone(),
        _ => value.to_string(),
    };
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// All entries, beside what the host says of those it serves.
pub(super) fn table(entries: &str, status: &str) -> anyhow::Result<String> {
    let foreign = "this is no answer of a stockade host";
    let Entries { epoch, clients, agents } = serde_json::from_str(entries).context(foreign)?;
    let served = status::agents(status).context(foreign)?;
    let header = ["agent", "version", "state", "cap", "peak", "calls", "traps"].map(str::to_owned);
    let cells = |(name, fields): (&String, &Map<String, Value>)| {
        let text = |field: &str| fields.get(field).map_or_else(|| "-".to_owned(), |value| shown(field, value));
        let row = served.get(name);
        let state = match (row, fields.get("retired")) {
            (_, Some(_)) => "retired",
            (Some(row), None) => &*row.standing,
            (None, None) => "not in the manifest",
        };
        let of_row = |count: fn(&status::Agent) -> String| row.map_or_else(|| "-".to_owned(), count);
        // What the manifest says stands in no entry, and is its cap all the same.
        let cap = row.and_then(|row| row.memory_bytes).map_or_else(|| text("memory"), size::show);
        let peak = of_row(|row| size::round(row.memory_peak_bytes));
        let (calls, traps) = (of_row(|row| row.calls.to_string()), of_row(|row| row.traps().to_string()));
        [name.clone(), text("version"), state.to_owned(), cap, peak, calls, traps]
    };
    let rows: Vec<_> = std::iter::once(header).chain(agents.iter().map(cells)).collect();
    Ok(format!("{}\nepoch {epoch} of the document, {clients} clients\n", status::aligned(&rows)))
}

/// Why the host did not do what it was asked, if its answer says so.
pub(super) fn reason(answer: &str) -> Option<String> {
    let said = serde_json::from_str::<Value>(answer).ok()?;
    Some(super::plain(said["error"]["message"].as_str()?))
}
