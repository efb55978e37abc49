//! When a reply becomes a stream, and what a client that leaves stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::StatusCode;
use stockade_ledger::{Account, Ledger, Spec};
use tokio::sync::Notify;

use super::{Aborted, Exchange, Outlet, Stream};
use crate::mcp::reply::{Body, Reply};

fn account() -> Account {
    Ledger::new(1 << 20).account(Spec { name: "streams".into(), ceiling: 1 << 20, floor: 0 }).unwrap()
}

async fn all(mut stream: Stream) -> Result<String, Aborted> {
    let mut text = String::new();
    while let Some(bytes) = stream.next().await {
        text.push_str(std::str::from_utf8(&bytes?).unwrap());
    }
    Ok(text)
}

fn done() -> Reply {
    Reply::json(Bytes::from_static(b"{}"))
}

#[tokio::test]
async fn a_request_that_says_nothing_before_is_answered_plainly() {
    let reply = Exchange::new(&account(), |_outlet| async { done() }).reply().await;
    assert!(matches!(reply.body, Body::Whole(bytes) if &*bytes == b"{}"));
}

#[tokio::test]
async fn what_comes_before_a_reply_makes_it_a_stream() {
    for pause in [false, true] {
        let exchange = Exchange::new(&account(), move |outlet| async move {
            for event in ["data: 1\n\n", "data: 2\n\n"] {
                assert!(outlet.send(Bytes::from_static(event.as_bytes())).await);
                if pause {
                    tokio::task::yield_now().await;
                }
            }
            done()
        });
        let Reply { status: StatusCode::OK, body: Body::Events(stream), .. } = exchange.reply().await else {
            panic!("no stream")
        };
        assert_eq!(all(stream).await.unwrap(), "data: 1\n\ndata: 2\n\nevent: message\ndata: {}\n\n");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_whole_one() {
    let stream = Stream::new(&account(), |outlet| async move {
        outlet.send(Bytes::from_static(b"half")).await;
        Err(Aborted)
    });
    assert_eq!(all(stream).await, Err(Aborted));
    // Also inside of events.
    let exchange = Exchange::new(&account(), |outlet: Outlet| async move {
        outlet.send(Bytes::from_static(b"data: 1\n\n")).await;
        Reply::stream(Stream::new(outlet.account(), |_| async { Err(Aborted) }))
    });
    let Body::Events(stream) = exchange.reply().await.body else { panic!("no stream") };
    assert_eq!(all(stream).await, Err(Aborted));
}

/// Counts requests that were dropped before their end.
struct Dropped(Arc<AtomicU32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_leaves_stops_the_request_unless_it_goes_on_alone() {
    for (events_first, goes_on) in [(false, false), (false, true), (true, false), (true, true)] {
        let (count, wake, finished) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (dropped, woken, ended) = (Dropped(count.clone()), wake.clone(), finished.clone());
        let exchange = Exchange::new(&account(), move |outlet| async move {
            let _dropped = dropped;
            if goes_on {
                outlet.go_on_alone();
            }
            if events_first {
                outlet.send(Bytes::from_static(b"data: 1\n\n")).await;
            }
            woken.notified().await;
            ended.notify_one();
            done()
        });
        if events_first {
            drop(exchange.reply().await);
        } else {
            tokio::select! {
                biased;
                _ = exchange.reply() => panic!("nothing has ended it"),
                () = tokio::task::yield_now() => {}
            }
        }
        wake.notify_one();
        if goes_on {
            finished.notified().await;
        } else {
            while count.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            let unfinished = tokio::time::timeout(std::time::Duration::from_millis(20), finished.notified()).await;
            assert!(unfinished.is_err(), "it went on: {events_first}");
        }
    }
}
