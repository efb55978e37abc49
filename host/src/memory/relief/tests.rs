//! Who is asked for bytes, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Ease, Relief, Relieved};

/// A holder of `bytes`, entered under this name.
fn holder(relief: &Relief, name: &'static str, ease: Ease, bytes: u64) -> Arc<AtomicU64> {
    let held = Arc::new(AtomicU64::new(bytes));
    let of_closure = held.clone();
    relief.register(name, ease, move |wanted| {
        let gave = wanted.min(of_closure.load(Relaxed));
        of_closure.fetch_sub(gave, Relaxed);
        gave
    });
    held
}

#[test]
fn the_easiest_gives_first_and_nobody_more_than_is_needed() {
    let relief = Relief::default();
    let sessions = holder(&relief, "sessions", Ease::Idle, 100);
    let code = holder(&relief, "code", Ease::Code, 30);
    let cache = holder(&relief, "cache", Ease::Cache, 10);
    let gave = [("cache", 10), ("code", 15)].map(|(holder, bytes)| Relieved { holder, bytes });
    assert_eq!(relief.ask(25, ..=Ease::Idle), gave);
    assert_eq!([cache, code, sessions].map(|held| held.load(Relaxed)), [0, 15, 100]);
}

#[test]
fn what_runs_is_spared_until_it_is_asked_for_by_name() {
    let relief = Relief::default();
    let running = holder(&relief, "calls", Ease::Running, 100);
    assert_eq!((relief.ask(50, ..=Ease::Idle), running.load(Relaxed)), (vec![], 100));
    assert_eq!((relief.ask(50, Ease::Running..).len(), running.load(Relaxed)), (1, 50));
}
