//! Server-sent events as they come: each message on its own, the comments between them, and the end.
//!
//! Reads what it is asked for and not more, so that a test is a client that reads slowly if it wants to be. Waits for a
//! while at most, and fails where a client would be wronged: an id, which would promise that the stream can be resumed.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

/// How long the next piece of a stream may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that is being read.
#[derive(Debug)]
pub struct Events {
    response: Response,
    /// Read, and not yet a whole piece.
    pending: Vec<u8>,
}

/// What comes between two empty lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Comment(String),
    Event { name: String, data: String },
}

impl Events {
    /// The stream that a reply is.
    #[track_caller]
    pub fn of(response: Response) -> Self {
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        assert_eq!((response.status().as_u16(), kind), (200, Some("text/event-stream")), "{response:?}");
        Self { response, pending: Vec::new() }
    }

    /// A header of the reply.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next piece, or none at the end.
    ///
    /// # Errors
    ///
    /// When the stream breaks off.
    pub async fn try_piece(&mut self) -> reqwest::Result<Option<Piece>> {
        loop {
            if let Some(length) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let text: Vec<u8> = self.pending.drain(..length + 2).collect();
                let text = std::str::from_utf8(&text[..length]).expect("events are UTF-8");
                return Ok(Some(Piece::parse(text)));
            }
            let more = timeout(PATIENCE, self.response.chunk()).await.expect("something comes in time")?;
            let Some(more) = more else {
                assert!(self.pending.is_empty(), "the stream ends inside an event");
                return Ok(None);
            };
            self.pending.extend_from_slice(&more);
        }
    }

    /// The next piece, or none at the end of a stream that does not break off.
    pub async fn piece(&mut self) -> Option<Piece> {
        self.try_piece().await.expect("the stream does not break off")
    }

    /// The next message, whatever comments come before it; none at the end.
    pub async fn message(&mut self) -> Option<Value> {
        loop {
            match self.piece().await? {
                Piece::Comment(_) => {}
                Piece::Event { name, data } => {
                    assert_eq!(name, "message", "{data}");
                    return Some(serde_json::from_str(&data).expect("a message is JSON"));
                }
            }
        }
    }

    /// The next message, which must be a notification of this method; its parameters.
    pub async fn notice(&mut self, method: &str) -> Value {
        let message = self.message().await.expect("the stream goes on");
        assert_eq!(message["method"], method, "{message}");
        assert!(message.get("id").is_none(), "a notification has no id: {message}");
        message["params"].clone()
    }

    /// All messages up to the end.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await {
            messages.push(message);
        }
        messages
    }
}

impl Piece {
    fn parse(text: &str) -> Self {
        if let Some(comment) = text.strip_prefix(':') {
            return Self::Comment(comment.trim().to_owned());
        }
        let (mut name, mut data) = ("message", String::new());
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("event", said)) => name = said,
                Some(("data", said)) => data.push_str(said),
                _ => panic!("no stream here has a line such as {line:?}"),
            }
        }
        Self::Event { name: name.to_owned(), data }
    }
}
