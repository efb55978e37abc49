//! Ends that are not a result.

use std::process;

use crate::{Reply, Trick};

pub const TRICKS: &[Trick] = &[
    Trick { name: "panic", run: panic },
    Trick { name: "abort", run: || process::abort() },
    Trick { name: "exit", run: || process::exit(EXIT_CODE) },
    Trick { name: "exit-zero", run: || process::exit(0) },
];

const EXIT_CODE: i32 = 3;

/// Longer than any host should repeat, shorter than any cap on standard error.
const LAST_WORDS_BYTES: usize = 8 << 10;

fn panic() -> Reply {
    panic!("the last words begin here {}", "x".repeat(LAST_WORDS_BYTES));
}
