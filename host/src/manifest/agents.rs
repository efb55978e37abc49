//! The agents: their components, caps and directories.
//!
//! A key that an agent leaves out comes from `defaults`, and a problem with it is reported there, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::memory::{percent, share};

use super::problem::{Findings, Place, quote};
use super::raw::Entry;
use super::table::{Setting, Table, join};
use super::{
    Access, AgentName, AgentSpec, CALL_MEMORY_BYTES_DEFAULT, Component, DirGrant, PUBLISHED, PULLED, Remote, size, time,
};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

/// One page of linear memory; nothing runs in less.
const CALL_MEMORY_MIN: u64 = 64 * K;

/// What is granted to a call that neither its manifest nor its component asks more for (design, Memory 3).
const RESERVE_DEFAULT: u64 = 2 * M;

/// A chunk has up to 256K, and its head and cursor are copied from the same budget.
const COPIES_MIN: u64 = 512 * K;

/// Calls that the pool of instances can ever hold.
const CONCURRENCY_MAX: u32 = 1_000;

/// Largest weight; it is a ratio.
const WEIGHT_MAX: u32 = 100;

/// Longest call; a longer one is a mistake in the unit.
const CALL_TIME_MAX: Duration = Duration::from_secs(3_600);
const CALL_TIME_MIN: Duration = Duration::from_millis(1);

/// What of the rest of the manifest an agent is held to.
pub(super) struct Rules<'a> {
    /// What paths are relative to.
    pub folder: &'a Path,
    /// The host's own data, which no agent may see.
    pub data: &'a Path,
    pub memory: Setting<u64>,
    pub component_bytes_max: u64,
    pub reply_bytes_max: u64,
}

/// The keys that `defaults` and every agent share.
#[derive(Debug, Clone, Copy)]
struct Caps {
    memory: Setting<u64>,
    reserve: Setting<Option<u64>>,
    deadline: Setting<Duration>,
    cpu: Setting<Duration>,
    queue_wait: Setting<Duration>,
    queue: Setting<u32>,
    copies: Setting<u64>,
    concurrency: Setting<u32>,
    weight: Setting<u32>,
}

/// Agents of one host: each has an entry in the registry's document.
pub const AGENTS_MAX: usize = 20_000;

const CAPS_DEFAULT: Caps = Caps {
    memory: Setting::default(CALL_MEMORY_BYTES_DEFAULT),
    reserve: Setting::default(None),
    deadline: Setting::default(Duration::from_secs(5)),
    cpu: Setting::default(Duration::from_secs(2)),
    queue_wait: Setting::default(Duration::from_secs(2)),
    queue: Setting::default(64),
    copies: Setting::default(2 * M),
    concurrency: Setting::default(8),
    weight: Setting::default(1),
};

/// All agents, and the caps of those that are published under other names.
pub(super) fn check(
    mut defaults: Table<'_>,
    agents: Table<'_>,
    rules: &Rules<'_>,
) -> (BTreeMap<AgentName, AgentSpec>, AgentSpec) {
    let findings = agents.findings;
    let base = caps(&mut defaults, &CAPS_DEFAULT);
    if defaults.place.is_some() {
        report_impossible(&base, &defaults, rules);
    }
    defaults.end();
    let entries = agents.names();
    if entries.is_empty() {
        findings.warn(
            None,
            "there are no agents".to_owned(),
            "add one below `agents:`, such as `hello: { component: hello.wasm }`",
        );
    }
    if let Some(beyond) = entries.get(AGENTS_MAX) {
        let (count, place) = (entries.len(), Some(beyond.place));
        let text = format!("there are {count} agents; a host serves at most {AGENTS_MAX}");
        findings.error(place, text, "share them out to several hosts".to_owned());
    }
    let mut specs = BTreeMap::new();
    for entry in entries {
        let name = AgentName::parse(&entry.key)
            .map_err(|error| {
                let suggestion = match AgentName::nearest(&entry.key) {
                    Some(name) => format!("`{name}` would do"),
                    None => "choose a name such as `files` or `price-list`".to_owned(),
                };
                findings.error(Some(entry.place), error.to_string(), suggestion);
            })
            .ok();
        let spec = agent(entry, &base, rules, findings);
        // A name that comes twice is reported where the table was read.
        if let (Some(name), Some(spec)) = (name, spec) {
            specs.entry(name).or_insert(spec);
        }
    }
    // Where `memory` is small the built-in caps may be more than all calls together may hold.
    let guests = share(rules.memory.value, percent::GUESTS);
    let base = spec(Component::Published, &base, BTreeMap::new());
    let published = AgentSpec {
        memory: base.memory.min(guests).max(CALL_MEMORY_MIN),
        reserve: base.reserve.map(|reserve| reserve.min(guests)),
        ..base
    };
    (specs, published)
}

/// Reads one agent; none without a component that is there.
fn agent(entry: &Entry, base: &Caps, rules: &Rules<'_>, findings: &Findings<'_>) -> Option<AgentSpec> {
    let mut table = Table::new(&entry.node, join("agents", &entry.key), Some(entry.place), findings);
    let component = component(&mut table, &entry.key, rules);
    let caps = caps(&mut table, base);
    report_impossible(&caps, &table, rules);
    let dirs = dirs(table.table("dirs"), rules);
    table.end();
    Some(spec(component?, &caps, dirs))
}

fn spec(component: Component, caps: &Caps, dirs: BTreeMap<String, DirGrant>) -> AgentSpec {
    AgentSpec {
        component,
        memory: caps.memory.value,
        reserve: caps.reserve.value,
        deadline: caps.deadline.value,
        cpu: caps.cpu.value,
        queue_wait: caps.queue_wait.value,
        queue: caps.queue.value,
        copies: caps.copies.value,
        concurrency: caps.concurrency.value,
        weight: caps.weight.value,
        dirs,
    }
}

fn caps(table: &mut Table<'_>, base: &Caps) -> Caps {
    Caps {
        memory: table.size("memory", base.memory, CALL_MEMORY_MIN..=1 << 40),
        reserve: table.size_option("reserve", base.reserve, CALL_MEMORY_MIN..=1 << 40),
        deadline: table.time("deadline", base.deadline, CALL_TIME_MIN..=CALL_TIME_MAX),
        cpu: table.time("cpu", base.cpu, CALL_TIME_MIN..=CALL_TIME_MAX),
        queue_wait: table.time("queue_wait", base.queue_wait, Duration::ZERO..=CALL_TIME_MAX),
        queue: table.count("queue", base.queue, 0..=100_000),
        copies: table.size("copies", base.copies, COPIES_MIN..=1 << 30),
        concurrency: table.count("concurrency", base.concurrency, 1..=CONCURRENCY_MAX),
        weight: table.count("weight", base.weight, 1..=WEIGHT_MAX),
    }
}

/// What must hold between the caps of one agent.
fn report_impossible(caps: &Caps, table: &Table<'_>, rules: &Rules<'_>) {
    let findings = table.findings;
    let owner = |key: &str| if table.has(key) { join(&table.path, key) } else { join("defaults", key) };
    let memory = format!("`{}` ({})", owner("memory"), size::show(caps.memory.value));
    let guests = share(rules.memory.value, percent::GUESTS);
    let reserve = caps.reserve.value.unwrap_or(RESERVE_DEFAULT);
    if caps.memory.value > guests {
        let process = size::round(rules.memory.value);
        findings.error(
            caps.memory.place.or(rules.memory.place),
            format!(
                "{memory} is more than all calls together may hold: {} % of {process} are {}",
                percent::GUESTS,
                size::round(guests)
            ),
            format!(
                "lower it, or raise the manifest's `memory` to {}",
                size::round(caps.memory.value / percent::GUESTS * 100 + M)
            ),
        );
    } else if caps.memory.value.saturating_sub(reserve) > guests / 2 {
        findings.warn(
            caps.memory.place.or(rules.memory.place),
            format!("{memory} is more than a call can reach by growing"),
            format!(
                "an agent gets at most {} beyond its reserves: lower it, or raise `reserve`",
                size::round(guests / 2)
            ),
        );
    }
    if reserve > caps.memory.value {
        let what = match caps.reserve.value {
            Some(_) => format!("`{}` ({})", owner("reserve"), size::show(reserve)),
            None => format!("the reserve of a call, {} by default,", size::show(reserve)),
        };
        findings.error(
            caps.reserve.place.or(caps.memory.place),
            format!("{what} is more than {memory}, all that a call may ever use"),
            "lower `reserve`, or raise `memory`",
        );
    }
    if caps.cpu.value > caps.deadline.value {
        let (cpu, deadline) = (time::show(caps.cpu.value), time::show(caps.deadline.value));
        findings.warn(
            caps.cpu.place.or(caps.deadline.place),
            format!(
                "`{}` ({cpu}) is longer than `{}` ({deadline}), so it never stops a call",
                owner("cpu"),
                owner("deadline")
            ),
            "lower `cpu`, or raise `deadline`",
        );
    }
    if caps.copies.value > rules.reply_bytes_max {
        let (copies, reply) = (size::show(caps.copies.value), size::show(rules.reply_bytes_max));
        findings.warn(
            caps.copies.place,
            format!(
                "`{}` ({copies}) is more than `http.reply` ({reply}), so such a result cannot be sent",
                owner("copies")
            ),
            "lower `copies`, or raise `http.reply`",
        );
    }
}

/// The component: a file, as a canonical path, unless publishers bring it.
fn component(table: &mut Table<'_>, agent: &str, rules: &Rules<'_>) -> Option<Component> {
    let missing = !table.has("component");
    let written = table.scalar("component", |text| Ok(text.to_owned()));
    let findings = table.findings;
    if missing {
        let suggestion = format!(
            "add `component: {agent}.wasm`, the path of its WebAssembly component, or `component: {PUBLISHED}` if \
             publishers bring it"
        );
        findings.error(table.place, format!("`{}` has no component", table.path), suggestion);
    }
    let Setting { value: text, place } = written?;
    if text == PUBLISHED {
        return Some(Component::Published);
    }
    if Remote::is_meant(&text) {
        let remote = Remote::parse(&text).map_err(|suggestion| {
            findings.error(place, format!("the component {} cannot be pulled", quote(&text)), suggestion);
        });
        let remote = remote.ok()?;
        let file = rules.data.join(PULLED).join(Remote::file_name(&remote.sha256));
        return Some(Component::Remote(remote, file));
    }
    let path = rules.folder.join(&text);
    let found = path.canonicalize().and_then(|path| Ok((path.metadata()?, path)));
    let (metadata, path) = match found {
        Ok(found) => found,
        Err(error) => {
            let message = format!("the component {} cannot be found: {error}", quote(&text));
            findings.error(place, message, build_hint(&path, rules.folder));
            return None;
        }
    };
    if !metadata.is_file() {
        let suggestion = "name the file itself, such as `hello.wasm`";
        findings.error(place, format!("the component {} is not a file", quote(&text)), suggestion);
        return None;
    }
    if metadata.len() > rules.component_bytes_max {
        let (length, limit) = (size::round(metadata.len()), size::show(rules.component_bytes_max));
        findings.error(
            place,
            format!("the component {} has {length}, more than `compile.component` ({limit})", quote(&text)),
            "build it in release mode and strip it (`wasm-tools strip`), or raise `compile.component`",
        );
        return None;
    }
    Some(Component::File(path))
}

/// How to get a missing component: cargo's output folder tells how it is built.
fn build_hint(path: &Path, folder: &Path) -> String {
    let built_by_cargo = path.parent().is_some_and(|folder| folder.ends_with("wasm32-wasip2/release"));
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some(name) if built_by_cargo => {
            let package = name.replace('_', "-");
            format!("build it: cargo build --release --target wasm32-wasip2 -p {package}")
        }
        _ => format!("paths are relative to the manifest's folder, {}", shown(folder)),
    }
}

/// The granted directories, by the path the agent sees.
fn dirs(table: Table<'_>, rules: &Rules<'_>) -> BTreeMap<String, DirGrant> {
    let (findings, path) = (table.findings, table.path.clone());
    let mut grants = BTreeMap::new();
    for entry in table.names() {
        report_guest_path(&entry.key, entry.place, findings);
        let mut table = Table::new(&entry.node, join(&path, &entry.key), Some(entry.place), findings);
        let host = table.scalar("path", |text| Ok(text.to_owned()));
        let access = table.choice("access", Access::Read, &[("read", Access::Read), ("write", Access::Write)]).value;
        if !table.has("path") {
            let suggestion = "add `path: ./docs`, the directory on this machine";
            findings.error(table.place, format!("`{}` has no path", table.path), suggestion);
        }
        table.end();
        if let Some(path) = host.and_then(|host| directory(&host, rules, findings)) {
            grants.entry(entry.key.clone()).or_insert(DirGrant { path, access });
        }
    }
    grants
}

/// A path inside the guest has one spelling, so that no two grants can be the same place.
fn report_guest_path(guest: &str, place: Place, findings: &Findings<'_>) {
    let parts: Vec<&str> = guest.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let normal = format!("/{}", parts.join("/"));
    if guest != normal {
        let what = if guest.starts_with('/') { "is not in its shortest form" } else { "is not absolute" };
        findings.error(
            Some(place),
            format!("the agent's path {} {what}", quote(guest)),
            format!("write {}", quote(&normal)),
        );
    }
}

/// A directory of this machine, canonical.
fn directory(written: &Setting<String>, rules: &Rules<'_>, findings: &Findings<'_>) -> Option<PathBuf> {
    let (text, place) = (quote(&written.value), written.place);
    let found = rules.folder.join(&written.value).canonicalize().and_then(|path| Ok((path.metadata()?, path)));
    match found {
        Err(error) => {
            let suggestion = format!("create it; paths are relative to the manifest's folder, {}", shown(rules.folder));
            findings.error(place, format!("the directory {text} cannot be found: {error}"), suggestion);
            None
        }
        Ok((metadata, _)) if !metadata.is_dir() => {
            findings.error(place, format!("{text} is a file, not a directory"), "grant the directory it is in");
            None
        }
        Ok((_, path)) if path.starts_with(rules.data) || rules.data.starts_with(&path) => {
            let message =
                format!("the directory {text} would show the agent the host's own data in {}", shown(rules.data));
            findings.error(place, message, "grant a directory beside it, or move `data` elsewhere");
            None
        }
        Ok((_, path)) => Some(path),
    }
}

/// A folder in full, so that nobody has to guess what it is relative to.
fn shown(folder: &Path) -> String {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string()
}
