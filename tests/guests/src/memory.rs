//! Attacks on linear memory, and on what the host holds for the guest.

use std::arch::wasm32;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::random::random;

use crate::{Reply, Trick, text};

pub const TRICKS: &[Trick] = &[
    Trick { name: "grow-loop", run: || grow() },
    Trick { name: "grow-at-once", run: grow_at_once },
    Trick { name: "leak-small", run: leak_small },
    Trick { name: "giant-vec", run: giant_vec },
    Trick { name: "hold-24m", run: || hold(24 << 20) },
    Trick { name: "hold-50m", run: || hold(50 << 20) },
    Trick { name: "hold-60m", run: || hold(60 << 20) },
    Trick { name: "handles", run: handles },
    Trick { name: "random-flood", run: random_flood },
];

/// Pages of 64 KiB that one `memory.grow` asks for.
const GROWTH_PAGES: usize = 16;

/// Leaked by one allocation.
const LEAK_BYTES: usize = 64;

/// Between two looks of a guest at what it holds.
const NAP: Duration = Duration::from_millis(100);

const VEC_BYTES: usize = 200 << 20;

/// Above the 64 MiB that WASI gives out in one call unless told otherwise.
const RANDOM_BYTES: u64 = 256 << 20;

/// Asks for memory and does not take no for an answer: where a limiter only makes growth fail, this spins.
pub fn grow() -> ! {
    loop {
        wasm32::memory_grow::<0>(GROWTH_PAGES);
    }
}

/// All the address space there is, in one instruction, for ever.
fn grow_at_once() -> Reply {
    loop {
        let pages = usize::from(u16::MAX) - wasm32::memory_size::<0>();
        wasm32::memory_grow::<0>(pages);
    }
}

fn leak_small() -> Reply {
    loop {
        black_box(Box::leak(Box::new([1u8; LEAK_BYTES])));
    }
}

fn giant_vec() -> Reply {
    let bytes = vec![1u8; VEC_BYTES];
    text(format!("got {} bytes", black_box(bytes).len()))
}

/// Below its cap, and for as long as it may.
fn hold(bytes: usize) -> Reply {
    let held = vec![1u8; bytes];
    loop {
        thread::sleep(NAP);
        black_box(&held);
    }
}

/// Timers cost the guest nothing and the host an entry each.
fn handles() -> Reply {
    loop {
        std::mem::forget(monotonic_clock::subscribe_duration(u64::MAX));
    }
}

/// The host makes these bytes in its own memory before the guest's cap is asked.
fn random_flood() -> Reply {
    let bytes = random::get_random_bytes(RANDOM_BYTES);
    text(format!("got {} bytes", bytes.len()))
}
