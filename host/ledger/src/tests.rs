//! The handles: what they give back, when, and what they refuse to do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Account, Charge, Ledger, Refusal, RefusalKind, Spec};

mod model;

fn account(ledger: &Ledger, name: &str, ceiling: u64) -> Account {
    ledger.account(Spec { name: name.into(), ceiling, floor: 0 }).expect("no floor, so nothing to refuse")
}

fn names(ledger: &Ledger) -> Vec<String> {
    ledger.snapshot().accounts.iter().map(|account| account.name.to_string()).collect()
}

/// The message of the panic that `act` must end in.
#[track_caller]
fn panic_of(act: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(act)).expect_err("it should have panicked");
    *payload.downcast::<String>().expect("an assertion with a formatted message")
}

#[test]
fn a_dropped_charge_gives_its_bytes_back() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let charge = guests.charge(30).unwrap();
    assert_eq!((charge.bytes(), guests.used(), guests.free()), (30, 30, 40));
    drop(charge);
    assert_eq!((guests.used(), guests.free(), ledger.snapshot().used), (0, 70, 0));
}

#[test]
fn a_charge_grows_and_shrinks() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let mut charge = guests.empty();
    charge.grow(50).unwrap();
    charge.shrink(20);
    assert_eq!((charge.bytes(), guests.used()), (30, 30));
    charge.shrink(30);
    assert_eq!((charge.bytes(), guests.used()), (0, 0));
}

#[test]
fn refused_growth_changes_nothing() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let mut charge = guests.charge(30).unwrap();
    let _other = guests.charge(40).unwrap();
    assert_eq!(charge.grow(1).unwrap_err().kind, RefusalKind::FullNow);
    assert_eq!(charge.grow(41).unwrap_err().kind, RefusalKind::Never);
    assert_eq!((charge.bytes(), guests.used(), ledger.snapshot().used), (30, 70, 70));
}

#[test]
fn nothing_is_never_refused() {
    let ledger = Ledger::new(0);
    let guests = account(&ledger, "guests", 0);
    let mut charge = guests.charge(0).unwrap();
    charge.grow(0).unwrap();
    charge.shrink(0);
    charge.merge(guests.empty());
    assert_eq!((charge.bytes(), charge.split(0).bytes(), guests.free()), (0, 0, 0));
}

#[test]
fn a_split_charge_is_given_back_in_parts() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let mut whole = guests.charge(30).unwrap();
    let part = whole.split(10);
    assert_eq!((whole.bytes(), part.bytes(), guests.used()), (20, 10, 30));
    drop(whole);
    assert_eq!(guests.used(), 10);
    drop(part);
    assert_eq!(guests.used(), 0);
}

#[test]
fn a_merged_charge_is_given_back_once() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let mut all = guests.charge(30).unwrap();
    all.merge(guests.clone().charge(10).unwrap());
    assert_eq!((all.bytes(), guests.used()), (40, 40));
    drop(all);
    assert_eq!(guests.used(), 0);
}

#[test]
fn losing_count_panics_and_leaves_the_books_right() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let other = account(&ledger, "guests", 70);
    let mut charge = guests.charge(30).unwrap();
    let foreign = other.charge(1).unwrap();
    assert!(panic_of(|| charge.shrink(31)).contains("cannot part with 31 bytes"));
    assert!(panic_of(|| drop(charge.split(u64::MAX))).contains("cannot part with"));
    // Same name and same ceiling, but not the same account.
    assert!(panic_of(|| charge.merge(foreign)).contains("of another account"));
    assert_eq!((charge.bytes(), guests.used(), other.used()), (30, 30, 0));
}

#[test]
fn a_failed_assertion_under_the_lock_does_not_stop_the_others() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let mut charge = guests.charge(30).unwrap();
    let before = ledger.snapshot();
    panic_of(|| guests.books().release(guests.id(), 31));
    assert_eq!(ledger.snapshot(), before);
    charge.grow(40).unwrap();
    drop(charge);
    assert_eq!(guests.free(), 70);
}

#[test]
fn a_child_lives_as_long_as_its_last_handle_or_charge() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let files = guests.child(Spec { name: "files".into(), ceiling: 40, floor: 0 });
    assert_eq!((files.name(), names(&ledger)), ("guests/files", vec!["guests".into(), "guests/files".into()]));
    let clone = files.clone();
    let mut charge = files.charge(10).unwrap();
    drop((files, clone));
    charge.grow(10).unwrap();
    assert_eq!((charge.account().name(), charge.account().used(), guests.used()), ("guests/files", 20, 20));
    drop(charge);
    assert_eq!((guests.used(), names(&ledger)), (0, vec!["guests".to_owned()]));
}

#[test]
fn a_parent_outlives_its_handle_while_a_child_lives() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let files = guests.child(Spec { name: "files".into(), ceiling: 80, floor: 0 });
    let page = files.child(Spec { name: "page".into(), ceiling: 90, floor: 0 });
    drop((guests, files));
    assert_eq!(names(&ledger), ["guests", "guests/files", "guests/files/page"]);
    assert_eq!(&*page.charge(71).unwrap_err().account, "guests");
    drop(page);
    assert_eq!(names(&ledger), [""; 0]);
}

#[test]
fn charges_outlive_the_ledger_handle() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 200);
    drop(ledger);
    let charge = guests.charge(60).unwrap();
    assert_eq!(&*guests.charge(41).unwrap_err().account, "memory");
    drop(charge);
    assert_eq!(guests.free(), 100);
}

#[test]
#[should_panic(expected = "`guests` cannot guarantee its child `files` bytes")]
fn a_child_has_no_floor() {
    let ledger = Ledger::new(100);
    account(&ledger, "guests", 70).child(Spec { name: "files".into(), ceiling: 40, floor: 1 });
}

#[test]
fn a_refusal_says_who_and_how_much() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 20);
    let _held = guests.charge(10).unwrap();
    let refusal = guests.charge(11).unwrap_err();
    let expected = Refusal { account: "guests".into(), wanted: 11, used: 10, limit: 20, kind: RefusalKind::FullNow };
    assert_eq!(refusal, expected);
    assert_eq!(refusal.to_string(), "`guests` is full: wanted 11 bytes, used 10 of 20");
    let refusal = guests.charge(2_097_152).unwrap_err();
    assert_eq!(refusal.to_string(), "`guests` is too small: wanted 2097152 bytes, used 10 of 20");
}

#[test]
fn debug_output_names_the_account() {
    let ledger = Ledger::new(100);
    let charge: Charge = account(&ledger, "guests", 20).charge(10).unwrap();
    assert_eq!(
        format!("{ledger:?} {charge:?}"),
        r#"Ledger { root: Account("memory") } Charge { account: "guests", bytes: 10 }"#
    );
}

#[test]
fn a_refusal_says_whether_the_root_refused() {
    let ledger = Ledger::new(100);
    let (guests, cache) = (account(&ledger, "guests", 70), account(&ledger, "cache", 90));
    assert_eq!((guests.ceiling(), cache.ceiling()), (70, 90));
    let _held = cache.charge(60).unwrap();
    assert!(!guests.charge(71).unwrap_err().is_by_root());
    assert!(guests.charge(41).unwrap_err().is_by_root());
}

#[test]
fn a_ceiling_moves_but_not_below_what_is_lent() {
    let ledger = Ledger::new(100);
    let guests = account(&ledger, "guests", 70);
    let held = guests.charge(40).unwrap();
    let refusal = guests.set_ceiling(39).unwrap_err();
    assert_eq!((refusal.used, refusal.limit, refusal.kind), (40, 70, RefusalKind::FullNow));
    guests.set_ceiling(40).unwrap();
    assert_eq!(guests.charge(1).unwrap_err().limit, 40);
    drop(held);
    guests.set_ceiling(90).unwrap();
    assert_eq!(guests.charge(90).unwrap().bytes(), 90);
}
