//! Tests of `limiter`.

use stockade_ledger::{Account, Ledger, Spec};

use super::*;

const PAGE: usize = 64 << 10;

fn guests(ceiling: u64) -> Account {
    Ledger::new(1 << 40).account(Spec { name: "guests".into(), ceiling, floor: 0 }).unwrap()
}

fn stop(error: &wasmtime::Error) -> &Stop {
    error.downcast_ref().expect("a stop of our own")
}

#[test]
fn all_memories_and_tables_share_one_cap() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(3 * PAGE as u64, 0, guests.empty());
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
    let mut limiter = Limiter::new(u64::MAX, 2 * PAGE as u64, guests.empty());
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
    let mut limiter = Limiter::new(u64::MAX, 0, guests.empty());
    let error = limiter.memory_growing(0, 2 * PAGE, None).unwrap_err();
    let Stop::HostFull(refusal) = stop(&error) else { panic!("{error}") };
    assert_eq!((&*refusal.account, refusal.limit), ("guests", PAGE as u64));
}

#[test]
fn failed_growth_leaves_the_books() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, PAGE as u64, guests.empty());
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
    let mut limiter = Limiter::new(u64::MAX, 0, guests.empty());
    assert!(!limiter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE)).unwrap());
    assert!(!limiter.table_growing(1, 3, Some(2)).unwrap());
    limiter.memory_grow_failed(wasmtime::Error::msg("refused above")).unwrap();
    assert_eq!((guests.used(), limiter.peak()), (0, 0));
}

#[test]
fn a_large_table_is_named() {
    let guests = guests(1 << 30);
    let mut limiter = Limiter::new(u64::MAX, 0, guests.empty());
    let error = limiter.table_growing(10, TABLE_ELEMENTS_MAX + 1, None).unwrap_err();
    let Stop::Table { cap, used, .. } = *stop(&error) else { panic!("{error}") };
    assert_eq!((cap, used), (TABLE_ELEMENTS_MAX as u64, 10));
}
