use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use stockade_ledger::{Account, Ledger, Spec};

use super::{Bounds, Error, read};

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, wait: Duration::from_secs(10) };

/// A body that sends the same piece so many times, then stays open or ends.
struct Pieces {
    piece: &'static [u8],
    left: usize,
    ends: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match (self.left, self.ends) {
            (0, true) => Poll::Ready(None),
            (0, false) => Poll::Pending,
            _ => {
                self.left -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.piece)))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn account(bytes: u64) -> Account {
    Ledger::new(bytes).account(Spec { name: "requests".into(), ceiling: bytes, floor: 0 }).unwrap()
}

fn body(piece: &'static [u8], left: usize, ends: bool) -> Body {
    Body::new(Pieces { piece, left, ends })
}

#[tokio::test]
async fn a_body_is_paid_for_until_it_is_dropped() {
    let account = account(1 << 22);
    let received = read(&HeaderMap::new(), body(b"0123456789", 1000, true), BOUNDS, &account).await.unwrap();
    assert_eq!(received.bytes.len(), 10_000);
    assert!(account.used() >= 20_000, "the bytes, and what may be copied out of them");
    drop(received);
    assert_eq!(account.used(), 0);
}

#[tokio::test]
async fn too_much_is_refused_when_announced_and_when_sent() {
    let account = account(1 << 22);
    let mut headers = HeaderMap::new();
    headers.insert("content-length", "1048577".parse().unwrap());
    let never_sent = read(&headers, body(b"", 0, false), BOUNDS, &account).await;
    assert!(matches!(never_sent, Err(Error::TooLarge)));
    let sent = read(&HeaderMap::new(), body(&[b'x'; 4096], 257, true), BOUNDS, &account).await;
    assert!(matches!(sent, Err(Error::TooLarge)));
    let exact = read(&HeaderMap::new(), body(&[b'x'; 4096], 256, true), BOUNDS, &account).await;
    assert_eq!(exact.unwrap().bytes.len(), 1 << 20);
    assert_eq!(account.used(), 0);
}

#[tokio::test]
async fn a_full_account_refuses() {
    let account = account(10_000);
    let others = account.charge(5_000).unwrap();
    let refused = read(&HeaderMap::new(), body(&[b'x'; 1024], 9, true), BOUNDS, &account).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    assert_eq!(account.used(), others.bytes());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let account = account(1 << 22);
    let began = tokio::time::Instant::now();
    let slow = read(&HeaderMap::new(), body(b"x", 3, false), BOUNDS, &account).await;
    assert!(matches!(slow, Err(Error::TooSlow)));
    assert_eq!(began.elapsed(), BOUNDS.wait);
    assert_eq!(account.used(), 0);
}
