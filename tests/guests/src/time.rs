//! Attacks on time: CPU that is never given back, and waits that never end.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use wasip2::clocks::monotonic_clock;

use crate::{Reply, Trick};

pub const TRICKS: &[Trick] = &[
    Trick { name: "spin", run: || spin() },
    Trick { name: "spin-copy", run: spin_copy },
    Trick { name: "spin-host", run: spin_host },
    Trick { name: "sleep", run: sleep },
    Trick { name: "sleep-short", run: sleep_short },
];

/// Moved by one instruction, between two looks at the clock.
const COPY_BYTES: usize = 16 << 20;

const SLEEP: Duration = Duration::from_secs(1_000_000);

pub fn spin() -> ! {
    loop {
        black_box(());
    }
}

/// Bulk instructions, which the engine interrupts only in between.
fn spin_copy() -> Reply {
    let mut bytes = vec![0u8; COPY_BYTES];
    loop {
        bytes.copy_within(1.., 0);
        black_box(&mut bytes);
    }
}

/// Always in or just out of the host.
fn spin_host() -> Reply {
    loop {
        black_box(monotonic_clock::now());
    }
}

/// No guest code runs meanwhile, so only the wall clock can end it.
fn sleep() -> Reply {
    loop {
        thread::sleep(SLEEP);
    }
}

/// Naps that each look harmless.
fn sleep_short() -> Reply {
    loop {
        thread::sleep(Duration::from_millis(1));
    }
}
