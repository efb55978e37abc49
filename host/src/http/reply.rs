//! A reply of MCP as HTTP: headers, and a body that is whole or comes piece by piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;

use super::gate;
use super::socket::Head;
use crate::access::Place;
use crate::mcp::{self, Aborted, Reply, SESSION, Stream};

/// Tells nginx and those who learned it from there not to hold events back (spec 2026-07-28, Receiving Messages).
const ACCEL_BUFFERING: &str = "x-accel-buffering";

/// The connection that a request came on: a body that breaks off breaks it off.
#[derive(Debug, Clone)]
pub struct Connection(pub Arc<Head>);

/// What a reply holds besides its bytes, until the last of them has been written.
#[derive(Debug)]
pub struct Held {
    pub connection: Option<Connection>,
    pub place: Option<Arc<Place>>,
}

/// A reply as HTTP.
pub fn response(reply: Reply, page: gate::Page, held: Held) -> Response {
    let Reply { status, retry_after, session, lasting, body } = reply;
    // What has a place among the streams gives the one among the requests back.
    let held = if lasting { Held { place: None, ..held } } else { held };
    let (body, kind) = match body {
        mcp::Body::Whole(bytes) if bytes.is_empty() => (Body::empty(), None),
        mcp::Body::Whole(bytes) => (Body::from(keep(bytes, held.place)), Some("application/json")),
        mcp::Body::Stream(stream) => (Body::new(Streaming::new(stream, held, None)), Some("application/json")),
        mcp::Body::Events(stream) => (Body::new(Streaming::new(stream, held, None)), Some("text/event-stream")),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if kind == Some("text/event-stream") {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    if let Some(after) = retry_after {
        headers.insert(RETRY_AFTER, seconds(after).into());
    }
    if let Some(session) = session {
        headers.insert(SESSION, session);
    }
    if let Some(page) = page {
        gate::admit(&mut response, page);
    }
    response
}

/// A reply to a request that holds nothing.
pub fn plain(reply: Reply, page: gate::Page) -> Response {
    response(reply, page, Held { connection: None, place: None })
}

/// A reply to a request whose body nobody reads, after which the connection can only end.
pub fn closing(reply: Reply, page: gate::Page) -> Response {
    let mut response = plain(reply, page);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// In whole seconds, rounded up, at least one.
pub fn seconds(after: Duration) -> u64 {
    (after.as_millis() as u64).div_ceil(1000).max(1)
}

/// A body that comes piece by piece. hyper asks for the next one only when the client has taken most of those before.
pub struct Streaming {
    stream: Stream,
    held: Held,
    /// Bytes to come, where the head says how many there are. With the last of them it is whole, and nobody asks for more.
    left: Option<u64>,
    ended: bool,
}

impl Streaming {
    /// `length` is what the head promises as `Content-Length`, if it does.
    pub fn new(stream: Stream, held: Held, length: Option<u64>) -> Self {
        if let Some(Connection(head)) = &held.connection {
            head.set_streaming(true);
        }
        Self { stream, held, left: length, ended: length == Some(0) }
    }
}

impl Drop for Streaming {
    /// Whatever stopped it before its end (a stall, a drain that is over, a failure): nobody may take it for whole.
    fn drop(&mut self) {
        let Some(Connection(head)) = &self.held.connection else { return };
        head.set_streaming(false);
        if !self.ended {
            head.abort();
        }
    }
}

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let next = this.stream.poll_next(cx);
        match &next {
            Poll::Ready(None) => this.ended = true,
            Poll::Ready(Some(Ok(bytes))) => {
                this.left = this.left.map(|left| left.saturating_sub(bytes.len() as u64));
                this.ended |= this.left == Some(0);
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        next.map(|next| next.map(|bytes| bytes.map(Frame::data).map_err(|Aborted| Broken)))
    }
}

/// The end of a body that broke off: hyper then closes the connection without the last chunk.
#[derive(Debug, thiserror::Error)]
#[error("the reply broke off")]
pub struct Broken;

/// Ties a place to the bytes of a reply, wherever they wait to be sent.
fn keep(body: Bytes, place: Option<Arc<Place>>) -> Bytes {
    struct Placed {
        body: Bytes,
        _place: Arc<Place>,
    }
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            &self.body
        }
    }
    match place {
        Some(place) => Bytes::from_owner(Placed { body, _place: place }),
        None => body,
    }
}

#[cfg(test)]
mod tests;
