//! A request's body, read under a cap, a charge and a deadline.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use stockade_ledger::{Account, Charge, Refusal};

use crate::mcp::buffer::{Buffer, Overflow};

/// A whole body.
#[derive(Debug)]
pub struct Received {
    pub bytes: Buffer,
    /// Pays for what is copied out of the body while it is answered: a string with escapes, a prompt's arguments. All
    /// copies together are never longer than the body.
    pub copies: Charge,
}

/// How a body is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub bytes: u64,
    /// For the whole body to arrive.
    pub wait: Duration,
}

/// Why there is no body.
#[derive(Debug)]
pub enum Error {
    TooLarge,
    TooSlow,
    Refused(Refusal),
    /// The client is gone, or does not speak HTTP.
    Broken(axum::Error),
}

/// Reads a whole body. What the client announces is believed only when it is too much: bytes are charged as they come.
pub async fn read(headers: &HeaderMap, body: Body, bounds: Bounds, account: &Account) -> Result<Received, Error> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bounds.bytes) {
        return Err(Error::TooLarge);
    }
    let reading = tokio::time::timeout(bounds.wait, collect(body, bounds.bytes, account));
    let bytes = reading.await.map_err(|_| Error::TooSlow)??;
    let copies = account.charge(bytes.len() as u64).map_err(Error::Refused)?;
    Ok(Received { bytes, copies })
}

async fn collect(mut body: Body, bytes_max: u64, account: &Account) -> Result<Buffer, Error> {
    let mut buffer = Buffer::new(account, bytes_max);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        // Trailers say nothing to us.
        let Ok(piece) = frame.map_err(Error::Broken)?.into_data() else { continue };
        buffer.extend(&piece).map_err(|overflow| match overflow {
            Overflow::Cap { .. } => Error::TooLarge,
            Overflow::Refused(refusal) => Error::Refused(refusal),
        })?;
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests;
