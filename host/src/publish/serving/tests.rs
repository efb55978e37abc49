//! Whose turn it is to change versions.

use super::*;
use crate::access::Access;
use crate::manifest::Manifest;

fn anyone() -> Arc<Principal> {
    let folder = tempfile::tempdir().unwrap();
    Access::new(&Manifest::parse("agents: {}", folder.path()).unwrap(), None).anonymous()
}

#[tokio::test]
async fn one_at_a_time_of_each_agent_and_so_many_in_all() {
    let (turns, by) = (Turns::new(), anyone());
    let (first, other) = (turns.take("demo".into(), None).await, turns.take("other".into(), None).await);
    let next = turns.take("demo".into(), None);
    tokio::pin!(next);
    assert!(futures_poll(next.as_mut()).await.is_none(), "somebody changes it");
    drop(first);
    let second = next.await;
    drop((second, other));
    assert!(turns.lock().is_empty(), "nobody holds any");

    let mut held: Vec<Place> = (0..CHANGING_MAX).map(|_| turns.changing.take(&by).unwrap()).collect();
    let full = turns.changing.take(&by).unwrap_err();
    assert_eq!((full.limit, full.cap, full.used), ("changing", u64::from(CHANGING_MAX), u64::from(CHANGING_MAX)));
    // Publishing takes none of those.
    drop(turns.publishing.take(&by).unwrap());
    held.pop();
    drop(turns.changing.take(&by).unwrap());
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing() {
    let turns = Turns::new();
    let held = turns.take("demo".into(), None).await;
    {
        let next = turns.take("demo".into(), None);
        tokio::pin!(next);
        assert!(futures_poll(next.as_mut()).await.is_none(), "somebody changes it");
    }
    drop(held);
    assert!(turns.lock().is_empty(), "nobody holds any");
}

#[tokio::test]
async fn few_are_on_trial_of_one_principal_and_in_all() {
    let turns = Turns::new();
    let mut held = Vec::new();
    for by in ["ann", "ben"] {
        for _ in 0..TRIALS_EACH_MAX {
            held.push(turns.trial(by.into()).await);
        }
        let next = turns.trial(by.into());
        tokio::pin!(next);
        assert!(futures_poll(next.as_mut()).await.is_none(), "{by} has {TRIALS_EACH_MAX} on trial");
    }
    assert_eq!(held.len(), TRIALS_MAX);
    let next = turns.trial("carol".into());
    tokio::pin!(next);
    assert!(futures_poll(next.as_mut()).await.is_none(), "there are {TRIALS_MAX} in all");
    held.pop();
    assert!(futures_poll(next.as_mut()).await.is_some(), "one of them has ended");
}

/// What a future has to say now, if anything.
async fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut future = Some(future);
    std::future::poll_fn(|context| match future.take().expect("it is polled once").poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
