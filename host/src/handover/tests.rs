//! Both sides, on one task and on two.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::pair;

#[tokio::test]
async fn items_arrive_in_order_and_end_with_the_giver() {
    let (giver, taker) = pair();
    let making = tokio::spawn(async move {
        for item in 0..100 {
            assert!(giver.give(item).await);
        }
    });
    for item in 0..100 {
        assert_eq!(taker.take().await, Some(item));
    }
    making.await.unwrap();
    assert_eq!(taker.take().await, None);
}

#[tokio::test]
async fn what_is_not_taken_can_be_taken_back() {
    let (giver, taker) = pair();
    assert!(giver.give(1).await);
    assert_eq!(giver.take_back(), Some(1));
    let asking = tokio::spawn(async move { taker.take().await });
    assert!(giver.wanted().await, "the taker found nothing");
    assert!(giver.give(2).await);
    assert_eq!(asking.await.unwrap(), Some(2));
}

#[tokio::test]
async fn the_giver_notices_that_nobody_takes_any_more() {
    let (giver, taker) = pair();
    assert!(giver.give(1).await);
    let waiting = tokio::spawn(async move {
        assert!(!giver.give(2).await);
        giver.gone().await;
        giver
    });
    drop(taker);
    let giver = waiting.await.unwrap();
    assert_eq!(giver.take_back(), None, "what nobody takes is dropped at once");
    giver.put(3);
}

#[tokio::test]
async fn it_ends_with_the_last_giver() {
    let (giver, taker) = pair::<u8>();
    drop(giver.clone());
    assert!(giver.give(1).await);
    drop(giver);
    assert_eq!((taker.take().await, taker.take().await), (Some(1), None));
}

#[test]
fn whoever_waits_for_the_end_is_not_forgotten_for_who_waits_for_room() {
    #[derive(Default)]
    struct Counter(AtomicUsize);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let [watcher, worker] = [(); 2].map(|()| Arc::new(Counter::default()));
    let woken = || [&watcher, &worker].map(|counter| counter.0.load(Ordering::Relaxed));
    let (watching, working) = (Waker::from(watcher.clone()), Waker::from(worker.clone()));
    let (giver, taker) = pair();
    let other = giver.clone();
    let mut gone = pin!(other.gone());
    assert!(gone.as_mut().poll(&mut Context::from_waker(&watching)).is_pending());
    giver.put(1);
    assert!(giver.poll_room(&mut Context::from_waker(&working)).is_pending());
    // Once more, as a task that was woken for nothing does: it must not take the worker's turn.
    assert!(gone.as_mut().poll(&mut Context::from_waker(&watching)).is_pending());
    assert_eq!(taker.poll_take(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(1)));
    assert_eq!(woken(), [0, 1], "the worker hears of the room");
    drop(taker);
    assert_eq!(woken(), [1, 1], "and the watcher of the end");
    assert!(gone.as_mut().poll(&mut Context::from_waker(&watching)).is_ready());
}
