//! Tests of `queue`.

use stockade_ledger::{Ledger, Spec};

use super::*;
use crate::memory::Children;

mod crowd;

const PATIENCE: Duration = Duration::from_secs(2);
const NEED: Need = Need { reserve: 10, copies: 1, goes_on: false };

/// A door with one line for each of these terms.
fn door(guests: u64, instances: u32, terms: &[(u32, u32)]) -> (Ledger, Door, Vec<LineId>) {
    let terms: Vec<Terms> = terms.iter().map(|&(concurrency, waiting_max)| plain(concurrency, waiting_max)).collect();
    let (accounts, door, lines) = with_accounts(guests, instances, &terms);
    (accounts.ledger, door, lines)
}

fn plain(concurrency: u32, waiting_max: u32) -> Terms {
    Terms { concurrency, waiting_max, weight: 1, first: NEED }
}

/// A door, and the accounts it lends from: those of a host, save that guests have this ceiling.
fn with_accounts(guests: u64, instances: u32, terms: &[Terms]) -> (Accounts, Door, Vec<LineId>) {
    let mut accounts = Accounts::open(64 << 20, 60 << 20, 0, Children::default()).unwrap();
    accounts.guests = accounts.ledger.account(Spec { name: "guests".into(), ceiling: guests, floor: 0 }).unwrap();
    let (door, lines) = Door::new(&accounts, instances, terms);
    (accounts, door, lines)
}

/// What calls hold now.
fn lent(ledger: &Ledger) -> u64 {
    let lent = ["guests", "copies", "queues"];
    ledger.snapshot().accounts.iter().filter(|account| lent.contains(&&*account.name)).map(|account| account.used).sum()
}

#[tokio::test(start_paused = true)]
async fn a_line_runs_as_many_calls_as_it_may() {
    let (ledger, door, lines) = door(1000, 100, &[(2, 1)]);
    let line = lines[0];
    let (first, second) =
        (door.pass(line, NEED, PATIENCE).await.unwrap(), door.pass(line, NEED, PATIENCE).await.unwrap());
    let Err(Closed::Busy { cap, used }) = door.pass(line, NEED, PATIENCE).await else { panic!("a third call passed") };
    assert_eq!((cap, used), (3, 3), "two run, and it was waiting itself");
    drop(first);
    drop(door.pass(line, NEED, PATIENCE).await.unwrap());
    drop(second);
    assert_eq!(lent(&ledger), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_has_an_end() {
    let (_ledger, door, lines) = door(1000, 100, &[(1, 1)]);
    let line = lines[0];
    let running = door.pass(line, NEED, PATIENCE).await.unwrap();
    let waiting = tokio::spawn({
        let door = door.clone();
        async move { door.pass(line, NEED, PATIENCE).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let Err(Closed::Busy { cap: 2, used: 2 }) = door.pass(line, NEED, PATIENCE).await else { panic!("it waited") };
    assert_eq!(began.elapsed(), Duration::ZERO, "a full line refuses at once");
    drop(running);
    waiting.await.unwrap().expect("the one who waited passes");
}

#[tokio::test(start_paused = true)]
async fn memory_is_waited_for_and_its_lack_is_named() {
    let (_ledger, door, lines) = door(15, 100, &[(10, 10)]);
    let line = lines[0];
    let running = door.pass(line, NEED, PATIENCE).await.unwrap();
    let Err(Closed::HostFull(refusal)) = door.pass(line, NEED, PATIENCE).await else { panic!("15 bytes held 20") };
    assert_eq!((&*refusal.account, refusal.wanted, refusal.used, refusal.limit), ("guests/shared", 10, 10, 15));
    drop(running);
    drop(door.pass(line, NEED, PATIENCE).await.unwrap());
    let began = Instant::now();
    let too_much = Need { reserve: 16, copies: 0, goes_on: false };
    let Err(Closed::HostFull(_)) = door.pass(line, too_much, PATIENCE).await else { panic!("16 of 15") };
    assert_eq!(began.elapsed(), Duration::ZERO, "what can never fit is not waited for");
}

#[tokio::test(start_paused = true)]
async fn bytes_given_back_by_others_let_waiters_in() {
    let (accounts, door, lines) = with_accounts(15, 100, &[plain(10, 10)]);
    let line = lines[0];
    let elsewhere = accounts.guests.charge(15).unwrap();
    let waiting = tokio::spawn({
        let door = door.clone();
        async move { door.pass(line, NEED, PATIENCE).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(elsewhere);
    waiting.await.unwrap().expect("there is room now");
}

#[tokio::test(start_paused = true)]
async fn the_pool_is_not_overdrawn() {
    let (_ledger, door, lines) = door(1000, 1, &[(5, 5), (5, 5)]);
    let (one, other) = (lines[0], lines[1]);
    let running = door.pass(one, NEED, PATIENCE).await.unwrap();
    let Err(Closed::NoInstance { cap: 1 }) = door.pass(other, NEED, PATIENCE).await else { panic!("two of one") };
    drop(running);
    drop(door.pass(other, NEED, PATIENCE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_large_need_does_not_hold_up_small_ones() {
    let (_ledger, door, lines) = door(45, 100, &[(10, 10), (10, 10)]);
    let (large, small) = (lines[0], lines[1]);
    // In its own place, and from what is shared.
    let running = [door.pass(small, NEED, PATIENCE).await.unwrap(), door.pass(small, NEED, PATIENCE).await.unwrap()];
    let waiting = tokio::spawn({
        let door = door.clone();
        async move { door.pass(large, Need { reserve: 30, copies: 1, goes_on: false }, PATIENCE).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    drop(door.pass(small, NEED, PATIENCE).await.expect("there is room for it"));
    assert!(began.elapsed() <= LOOK_AGAIN);
    drop(running);
    waiting.await.unwrap().expect("it passes once there is room");
}

#[tokio::test(start_paused = true)]
async fn lines_take_turns() {
    let (_ledger, door, lines) = door(10, 100, &[(10, 10), (10, 10)]);
    let (long, short) = (lines[0], lines[1]);
    let running = door.pass(long, NEED, PATIENCE).await.unwrap();
    let (order, mut passed) = tokio::sync::mpsc::channel(10);
    for (line, name) in [(long, "long"), (long, "long"), (long, "long"), (short, "short")] {
        let (door, order) = (door.clone(), order.clone());
        tokio::spawn(async move {
            let ticket = door.pass(line, NEED, PATIENCE).await.expect("everybody passes in time");
            order.send(name).await.expect("somebody listens");
            drop(ticket);
        });
        tokio::task::yield_now().await;
    }
    drop(running);
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(passed.recv().await.unwrap());
    }
    assert_eq!(names, ["long", "short", "long", "long"]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_takes_nothing_along() {
    let (ledger, door, lines) = door(10, 100, &[(10, 10)]);
    let line = lines[0];
    let running = door.pass(line, NEED, PATIENCE).await.unwrap();
    let impatient = tokio::time::timeout(Duration::from_millis(5), door.pass(line, NEED, PATIENCE)).await;
    assert!(impatient.is_err());
    drop(running);
    assert_eq!(lent(&ledger), 0);
    assert!(door.crowd(line) == (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_comes_later_gets_a_place_of_its_own_and_gives_it_back() {
    let (accounts, door, _lines) = with_accounts(100, 20, &[plain(20, 0)]);
    let busy = door.open(plain(20, 0));
    let late = door.open(plain(4, 0));
    assert!(door.has_own(busy) && door.has_own(late), "half of everything suffices for three");
    let mut running = Vec::new();
    while let Ok(ticket) = door.pass(busy, NEED, Duration::ZERO).await {
        running.push(ticket);
    }
    let kept = door.pass(late, NEED, Duration::ZERO).await.expect("its own place is nobody else's");
    door.close(late);
    let again = door.open(plain(4, 0));
    assert_ne!(again, late, "its last call still runs");
    assert!(!door.has_own(again), "all that is shared is lent just now");
    drop((kept, running));
    door.close(again);
    let next = door.open(plain(4, 0));
    assert!(door.has_own(next));
    door.close(busy);
    door.close(next);
    assert_eq!(door.shared().ceiling(), 90, "what was kept for them is everybody's again");
    assert_eq!(lent(&accounts.ledger), 0);
}
