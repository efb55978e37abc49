//! Every interleaving of a few threads: nothing is over-lent, nothing is lost, accounts leave the books once.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p stockade-ledger --test loom --release`
#![cfg(loom)]

use loom::thread;
use stockade_ledger::{Account, Charge, Ledger, Spec};

fn account(ledger: &Ledger, name: &str, floor: u64) -> Account {
    ledger.account(Spec { name: name.into(), ceiling: 10, floor }).expect("the floor fits")
}

fn child(parent: &Account) -> Account {
    parent.child(Spec { name: "child".into(), ceiling: 10, floor: 0 })
}

/// What holds at every moment, whoever looks: the root's sum is that of its accounts, children within their parents.
fn check(ledger: &Ledger) {
    let snapshot = ledger.snapshot();
    let (children, top): (Vec<_>, Vec<_>) = snapshot.accounts.iter().partition(|account| account.name.contains('/'));
    assert_eq!(snapshot.used, top.iter().map(|account| account.used.max(account.floor)).sum::<u64>());
    assert!(snapshot.used <= snapshot.lendable, "{snapshot:?}");
    for child in children {
        let parent = top.iter().find(|parent| child.name.starts_with(&*parent.name)).expect("a parent outlives it");
        assert!(child.used <= parent.used, "{snapshot:?}");
    }
}

#[test]
fn two_accounts_never_get_more_than_the_root_has() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let borrow = |name, wanted: u64| {
            let (ledger, account) = (ledger.clone(), account(&ledger, name, 0));
            thread::spawn(move || {
                let mut charge = account.empty();
                let lent = charge.grow(wanted).is_ok() && charge.grow(1).is_ok();
                check(&ledger);
                (lent, charge)
            })
        };
        let (left, right) = (borrow("left", 6), borrow("right", 4));
        let (left, right) = (left.join().unwrap(), right.join().unwrap());
        // 7 and 5 do not both fit into 10, and whoever is refused keeps what was granted.
        assert!(!(left.0 && right.0));
        assert_eq!(ledger.snapshot().used, left.1.bytes() + right.1.bytes());
        drop((left, right));
        assert_eq!((ledger.snapshot().used, ledger.snapshot().accounts.len()), (0, 0));
    });
}

#[test]
fn of_three_who_want_one_of_two_exactly_one_is_refused() {
    loom::model(|| {
        let ledger = Ledger::new(2);
        let shared = account(&ledger, "shared", 0);
        let borrow = || {
            let shared = shared.clone();
            thread::spawn(move || shared.charge(1).ok())
        };
        let others = [borrow(), borrow()];
        let own = shared.charge(1).ok();
        let charges: Vec<Charge> = others.into_iter().filter_map(|other| other.join().unwrap()).chain(own).collect();
        assert_eq!((charges.len(), shared.used(), ledger.snapshot().accounts[0].refusals), (2, 2, 1));
        drop(charges);
        assert_eq!(shared.used(), 0);
    });
}

#[test]
fn a_floor_is_granted_whatever_others_do() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let (sure, greedy) = (account(&ledger, "sure", 4), account(&ledger, "greedy", 0));
        let other = thread::spawn({
            let ledger = ledger.clone();
            move || {
                let mut charge = greedy.charge(5).expect("6 are not guaranteed to anybody");
                let above = charge.grow(1).is_ok();
                check(&ledger);
                drop(charge);
                above
            }
        });
        let mut charge = sure.charge(4).expect("it is guaranteed");
        let borrowed = charge.grow(1).is_ok();
        check(&ledger);
        charge.shrink(3);
        drop(charge);
        // One byte is neither guaranteed nor lent: both can have it in turn, and whoever asks first gets it.
        assert!(other.join().unwrap() || borrowed);
        assert_eq!(ledger.snapshot().used, 4);
    });
}

#[test]
fn nothing_is_lost_when_charges_of_one_account_come_and_go() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let parent = account(&ledger, "parent", 3);
        let borrow = |of: &Account| {
            let of = of.clone();
            thread::spawn(move || {
                let mut charge = of.charge(4).expect("8 at most are wanted at once");
                charge.shrink(2);
                charge.bytes()
            })
        };
        let (left, right) = (borrow(&parent), borrow(&child(&parent)));
        assert_eq!((left.join().unwrap(), right.join().unwrap()), (2, 2));
        assert_eq!((parent.used(), parent.free(), ledger.snapshot().used), (0, 10, 3));
    });
}

#[test]
fn parts_of_a_charge_return_from_their_own_threads() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let shared = account(&ledger, "shared", 0);
        let mut whole = shared.charge(8).unwrap();
        let mut part = whole.split(3);
        let other = thread::spawn(move || {
            part.shrink(1);
            part
        });
        // 2 are free, and 1 more once the part has shrunk.
        let grown = whole.grow(3).is_ok();
        check(&ledger);
        let part = other.join().unwrap();
        assert_eq!((whole.bytes(), part.bytes()), (if grown { 8 } else { 5 }, 2));
        whole.merge(part);
        assert_eq!(shared.used(), whole.bytes());
        drop(whole);
        assert_eq!(ledger.snapshot().used, 0);
    });
}

#[test]
fn the_last_of_handle_and_charge_strikes_the_account_out() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let parent = account(&ledger, "parent", 0);
        let child = child(&parent);
        let charge = child.charge(3).unwrap();
        let handle = thread::spawn(move || drop(child));
        let charge = thread::spawn(move || drop(charge));
        check(&ledger);
        handle.join().unwrap();
        charge.join().unwrap();
        assert_eq!((parent.used(), ledger.snapshot().accounts.len()), (0, 1));
    });
}

#[test]
fn a_parent_leaves_after_its_child_whoever_drops_last() {
    loom::model(|| {
        let ledger = Ledger::new(10);
        let parent = account(&ledger, "parent", 2);
        let child = child(&parent);
        let worker = thread::spawn({
            let ledger = ledger.clone();
            move || {
                let charge = child.charge(3).expect("nobody else borrows");
                drop(child);
                check(&ledger);
                drop(charge);
            }
        });
        drop(parent);
        check(&ledger);
        worker.join().unwrap();
        assert_eq!((ledger.snapshot().used, ledger.snapshot().accounts.len()), (0, 0));
    });
}
