//! Which call goes first.

use std::time::Duration;

use super::Large;
use crate::agent::clock::{Clock, Lanes};

fn clock() -> Clock {
    Clock::new(Duration::from_secs(1), Duration::from_secs(1), Lanes::default())
}

#[test]
fn the_furthest_beyond_its_reserve_goes_first_and_nobody_twice() {
    let large = Large::default();
    assert_eq!(large.stop_largest(), 0);
    let clocks = [clock(), clock(), clock()];
    let calls: Vec<_> = clocks
        .iter()
        .zip([10, 30, 20])
        .map(|(clock, beyond)| {
            let listed = large.enter(clock, 1);
            listed.set(beyond);
            listed
        })
        .collect();
    let halted = || clocks.each_ref().map(Clock::is_halted);
    assert_eq!((large.stop_largest(), halted()), (30, [false, true, false]));
    assert_eq!((large.stop_largest(), halted()), (20, [false, true, true]));
    drop(calls);
    assert_eq!((large.stop_largest(), halted()), (0, [false, true, true]), "a call that has ended holds nothing");
}
