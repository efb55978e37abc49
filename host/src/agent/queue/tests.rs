//! Tests of `queue`.

use stockade_ledger::{Ledger, Spec};

use super::*;

const PATIENCE: Duration = Duration::from_secs(2);
const NEED: Need = Need { reserve: 10, copies: 1 };

fn door(guests: u64, instances: u32) -> (Ledger, Door) {
    let ledger = Ledger::new(1 << 20);
    let account = |name: &str, ceiling| ledger.account(Spec { name: name.into(), ceiling, floor: 0 }).unwrap();
    let door = Door::new(account("guests", guests), account("copies", 1000), account("queues", 1 << 16), instances);
    (ledger, door)
}

#[tokio::test(start_paused = true)]
async fn a_line_runs_as_many_calls_as_it_may() {
    let (ledger, door) = door(1000, 100);
    let line = door.line(2, 1);
    let (first, second) =
        (door.pass(line, NEED, PATIENCE).await.unwrap(), door.pass(line, NEED, PATIENCE).await.unwrap());
    let Err(Closed::Busy { cap, used }) = door.pass(line, NEED, PATIENCE).await else { panic!("a third call passed") };
    assert_eq!((cap, used), (3, 3), "two run, and it was waiting itself");
    drop(first);
    drop(door.pass(line, NEED, PATIENCE).await.unwrap());
    drop(second);
    assert_eq!(ledger.snapshot().used, 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_has_an_end() {
    let (_ledger, door) = door(1000, 100);
    let line = door.line(1, 1);
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
    let (_ledger, door) = door(15, 100);
    let line = door.line(10, 10);
    let running = door.pass(line, NEED, PATIENCE).await.unwrap();
    let Err(Closed::HostFull(refusal)) = door.pass(line, NEED, PATIENCE).await else { panic!("15 bytes held 20") };
    assert_eq!((&*refusal.account, refusal.wanted, refusal.used, refusal.limit), ("guests", 10, 10, 15));
    drop(running);
    drop(door.pass(line, NEED, PATIENCE).await.unwrap());
    let began = Instant::now();
    let too_much = Need { reserve: 16, copies: 0 };
    let Err(Closed::HostFull(_)) = door.pass(line, too_much, PATIENCE).await else { panic!("16 of 15") };
    assert_eq!(began.elapsed(), Duration::ZERO, "what can never fit is not waited for");
}

#[tokio::test(start_paused = true)]
async fn bytes_given_back_by_others_let_waiters_in() {
    let (_ledger, door) = door(15, 100);
    let line = door.line(10, 10);
    let elsewhere = door.0.guests.charge(15).unwrap();
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
    let (_ledger, door) = door(1000, 1);
    let (one, other) = (door.line(5, 5), door.line(5, 5));
    let running = door.pass(one, NEED, PATIENCE).await.unwrap();
    let Err(Closed::NoInstance { cap: 1 }) = door.pass(other, NEED, PATIENCE).await else { panic!("two of one") };
    drop(running);
    drop(door.pass(other, NEED, PATIENCE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_large_need_does_not_hold_up_small_ones() {
    let (_ledger, door) = door(25, 100);
    let (large, small) = (door.line(10, 10), door.line(10, 10));
    let running = door.pass(small, NEED, PATIENCE).await.unwrap();
    let waiting = tokio::spawn({
        let door = door.clone();
        async move { door.pass(large, Need { reserve: 20, copies: 1 }, PATIENCE).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    drop(door.pass(small, NEED, PATIENCE).await.expect("there is room for it"));
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(running);
    waiting.await.unwrap().expect("it passes once there is room");
}

#[tokio::test(start_paused = true)]
async fn lines_take_turns() {
    let (_ledger, door) = door(10, 100);
    let (long, short) = (door.line(10, 10), door.line(10, 10));
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
    let (ledger, door) = door(10, 100);
    let line = door.line(10, 10);
    let running = door.pass(line, NEED, PATIENCE).await.unwrap();
    let impatient = tokio::time::timeout(Duration::from_millis(5), door.pass(line, NEED, PATIENCE)).await;
    assert!(impatient.is_err());
    drop(running);
    assert_eq!(ledger.snapshot().used, 0);
    assert!(door.lock().turns.is_empty() && door.lock().lines[0].waiting.is_empty());
}
