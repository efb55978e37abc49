//! The whole file: every key, its default and bounds, and what must hold between keys.
//!
//! Agents are checked in `agents`, addresses in `network`, callers in `tokens`. Reads the tree once, top to bottom, in the order of the
//! manifest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::memory::{HEALTH_FLOOR_BYTES, NATIVE_GROWTH_BYTES, REQUESTS_FLOOR_BYTES, Thresholds, percent, share};

use super::detect::{MemorySource, Surroundings};
use super::problem::Findings;
use super::raw::Node;
use super::table::{Setting, Table};
use super::{
    CompileLimits, Fuse, HttpLimits, LogFormat, Manifest, Overrides, agents, document, network, signatures, size,
    tokens, transports, uploads,
};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

/// What the host itself uses at rest, about; measured at start, when it is too late for a suggestion.
const REST_BYTES: u64 = 30 * M;

/// What no call can have: the host at rest and the guaranteed floors (design, Memory 1).
const HOST_BYTES: u64 = REST_BYTES + NATIVE_GROWTH_BYTES + REQUESTS_FLOOR_BYTES + HEALTH_FLOOR_BYTES;

/// The smallest process that still has room for a few calls beside [`HOST_BYTES`].
const MEMORY_MIN: u64 = 64 * M;

/// Taken for checking the rest when no memory could be found at all.
const MEMORY_FALLBACK: u64 = 512 * M;

/// No machine has more.
const MEMORY_MAX: u64 = 64 << 40;

/// The smallest `pressure.maximum`: the host itself and one call of the default reserve, with its stack.
const MAXIMUM_MIN: u64 = HOST_BYTES + 3 * M;

/// Nesting that a recursive reader of JSON survives on a small stack.
const DEPTH_MAX: u32 = 128;

/// Longest wait anybody may configure; a longer one is a mistake in the unit.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
const WAIT_MIN: Duration = Duration::from_millis(1);

pub(super) fn manifest(
    root: &Node,
    folder: &Path,
    overrides: &Overrides,
    surroundings: &Surroundings,
    findings: &Findings<'_>,
) -> Manifest {
    let mut top = Table::new(root, String::new(), None, findings);
    let (memory, memory_source) = memory(&mut top, surroundings);
    let tokens = tokens::check(&mut top, folder);
    let network = network::check(&mut top, overrides, &tokens);
    let data = data(&mut top, folder, overrides);
    let pressure = pressure(top.table("pressure"), memory.value);
    let fuse = top.choice("fuse", Fuse::Auto, &[("auto", Fuse::Auto), ("on", Fuse::On), ("off", Fuse::Off)]).value;
    let http = http(top.table("http"), memory.value);
    let transports = transports::check(top.table("transports"));
    let document = document::check(top.table("document"));
    let signatures = signatures::check(top.table("signatures"));
    let uploads = uploads::check(top.table("uploads"));
    let compile = compile(top.table("compile"));
    let drain = top.time("drain", seconds(10), Duration::ZERO..=WAIT_MAX).value;
    let log = top.choice("log", LogFormat::Pretty, &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]).value;
    let rules = agents::Rules {
        folder,
        data: &data,
        memory,
        component_bytes_max: compile.component,
        reply_bytes_max: http.reply,
    };
    let (agents, published) = agents::check(top.table("defaults"), top.table("agents"), &rules);
    top.end();
    Manifest {
        memory: memory.value,
        memory_source,
        control_group: surroundings.control_group(),
        listen: network.listen,
        admin: network.admin,
        hosts: network.hosts,
        origins: network.origins,
        tokens: tokens.specs,
        data,
        pressure,
        fuse,
        http,
        transports,
        document,
        signatures,
        uploads,
        compile,
        drain,
        log,
        agents,
        published,
        warnings: Vec::new(),
    }
}

/// The one number that rules: from the file, else the smallest limit in force.
fn memory(top: &mut Table<'_>, surroundings: &Surroundings) -> (Setting<u64>, MemorySource) {
    let limit = surroundings.limit();
    let none = Setting::default(None);
    let written = top.size_option("memory", none, 0..=MEMORY_MAX);
    let (memory, source) = match (written.value, &limit) {
        (Some(bytes), _) => (bytes, MemorySource::Manifest),
        (None, Some((bytes, source))) => (*bytes, source.clone()),
        (None, None) => {
            let suggestion = "add `memory: 512M`, what the whole process may use";
            top.findings.error(
                top.place_of("memory"),
                "no memory limit can be found on this system".to_owned(),
                suggestion,
            );
            (MEMORY_FALLBACK, MemorySource::Manifest)
        }
    };
    let place = top.place_of("memory");
    if memory < MEMORY_MIN {
        top.findings.error(
            written.place.or(place),
            format!("`memory` is {} (from {source}), too little to run in", size::show(memory)),
            format!(
                "give it at least {}: the host needs about {} for itself, the rest is for calls",
                size::show(MEMORY_MIN),
                size::show(HOST_BYTES)
            ),
        );
    }
    match limit {
        Some((bytes, limit_source)) if memory > bytes => top.findings.error(
            written.place,
            format!("`memory` is {}, but {limit_source} is {}", size::show(memory), size::round(bytes)),
            "lower it, or delete the key to take that limit: beyond it the kernel ends the process",
        ),
        Some((bytes, MemorySource::Machine)) if written.value.is_none() => top.findings.warn(
            None,
            format!(
                "no `memory` is set and no container limits it, so all {} of the machine may be used",
                size::round(bytes)
            ),
            "add `memory: 512M`, or what the host may use",
        ),
        _ => {}
    }
    (Setting { value: memory, place: written.place }, source)
}

fn data(top: &mut Table<'_>, folder: &Path, overrides: &Overrides) -> PathBuf {
    let written = top.scalar("data", |text| Ok(folder.join(text)));
    let place = written.as_ref().and_then(|written| written.place);
    let (path, place, said_by) = match (&overrides.data, written) {
        (Some(path), _) => (path.clone(), None, "--data"),
        (None, Some(written)) => (written.value, place, "`data`"),
        (None, None) => (folder.join("data"), None, "`data`, by default ./data,"),
    };
    // Compiled code is kept there, and nobody else may write code that the host maps.
    let created = crate::data::create(&path).and_then(|()| path.canonicalize());
    created.unwrap_or_else(|error| {
        let message = format!("{said_by} cannot be created at {}: {error}", path.display());
        top.findings.error(place, message, "name a directory this user may write, in `data` or with --data DIR");
        path
    })
}

/// The levels default to the proportion an operator of the old system knew: 400, 450 and 500 of 512.
fn pressure(mut table: Table<'_>, memory: u64) -> Thresholds {
    // Divides first: exact for whole mebibytes, and no memory size overflows.
    let share = |part: u64| Setting::default(memory / 512 * part);
    let warning = table.size("warning", share(400), M..=MEMORY_MAX);
    let critical = table.size("critical", share(450), M..=MEMORY_MAX);
    let maximum = table.size("maximum", share(500), M..=MEMORY_MAX);
    let levels = [("warning", warning), ("critical", critical), ("maximum", maximum)];
    for [(lower, below), (upper, above)] in [[levels[0], levels[1]], [levels[1], levels[2]]] {
        if below.value >= above.value {
            table.findings.error(
                below.place.or(above.place),
                format!(
                    "`pressure.{lower}` ({}) is not below `pressure.{upper}` ({})",
                    size::show(below.value),
                    size::show(above.value)
                ),
                "the levels rise: warning < critical < maximum <= memory; without the keys they follow `memory`",
            );
        }
    }
    if maximum.value > memory {
        table.findings.error(
            maximum.place,
            format!("`pressure.maximum` ({}) is above `memory` ({})", size::show(maximum.value), size::show(memory)),
            "lower it to a little below `memory`, so that work is refused before the kernel ends the process",
        );
    }
    if maximum.value < MAXIMUM_MIN && memory >= MEMORY_MIN {
        table.findings.error(
            maximum.place,
            format!("`pressure.maximum` ({}) leaves no room for calls", size::show(maximum.value)),
            format!(
                "give it at least {}: the host needs {} for itself",
                size::show(MAXIMUM_MIN),
                size::show(HOST_BYTES)
            ),
        );
    }
    table.end();
    Thresholds { warning: warning.value, critical: critical.value, maximum: maximum.value }
}

fn http(mut table: Table<'_>, memory: u64) -> HttpLimits {
    let waits = WAIT_MIN..=WAIT_MAX;
    let body = table.size("body", Setting::default(4 * M), K..=G);
    let reply = table.size("reply", Setting::default(4 * M), 64 * K..=G);
    let limits = HttpLimits {
        connections: table.count("connections", Setting::default(1_024), 1..=1_000_000).value,
        in_flight: table.count("in_flight", Setting::default(256), 1..=100_000).value,
        body: body.value,
        headers: table.size("headers", Setting::default(80_000), K..=M).value,
        header_wait: table.time("header_wait", seconds(10), waits.clone()).value,
        body_wait: table.time("body_wait", seconds(10), waits.clone()).value,
        depth: table.count("depth", Setting::default(64), 8..=DEPTH_MAX).value,
        elements: table.count("elements", Setting::default(100_000), 100..=10_000_000).value,
        reply: reply.value,
        stream_bytes_max: table.size("stream_bytes_max", Setting::default(4 * G), 64 * K..=MEMORY_MAX).value,
        stream_stall: table.time("stream_stall", seconds(30), waits).value,
        kept: table.count("kept", Setting::default(4_096), 0..=1_000_000).value,
    };
    let requests = share(memory, percent::OTHERS).max(REQUESTS_FLOOR_BYTES);
    let replies = share(memory, percent::REPLIES);
    for (key, limit, account, ceiling) in [("body", body, "requests", requests), ("reply", reply, "replies", replies)] {
        if limit.value > ceiling && memory >= MEMORY_MIN {
            table.findings.error(
                limit.place,
                format!(
                    "`http.{key}` ({}) is more than all {account} together may hold ({})",
                    size::show(limit.value),
                    size::round(ceiling)
                ),
                "lower it, or raise `memory`",
            );
        }
    }
    table.end();
    limits
}

fn compile(mut table: Table<'_>) -> CompileLimits {
    let limits = CompileLimits {
        memory: table.size("memory", Setting::default(2 * G), 16 * M..=2 * G).value,
        cpu: table.time("cpu", seconds(60), Duration::from_secs(1)..=WAIT_MAX).value,
        output: table.size("output", Setting::default(256 * M), M..=4 * G).value,
        component: table.size("component", Setting::default(24 * M), 4 * K..=256 * M).value,
        loaded: table.count("loaded", Setting::default(64), 1..=10_000).value,
    };
    table.end();
    limits
}

const fn seconds(count: u64) -> Setting<Duration> {
    Setting::default(Duration::from_secs(count))
}
