//! Tests of `again`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::*;

const POLLS_MAX: u32 = 8;

/// Counts how often a task is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_wakes_itself_goes_on_at_once() {
    let (counter, again) = (Arc::new(Counter::default()), Again::new());
    let waker = Waker::from(counter.clone());
    let mut left = 3;
    let mut future = pin!(poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready("done");
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(again.poll(future.as_mut(), POLLS_MAX, &mut Context::from_waker(&waker)), Poll::Ready("done"));
    assert_eq!(counter.0.load(Ordering::Relaxed), 0, "nobody else was bothered");
}

#[test]
fn what_never_stops_lets_others_have_their_turn() {
    let (counter, again) = (Arc::new(Counter::default()), Again::new());
    let waker = Waker::from(counter.clone());
    let mut polls = 0;
    let mut future = pin!(poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    assert!(again.poll(future.as_mut(), POLLS_MAX, &mut Context::from_waker(&waker)).is_pending());
    assert_eq!((polls, counter.0.load(Ordering::Relaxed)), (POLLS_MAX, 1));
}

#[test]
fn a_wake_from_elsewhere_reaches_the_task_whenever_it_comes() {
    let (counter, again) = (Arc::new(Counter::default()), Again::new());
    let waker = Waker::from(counter.clone());
    let mut inner = None;
    for woken in 1..=2 {
        let mut future = pin!(poll_fn(|cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(again.poll(future.as_mut(), POLLS_MAX, &mut Context::from_waker(&waker)).is_pending());
        inner.take().expect("it was polled").wake();
        assert_eq!(counter.0.load(Ordering::Relaxed), woken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wake_is_lost_between_threads() {
    for round in 0..2_000 {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let again = Again::new();
        let task = tokio::spawn(async move {
            let mut receiver = pin!(receiver);
            poll_fn(|cx| again.poll(receiver.as_mut(), POLLS_MAX, cx)).await
        });
        sender.send(round).expect("it waits");
        assert_eq!(task.await.expect("it ends"), Ok(round));
    }
}
