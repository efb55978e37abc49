//! What waits for a client, and what it is told of what it missed.

use stockade_ledger::{Account, Ledger, Spec};

use super::*;

fn account() -> Account {
    Ledger::new(1 << 30).account(Spec { name: "streams".into(), ceiling: 1 << 30, floor: 0 }).unwrap()
}

fn frame(account: &Account, bytes: usize) -> Arc<Frame> {
    Arc::new(Frame { bytes: vec![0; bytes], charge: account.charge(bytes as u64).unwrap() })
}

fn had(clock: u32) -> StateVector {
    StateVector(vec![(1, clock)])
}

#[tokio::test]
async fn a_slow_client_is_told_later_what_it_missed_from_the_first_on() {
    let (account, outbox) = (account(), Outbox::default());
    let half = frame(&account, QUEUE_BYTES_MAX / 2);
    outbox.push(&half, || unreachable!());
    outbox.push(&half, || unreachable!());
    outbox.push(&half, || had(3));
    outbox.push(&half, || unreachable!("the first it missed counts"));
    outbox.offer(&half);
    drop(half);
    assert_eq!(account.used(), QUEUE_BYTES_MAX as u64 / 2, "it is one frame for all");
    for _ in 0..2 {
        assert!(matches!(outbox.next().await, Next::Frame(_)));
    }
    assert!(matches!(outbox.next().await, Next::Missed(state) if state == had(3)));
    assert_eq!(account.used(), 0);
    // From then on it is told everything again.
    outbox.push(&frame(&account, 1), || unreachable!());
    assert!(matches!(outbox.next().await, Next::Frame(_)));
}

#[tokio::test]
async fn a_frame_larger_than_the_queue_is_sent_when_nothing_else_waits() {
    let (account, outbox) = (account(), Outbox::default());
    outbox.push(&frame(&account, QUEUE_BYTES_MAX + 1), || unreachable!());
    outbox.push(&frame(&account, 1), || had(1));
    assert!(matches!(outbox.next().await, Next::Frame(_)));
    assert!(matches!(outbox.next().await, Next::Missed(_)));
}

#[tokio::test]
async fn the_end_comes_before_everything_else() {
    let (account, outbox) = (account(), Outbox::default());
    outbox.push(&frame(&account, 1), || unreachable!());
    outbox.end(Ending::Epoch);
    outbox.end(Ending::Stop);
    assert!(matches!(outbox.next().await, Next::Over(Ending::Epoch)));
}

#[test]
fn who_has_left_counts_no_more() {
    let audience = Audience::default();
    let first = audience.join();
    let _second = audience.join();
    assert_eq!(audience.count(), 2);
    drop(first);
    assert_eq!(audience.count(), 1);
}
