//! What goes back to a client: a status, a few headers, and bytes that pay for themselves.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use stockade_ledger::Account;

use super::events;
use super::exchange::Stream;

/// A reply to one message.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The session that begins with this reply (`Mcp-Session-Id`).
    pub session: Option<HeaderValue>,
    /// It may last, and has a place of its own among the streams.
    pub lasting: bool,
    pub body: Body,
}

/// The bytes of a reply. They hold their charge until the last clone of them is dropped.
#[derive(Debug)]
pub enum Body {
    /// JSON; empty where there is nothing to say.
    Whole(Bytes),
    /// JSON that is written while it is made.
    Stream(Stream),
    /// Server-sent events (HTML standard, section 9.2).
    Events(Stream),
}

impl Reply {
    /// A result.
    pub fn json(bytes: Bytes) -> Self {
        Self::new(StatusCode::OK, Body::Whole(bytes))
    }

    /// A result that is written while it is made.
    pub fn stream(stream: Stream) -> Self {
        Self::new(StatusCode::OK, Body::Stream(stream))
    }

    /// Events, to the end of the stream.
    pub fn events(stream: Stream) -> Self {
        Self::new(StatusCode::OK, Body::Events(stream))
    }

    /// Events for as long as the client listens.
    pub fn lasting(stream: Stream) -> Self {
        Self { lasting: true, ..Self::events(stream) }
    }

    /// Nothing but a status.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::Whole(Bytes::new()))
    }

    /// Nothing, since nobody waits for it any more; a stream that has begun ends with it.
    pub fn cancelled() -> Self {
        Self::empty(StatusCode::ACCEPTED)
    }

    /// A result for a client that takes nothing but events. An error keeps its status, and stays as it is.
    pub fn into_events(self, account: &Account) -> Self {
        let is_whole = matches!(&self.body, Body::Whole(bytes) if bytes.is_empty());
        if self.status != StatusCode::OK || is_whole || matches!(self.body, Body::Events(_)) {
            return self;
        }
        let Self { status, retry_after, session, lasting, body } = self;
        let stream =
            Stream::new(
                account,
                move |outlet| async move { events::write_reply(&outlet, Self::new(status, body)).await },
            );
        Self { status, retry_after, session, lasting, body: Body::Events(stream) }
    }

    fn new(status: StatusCode, body: Body) -> Self {
        Self { status, retry_after: None, session: None, lasting: false, body }
    }
}
