//! Tests of `read`.

use std::time::Duration;

use super::loops::Loops;
use super::rules::{GUEST_TIME_MAX, SMALL_CHUNK_BYTES, SMALL_CHUNKS_MAX, Taken};

#[test]
fn circles_of_any_length_are_found() {
    for tail in [0, 1, 5, 100] {
        for circle in [1, 2, 3, 17, 100] {
            let mut loops = Loops::default();
            let cursor = |step: usize| (if step < tail { step } else { tail + (step - tail) % circle }).to_string();
            let found = (0..10 * (tail + circle) + 10).position(|step| loops.closes_with(&cursor(step)));
            assert!(found.is_some(), "a circle of {circle} after {tail} was not found");
        }
    }
}

#[test]
fn a_long_way_without_a_circle_is_let_through() {
    let mut loops = Loops::default();
    assert!((0..10_000).all(|step| !loops.closes_with(&step.to_string())));
}

#[test]
fn small_chunks_are_few() {
    let mut taken = Taken::default();
    let mut give = |at: u32| taken.count(SMALL_CHUNK_BYTES - 1, Duration::ZERO, Some(&at.to_string()));
    assert!((0..SMALL_CHUNKS_MAX).all(|at| give(at).is_ok()));
    let broken = give(SMALL_CHUNKS_MAX).expect_err("one more");
    assert!(broken.contains("more than 256 chunks of less than 4096 bytes"), "{broken}");
}

#[test]
fn the_time_of_a_read_rises_with_its_bytes() {
    let mut taken = Taken::default();
    assert_eq!(taken.count(SMALL_CHUNK_BYTES, GUEST_TIME_MAX, Some("1")), Ok(()));
    let broken = taken.count(SMALL_CHUNK_BYTES, Duration::from_millis(1), Some("2")).expect_err("a moment more");
    assert!(broken.contains("more than 120 s"), "{broken}");
    // One second for each MiB.
    assert_eq!(taken.count(2 << 20, Duration::from_secs(1), Some("3")), Ok(()));
    // After the last chunk nothing is asked any more.
    assert_eq!(taken.count(0, GUEST_TIME_MAX, None), Ok(()));
    assert_eq!(taken.bytes(), 2 * SMALL_CHUNK_BYTES as u64 + (2 << 20));
}
