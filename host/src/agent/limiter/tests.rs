//! Tests of `limiter`.

use stockade_ledger::{Account, Ledger, Spec};

use super::*;

const PAGE: usize = 64 << 10;

fn guests(ceiling: u64) -> Account {
    Ledger::new(1 << 40).account(Spec { name: "guests".into(), ceiling, floor: 0 }).unwrap()
}

/// Growth on this account, of a call that nothing else ends.
fn growth(guests: &Account) -> Growth {
    let second = std::time::Duration::from_secs(1);
    let clock = Clock::new(second, second, crate::agent::clock::Lanes::default());
    Growth { charge: guests.empty(), large: Large::default(), listed: None, clock, relief: Relief::default() }
}

fn stop(error: &wasmtime::Error) -> &Stop {
    error.downcast_ref().expect("a stop of our own")
}

#[test]
fn all_memories_and_tables_share_one_cap() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(3 * PAGE as u64, 0, growth(&guests));
    assert!(limiter.memory_growing(0, PAGE, None).unwrap());
    assert!(limiter.memory_growing(0, PAGE, None).unwrap());
    assert!(limiter.table_growing(0, 1000, None).unwrap());
    let error = limiter.memory_growing(PAGE, 2 * PAGE, None).unwrap_err();
    let used = 2 * PAGE as u64 + 8000;
    let Stop::Memory { cap, used: found, wanted } = *stop(&error) else { panic!("{error}") };
    assert_eq!((cap, found, wanted), (3 * PAGE as u64, used, PAGE as u64));
    assert_eq!((guests.used(), limiter.peak()), (used, used));
}

#[test]
fn only_what_is_beyond_the_reserve_is_charged() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, 2 * PAGE as u64, growth(&guests));
    limiter.memory_growing(0, 2 * PAGE, None).unwrap();
    assert_eq!(guests.used(), 0);
    limiter.memory_growing(2 * PAGE, 5 * PAGE, None).unwrap();
    assert_eq!(guests.used(), 3 * PAGE as u64);
    drop(limiter);
    assert_eq!(guests.used(), 0);
}

#[test]
fn a_full_host_is_not_the_guests_cap() {
    let guests = guests(PAGE as u64);
    let mut limiter = Limiter::new(u64::MAX, 0, growth(&guests));
    let error = limiter.memory_growing(0, 2 * PAGE, None).unwrap_err();
    let Stop::HostFull(refusal) = stop(&error) else { panic!("{error}") };
    assert_eq!((&*refusal.account, refusal.limit), ("guests", PAGE as u64));
}

#[test]
fn failed_growth_leaves_the_books() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, PAGE as u64, growth(&guests));
    limiter.memory_growing(0, PAGE, None).unwrap();
    limiter.memory_growing(PAGE, 4 * PAGE, None).unwrap();
    assert_eq!(guests.used(), 3 * PAGE as u64);
    let error = limiter.memory_grow_failed(wasmtime::Error::msg("mprotect failed")).unwrap_err();
    let Stop::System { used, wanted, .. } = *stop(&error) else { panic!("{error}") };
    assert_eq!((used, wanted, guests.used()), (PAGE as u64, 3 * PAGE as u64, 0));
}

#[test]
fn a_modules_own_maximum_is_a_plain_no() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, 0, growth(&guests));
    assert!(!limiter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE)).unwrap());
    assert!(!limiter.table_growing(1, 3, Some(2)).unwrap());
    limiter.memory_grow_failed(wasmtime::Error::msg("refused above")).unwrap();
    assert_eq!((guests.used(), limiter.peak()), (0, 0));
}

#[test]
fn a_large_table_is_named() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, 0, growth(&guests));
    let error = limiter.table_growing(10, TABLE_ELEMENTS_MAX + 1, None).unwrap_err();
    let Stop::Table { cap, used, .. } = *stop(&error) else { panic!("{error}") };
    assert_eq!((cap, used), (TABLE_ELEMENTS_MAX as u64, 10));
}

#[test]
fn beyond_its_reserve_a_call_may_be_the_first_to_go() {
    let guests = guests(1 << 30);
    let growth = growth(&guests);
    let (large, clock) = (growth.large.clone(), growth.clock.clone());
    let mut limiter = Limiter::new(u64::MAX, 2 * PAGE as u64, growth);
    limiter.memory_growing(0, 2 * PAGE, None).unwrap();
    assert_eq!((large.stop_largest(), clock.is_halted()), (0, false), "what is reserved is not asked back");
    limiter.memory_growing(2 * PAGE, 5 * PAGE, None).unwrap();
    assert_eq!((large.stop_largest(), clock.is_halted()), (3 * PAGE as u64, true));
    assert!(matches!(clock.check(), Err(Stop::Pressure { beyond }) if beyond == 3 * PAGE as u64));
}

#[test]
fn growth_is_refused_only_when_nobody_gives_way() {
    let ledger = Ledger::new(4 * PAGE as u64);
    let account = |name: &str| ledger.account(Spec { name: name.into(), ceiling: 1 << 30, floor: 0 }).unwrap();
    let (guests, code) = (account("guests"), account("code"));
    let growth = growth(&guests);
    let spare = std::sync::Mutex::new(code.charge(2 * PAGE as u64).unwrap());
    growth.relief.register("spare", Ease::Cache, move |wanted| {
        let mut spare = spare.lock().unwrap();
        let gave = spare.bytes().min(wanted);
        spare.shrink(gave);
        gave
    });
    let mut limiter = Limiter::new(u64::MAX, 0, growth);
    limiter.memory_growing(0, 2 * PAGE, None).unwrap();
    assert_eq!(code.used(), 2 * PAGE as u64, "nobody is asked before it is full");
    limiter.memory_growing(2 * PAGE, 4 * PAGE, None).unwrap();
    let error = limiter.memory_growing(4 * PAGE, 5 * PAGE, None).unwrap_err();
    assert!(matches!(stop(&error), Stop::HostFull(_)), "{error}");
    assert_eq!((guests.used(), code.used()), (4 * PAGE as u64, 0));
}
