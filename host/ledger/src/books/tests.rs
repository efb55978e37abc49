//! The rules of the books, one test each.

use super::*;
use crate::RefusalKind::{FullNow, Never};

const CEILING: u64 = 1000;

fn open(books: &mut Books, parent: AccountId, name: &str, ceiling: u64, floor: u64) -> AccountId {
    books.open(parent, name.into(), ceiling, floor).expect("it fits")
}

/// What a request to `id` is answered: who refused, and how.
#[track_caller]
fn refusal(books: &mut Books, id: AccountId, held: u64, by: u64) -> (String, u64, u64, u64, RefusalKind) {
    let before = sums(books);
    let Refusal { account, wanted, used, limit, kind } = books.charge(id, held, by).expect_err("it does not fit");
    assert_eq!(sums(books), before, "a refusal changes no sum");
    (account.to_string(), wanted, used, limit, kind)
}

fn sums(books: &Books) -> Vec<(u64, u64, u64)> {
    books.entries.values().map(|entry| (entry.used, entry.promised, entry.peak)).collect()
}

#[test]
fn a_charge_counts_in_all_above_it() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    let files = open(&mut books, guests, "guests/files", 40, 0);
    let tables = open(&mut books, guests, "guests/tables", 40, 0);
    books.charge(files, 0, 30).unwrap();
    books.charge(tables, 0, 20).unwrap();
    assert_eq!([root, guests, files, tables].map(|id| books.used(id)), [50, 50, 30, 20]);
    books.release(files, 25);
    assert_eq!([root, guests, files, tables].map(|id| books.used(id)), [25, 25, 5, 20]);
}

#[test]
fn each_of_the_chain_may_refuse_and_the_lowest_answers() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    let files = open(&mut books, guests, "guests/files", 60, 0);
    let other = open(&mut books, root, "other", CEILING, 0);
    books.charge(files, 0, 30).unwrap();
    assert_eq!(refusal(&mut books, files, 0, 31), ("guests/files".into(), 31, 30, 60, FullNow));
    books.charge(guests, 0, 30).unwrap();
    assert_eq!(refusal(&mut books, files, 0, 11), ("guests".into(), 11, 60, 70, FullNow));
    assert_eq!(refusal(&mut books, files, 0, 31), ("guests/files".into(), 31, 30, 60, FullNow));
    books.charge(other, 0, 40).unwrap();
    assert_eq!(refusal(&mut books, files, 0, 1), ("memory".into(), 1, 100, 100, FullNow));
}

#[test]
fn the_last_byte_fits_and_the_next_does_not() {
    let (mut books, root) = Books::new(10);
    let account = open(&mut books, root, "account", CEILING, 0);
    books.charge(account, 0, 10).unwrap();
    assert_eq!(books.free(account), 0);
    assert_eq!(refusal(&mut books, account, 0, 1), ("memory".into(), 1, 10, 10, FullNow));
}

#[test]
fn never_is_above_the_limit_itself_whoever_else_is_full() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    let wide = open(&mut books, root, "wide", CEILING, 0);
    assert_eq!(refusal(&mut books, guests, 0, 71), ("guests".into(), 71, 0, 70, Never));
    assert_eq!(refusal(&mut books, wide, 0, 101), ("memory".into(), 101, 0, 100, Never));
    // `wide` is full only for now, but the root could never lend as much: that is the answer that helps.
    books.charge(wide, 0, 90).unwrap();
    assert_eq!(refusal(&mut books, wide, 0, 950), ("memory".into(), 950, 90, 100, Never));
    assert_eq!(refusal(&mut books, wide, 0, u64::MAX), ("wide".into(), u64::MAX, 90, CEILING, Never));
}

#[test]
fn growth_is_judged_with_what_is_held() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    books.charge(guests, 0, 60).unwrap();
    assert_eq!(refusal(&mut books, guests, 60, 11).4, Never);
    assert_eq!(refusal(&mut books, guests, 59, 11).4, FullNow);
    assert_eq!(refusal(&mut books, guests, u64::MAX, 11).4, Never);
}

#[test]
fn a_floor_is_nobody_elses() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", 50, 30);
    let guests = open(&mut books, root, "guests", CEILING, 0);
    assert_eq!((books.used(root), books.used(requests)), (30, 0));
    assert_eq!(books.free(guests), 70);
    assert_eq!(refusal(&mut books, guests, 0, 71), ("memory".into(), 71, 30, 100, Never));
    books.charge(guests, 0, 70).unwrap();
    assert_eq!(refusal(&mut books, guests, 0, 1), ("memory".into(), 1, 100, 100, FullNow));
    books.charge(requests, 0, 30).unwrap();
    assert_eq!(books.used(root), 100);
    assert_eq!(refusal(&mut books, requests, 30, 1), ("memory".into(), 1, 100, 100, FullNow));
}

#[test]
fn bytes_above_the_floor_are_borrowed_and_those_below_are_kept() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", 50, 30);
    books.charge(requests, 0, 20).unwrap();
    assert_eq!(books.used(root), 30);
    books.charge(requests, 20, 25).unwrap();
    assert_eq!((books.used(root), books.used(requests)), (45, 45));
    books.release(requests, 40);
    assert_eq!((books.used(root), books.used(requests)), (30, 5));
    books.release(requests, 5);
    assert_eq!((books.used(root), books.used(requests)), (30, 0));
}

#[test]
fn a_childs_bytes_use_its_parents_floor() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", 50, 30);
    let bodies = open(&mut books, requests, "requests/bodies", CEILING, 0);
    let guests = open(&mut books, root, "guests", CEILING, 0);
    books.charge(guests, 0, 65).unwrap();
    assert_eq!((books.free(bodies), books.free(requests), books.free(guests)), (35, 35, 5));
    books.charge(bodies, 0, 35).unwrap();
    assert_eq!((books.free(bodies), books.free(guests), books.used(root)), (0, 0, 100));
    books.release(bodies, 35);
    assert_eq!((books.free(bodies), books.free(guests), books.used(root)), (35, 5, 95));
}

#[test]
fn an_own_floor_is_no_hindrance_to_its_account() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", CEILING, 30);
    open(&mut books, root, "health", 10, 10);
    assert_eq!(books.free(requests), 90);
    assert_eq!(refusal(&mut books, requests, 0, 91), ("memory".into(), 91, 40, 100, Never));
    books.charge(requests, 0, 90).unwrap();
}

#[test]
fn floors_that_do_not_fit_are_refused() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", 60, 60);
    let open = |books: &mut Books, floor| {
        let before = sums(books);
        let refusal = books.open(root, "health".into(), 50, floor).expect_err("it does not fit");
        assert_eq!(sums(books), before);
        (refusal.account.to_string(), refusal.wanted, refusal.used, refusal.limit, refusal.kind)
    };
    assert_eq!(open(&mut books, 41), ("memory".into(), 41, 60, 100, Never));
    assert_eq!(open(&mut books, 51), ("health".into(), 51, 0, 50, Never));
    let guests = books.open(root, "guests".into(), CEILING, 0).unwrap();
    books.charge(guests, 0, 10).unwrap();
    assert_eq!(open(&mut books, 31), ("memory".into(), 31, 70, 100, FullNow));
    books.close(requests);
    assert_eq!(open(&mut books, 101), ("health".into(), 101, 0, 50, Never));
    books.open(root, "health".into(), 50, 50).unwrap();
}

#[test]
fn a_closed_account_gives_its_floor_back() {
    let (mut books, root) = Books::new(100);
    let requests = open(&mut books, root, "requests", 50, 30);
    let guests = open(&mut books, root, "guests", CEILING, 0);
    books.close(requests);
    assert_eq!((books.used(root), books.free(guests)), (0, 100));
    // What was promised is gone too: no longer a reason for `Never`.
    books.charge(guests, 0, 1).unwrap();
    assert_eq!(refusal(&mut books, guests, 0, 100).4, FullNow);
}

#[test]
fn peaks_and_refusals_are_kept() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    let files = open(&mut books, guests, "guests/files", 40, 0);
    books.charge(files, 0, 40).unwrap();
    books.release(files, 15);
    refusal(&mut books, files, 0, 16);
    books.charge(guests, 0, 40).unwrap();
    refusal(&mut books, files, 0, 6);
    let other = open(&mut books, root, "other", CEILING, 0);
    books.charge(other, 0, 35).unwrap();
    refusal(&mut books, files, 0, 1);
    let snapshot = books.snapshot();
    let figures = snapshot.accounts.iter().map(|of| (&*of.name, of.used, of.peak, of.ceiling, of.floor, of.refusals));
    let expected = [("guests", 65, 65, 70, 0, 2), ("guests/files", 25, 40, 40, 0, 3), ("other", 35, 35, CEILING, 0, 0)];
    assert!(figures.eq(expected), "{snapshot:?}");
    assert_eq!((snapshot.lendable, snapshot.used, snapshot.peak, snapshot.refusals), (100, 100, 100, 1));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let (mut books, root) = Books::new(u64::MAX);
    let account = open(&mut books, root, "account", u64::MAX, u64::MAX - 1);
    let other = open(&mut books, root, "other", u64::MAX, 0);
    assert_eq!((books.free(account), books.free(other)), (u64::MAX, 1));
    books.charge(other, 0, 1).unwrap();
    books.charge(account, 0, u64::MAX - 1).unwrap();
    assert_eq!(refusal(&mut books, account, u64::MAX - 1, u64::MAX).1, u64::MAX);
    books.release(account, u64::MAX - 1);
    books.release(other, 1);
    assert_eq!((books.used(root), books.free(account)), (u64::MAX - 1, u64::MAX));
}

#[test]
#[should_panic(expected = "`guests` was given back 6 bytes, but had lent only 5")]
fn underflow_is_a_bug() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    books.charge(guests, 0, 5).unwrap();
    books.release(guests, 6);
}

#[test]
#[should_panic(expected = "`guests` was closed while bytes were charged to it")]
fn closing_an_account_in_use_is_a_bug() {
    let (mut books, root) = Books::new(100);
    let guests = open(&mut books, root, "guests", 70, 0);
    books.charge(guests, 0, 5).unwrap();
    books.close(guests);
}
