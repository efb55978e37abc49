//! Server-sent events: how messages stand in a stream (HTML standard, section 9.2).
//!
//! A message is one `data:` line, since our JSON has no line breaks; a large reply is written into that line while it is
//! made. Events carry no id: a stream cannot be resumed, for a log of what was sent is memory that grows with every client
//! that may come back. Who loses a stream asks again.

use bytes::Bytes;
use serde::Serialize;
use stockade_ledger::Account;

use super::buffer::{Buffer, Overflow};
use super::exchange::{Aborted, Outlet};
use super::put;
use super::reply::{Body, Reply};

const BEGIN: &[u8] = b"event: message\ndata: ";
pub const END: &[u8] = b"\n\n";

/// A line that says nothing, so that nobody on the way takes a quiet stream for a dead one.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Bytes of a reply that are copied to go out in one piece with what stands around them.
const JOINED_BYTES_MAX: usize = 64 << 10;

/// A notification.
#[derive(Serialize)]
struct Notice<'a, P> {
    jsonrpc: &'static str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
}

/// A notification as an event, paid by `account`.
pub fn notice<P: Serialize>(account: &Account, method: &str, params: Option<P>) -> Result<Bytes, Overflow> {
    message(account, &Notice { jsonrpc: "2.0", method, params })
}

/// Any message as an event, paid by `account`.
pub fn message<M: Serialize>(account: &Account, message: &M) -> Result<Bytes, Overflow> {
    let mut buffer = Buffer::new(account, u64::MAX);
    buffer.extend(BEGIN)?;
    put(&mut buffer, message)?;
    buffer.extend(END)?;
    Ok(buffer.into_bytes())
}

/// An event with a name of its own.
pub fn named(account: &Account, name: &str, data: &str) -> Result<Bytes, Overflow> {
    let mut buffer = Buffer::new(account, u64::MAX);
    for piece in ["event: ", name, "\ndata: ", data, "\n\n"] {
        buffer.extend(piece.as_bytes())?;
    }
    Ok(buffer.into_bytes())
}

/// A comment.
pub fn keep_alive() -> Bytes {
    Bytes::from_static(KEEP_ALIVE)
}

/// Writes a reply as the last event of a stream.
pub async fn write_reply(outlet: &Outlet, reply: Reply) -> Result<(), Aborted> {
    match reply.body {
        Body::Whole(bytes) if bytes.is_empty() => {}
        Body::Whole(bytes) => match joined(&bytes, outlet.account()) {
            Some(event) => drop(outlet.send(event).await),
            None => {
                for piece in [Bytes::from_static(BEGIN), bytes, Bytes::from_static(END)] {
                    outlet.send(piece).await;
                }
            }
        },
        Body::Stream(mut stream) => {
            outlet.send(Bytes::from_static(BEGIN)).await;
            while let Some(bytes) = stream.next().await {
                if !outlet.send(bytes?).await {
                    return Err(Aborted);
                }
            }
            outlet.send(Bytes::from_static(END)).await;
        }
        Body::Events(mut stream) => {
            while let Some(bytes) = stream.next().await {
                if !outlet.send(bytes?).await {
                    return Err(Aborted);
                }
            }
        }
    }
    Ok(())
}

/// A small reply with what stands around it, in one piece; none where there is no room for the copy.
fn joined(reply: &Bytes, account: &Account) -> Option<Bytes> {
    if reply.len() > JOINED_BYTES_MAX {
        return None;
    }
    let charge = account.charge((BEGIN.len() + reply.len() + END.len()) as u64).ok()?;
    let mut buffer = Buffer::funded(charge);
    [BEGIN, reply, END].iter().try_for_each(|piece| buffer.extend(piece)).ok()?;
    Some(buffer.into_bytes())
}
