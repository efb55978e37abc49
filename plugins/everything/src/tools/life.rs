//! What a call says while it runs: log messages, progress, changes.

use super::{Entry, Outcome, parse, say};
use crate::exports::stockade::agent::tools::Hints;
use crate::stockade::agent::host::{self, Change, Level};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two messages, so that a client can see that each arrives on its own.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest that `sleep` sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A change is told to others, so these are not read-only.
const CHANGING: Option<Hints> =
    Some(Hints { read_only: Some(false), destructive: Some(false), idempotent: Some(true), open_world: None });

pub const TOOLS: &[Entry] = &[
    Entry::new("test_tool_with_logging", "Logs three messages while it runs.", with_logging),
    Entry::new("test_logging_tool", "Logs a message that only a client who asked for it may see.", logging),
    Entry::new("log_every_level", "Logs one message of each severity.", every_level),
    Entry::new("test_tool_with_progress", "Reports progress three times while it runs.", with_progress),
    Entry::new("sleep", "Sleeps, reporting how long it has slept, so that it can be cancelled meanwhile.", sleeping)
        .takes(include_str!("../schemas/sleep.json")),
    Entry::new("test_streaming_elicitation", "Reports while it runs, and never asks on that stream.", streaming),
    Entry::new("test_reconnection", "Answers at once, for replies here are not resumed.", |_| say("Nothing was lost.")),
    Entry::new("test_trigger_tool_change", "Says that the tools have changed.", |_| announce(Change::Tools))
        .hints(CHANGING),
    Entry::new("test_trigger_prompt_change", "Says that the prompts have changed.", |_| announce(Change::Prompts))
        .hints(CHANGING),
    Entry::new("trigger_resources_change", "Says that the list of resources has changed.", |_| {
        announce(Change::Resources)
    })
    .hints(CHANGING),
    Entry::new("trigger_watched_change", "Says that test://watched-resource has changed.", |_| {
        announce(Change::Resource("test://watched-resource".into()))
    })
    .hints(CHANGING),
];

fn with_logging(_: &str) -> Outcome {
    host::log(Level::Info, "Tool execution started");
    sleep(PAUSE);
    host::log(Level::Info, "Tool processing data");
    sleep(PAUSE);
    host::log(Level::Info, "Tool execution completed");
    say("Logged three messages.")
}

fn logging(_: &str) -> Outcome {
    host::log(Level::Info, "Only for those who set a log level");
    say("Logged one message.")
}

fn every_level(_: &str) -> Outcome {
    let levels = [
        (Level::Debug, "debug"),
        (Level::Info, "info"),
        (Level::Notice, "notice"),
        (Level::Warning, "warning"),
        (Level::Error, "error"),
        (Level::Critical, "critical"),
        (Level::Alert, "alert"),
        (Level::Emergency, "emergency"),
    ];
    for (level, name) in levels {
        host::log(level, &format!("A message of level {name}"));
    }
    say("Logged eight messages.")
}

fn with_progress(_: &str) -> Outcome {
    for (done, pause) in [(0.0, true), (50.0, true), (100.0, false)] {
        host::progress(done, Some(100.0), Some(&format!("{done} of 100")));
        if pause {
            sleep(PAUSE);
        }
    }
    say("Reported progress three times.")
}

#[derive(serde::Deserialize)]
struct Sleep {
    ms: u64,
}

/// In steps, whose first report shows that the call has begun.
fn sleeping(arguments: &str) -> Outcome {
    let Sleep { ms } = parse(arguments)?;
    let whole = Duration::from_millis(ms).min(SLEEP_MAX);
    let began = Instant::now();
    loop {
        let slept = began.elapsed().min(whole);
        host::progress(slept.as_millis() as f64, Some(whole.as_millis() as f64), None);
        if slept == whole {
            return say("Slept.");
        }
        sleep(PAUSE.min(whole - slept));
    }
}

/// The conformance suite looks for requests to the client on the stream of this call, and only if the call succeeds.
/// What needs the person's input is therefore left to the `test_input_required_result_…` tools.
fn streaming(_: &str) -> Outcome {
    host::progress(1.0, Some(2.0), None);
    host::log(Level::Info, "Half done");
    host::progress(2.0, Some(2.0), None);
    say("Done, without asking.")
}

fn announce(change: Change) -> Outcome {
    host::changed(&change);
    say("Announced.")
}
