//! Tests of `read`.

use super::loops::Loops;

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
