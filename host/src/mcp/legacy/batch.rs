//! Several messages in one POST, as JSON-RPC has it; MCP had it until 2025-03-26.
//!
//! They are served one after the other, and their replies are collected into one. There is no stream to say anything on
//! before that, so agents are neither followed nor able to ask.

use std::sync::Arc;

use http::StatusCode;
use serde_json::value::RawValue;

use super::named_version;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::error::Error;
use crate::mcp::parse::{self, Malformed, Message};
use crate::mcp::reply::{Body, Reply};
use crate::mcp::{Post, Service, version};

/// Answers a batch.
pub async fn batch(service: &Arc<Service>, post: &Post, messages: &[&RawValue]) -> Reply {
    match check(service, post).map(|()| service.buffer()) {
        Ok(buffer) => collect(service, post, messages, buffer).await,
        Err(error) => service.fail(None, &error),
    }
}

/// Revisions that came later have no batches.
fn check(service: &Service, post: &Post) -> Result<(), Error> {
    let session = service.enter(post)?;
    let version = session.map(|session| session.client.version).or(named_version(&post.headers)?);
    if version.unwrap_or(version::WITHOUT_HEADER) <= version::NEWEST_WITH_BATCHES {
        return Ok(());
    }
    Err(Error::invalid_request("this revision has no batches: send each message as a POST of its own"))
}

async fn collect(service: &Arc<Service>, post: &Post, messages: &[&RawValue], mut replies: Buffer) -> Reply {
    let mut mark: &[u8] = b"[";
    for raw in messages {
        let (id, reply) = match parse::message(raw.get()) {
            Ok(Message::Request { id, method, .. }) if method == "initialize" => {
                let error = Error::invalid_request("`initialize` must not be part of a batch");
                (Some(id), service.fail(Some(id), &error))
            }
            Ok(message) => (id_of(&message), service.message(post, message, None).await),
            Err(Malformed { id, error }) => (id, service.fail(id, &error)),
        };
        if reply.status == StatusCode::ACCEPTED {
            continue;
        }
        let end = replies.len();
        let appended = match replies.extend(mark) {
            Ok(()) => append(&mut replies, reply.body).await,
            Err(overflow) => Err(Some(overflow)),
        };
        if let Err(overflow) = appended {
            // What does not fit is said not to fit; the others stay.
            replies.truncate(end);
            let error = overflow.map_or_else(
                || Error::internal("the resource broke off while it was read"),
                |overflow| Error::overflow(overflow, None),
            );
            let Body::Whole(said) = service.fail(id, &error).body else { unreachable!("an error is said whole") };
            if replies.extend(mark).and_then(|()| replies.extend(&said)).is_err() {
                return service.fail(None, &error);
            }
        }
        mark = b",";
    }
    if replies.is_empty() {
        return Reply::empty(StatusCode::ACCEPTED);
    }
    match replies.extend(b"]") {
        Ok(()) => Reply::json(replies.into_bytes()),
        Err(overflow) => service.fail(None, &Error::overflow(overflow, None)),
    }
}

fn id_of<'a>(message: &Message<'a>) -> Option<&'a RawValue> {
    match message {
        Message::Request { id, .. } => Some(id),
        Message::Notification { .. } | Message::Response { .. } => None,
    }
}

/// Puts a reply at the end; none of an overflow is a stream that broke off.
async fn append(replies: &mut Buffer, body: Body) -> Result<(), Option<Overflow>> {
    match body {
        Body::Whole(bytes) => replies.extend(&bytes).map_err(Some),
        Body::Stream(mut stream) | Body::Events(mut stream) => {
            while let Some(bytes) = stream.next().await {
                replies.extend(&bytes.map_err(|_| None)?).map_err(Some)?;
            }
            Ok(())
        }
    }
}
