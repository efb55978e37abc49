//! Attacks on the stack. A guest has two: the engine's, for calls and locals, and its own in linear memory, for what has
//! an address. The second has no guard but the end of memory below it.

use std::hint::black_box;

use crate::{Trick, text};

pub const TRICKS: &[Trick] = &[
    Trick { name: "recurse-stack", run: || text(in_locals(u64::MAX).to_string()) },
    Trick { name: "recurse-arrays", run: || text(in_arrays(u64::MAX).to_string()) },
];

/// What one frame takes of the stack in linear memory, 1 MiB by default.
const FRAME_BYTES: usize = 4096;

/// Two operations wait for the inner call, of which no compiler makes a loop.
#[inline(never)]
fn in_locals(depth: u64) -> u64 {
    if depth == 0 { 1 } else { in_locals(depth - 1).wrapping_mul(31) ^ depth }
}

#[inline(never)]
fn in_arrays(depth: u64) -> u64 {
    let mut frame = [0u8; FRAME_BYTES];
    black_box(&mut frame);
    if depth == 0 { 1 } else { in_arrays(depth - 1) ^ u64::from(black_box(&frame)[0]) }
}
