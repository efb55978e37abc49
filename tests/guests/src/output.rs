//! Floods of what goes from guest to host beside the result: standard streams, logs, notices.

use std::io::{self, Write};

use wasip2::cli::stdout;

use crate::stockade::agent::host::{Change, Level, changed, log, progress};
use crate::{Reply, Trick, address, text};

pub const TRICKS: &[Trick] = &[
    Trick { name: "stdout-flood", run: || flood(io::stdout()) },
    Trick { name: "stderr-flood", run: || flood(io::stderr()) },
    Trick { name: "empty-writes", run: empty_writes },
    Trick { name: "log-flood", run: log_flood },
    Trick { name: "progress-flood", run: progress_flood },
    Trick { name: "changed-flood", run: changed_flood },
    Trick { name: "changed-often", run: changed_often },
    Trick { name: "big-argument", run: big_argument },
];

/// One write to a standard stream.
const WRITE_BYTES: usize = 64 << 10;

/// One message; well below what a single call to the host may carry.
const MESSAGE_BYTES: usize = 256 << 10;

/// Changes that the host takes of one call.
const CHANGES_MAX: usize = 1024;

/// Above what a single call to the host may carry.
const ARGUMENT_BYTES: usize = 8 << 20;

/// A refused write does not stop it.
fn flood(mut stream: impl Write) -> Reply {
    let line = [b'x'; WRITE_BYTES];
    loop {
        let _ = stream.write_all(&line).and_then(|()| stream.flush());
    }
}

/// Writes of nothing, which no count of bytes ever notices.
fn empty_writes() -> Reply {
    let stream = stdout::get_stdout();
    loop {
        let _ = stream.check_write().and_then(|_| stream.write(&[]));
    }
}

fn log_flood() -> Reply {
    let message = "x".repeat(MESSAGE_BYTES);
    loop {
        log(Level::Emergency, &message);
    }
}

fn progress_flood() -> Reply {
    let message = "x".repeat(MESSAGE_BYTES);
    let mut done = 0.0;
    loop {
        done += 1.0;
        progress(done, Some(f64::MAX), Some(&message));
    }
}

/// A different resource each time, so that the host cannot fold the notices into one.
fn changed_flood() -> Reply {
    let mut number = 0u64;
    loop {
        number += 1;
        changed(&Change::Resource(address(&number.to_string())));
        changed(&Change::Tools);
    }
}

/// As often as the host listens to one call, and once more.
fn changed_often() -> Reply {
    (1..CHANGES_MAX).for_each(|_| changed(&Change::Resources));
    changed(&Change::Prompts);
    changed(&Change::Tools);
    text("announced".into())
}

fn big_argument() -> Reply {
    log(Level::Info, &"x".repeat(ARGUMENT_BYTES));
    text("the host took it".into())
}
