//! A question to a running host, by its operator: one request, bounded in time and size.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, HttpBody as _};
pub use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::access::Token;

/// What is asked.
#[derive(Debug)]
pub struct Question {
    method: Method,
    path: String,
    body: String,
}

impl Question {
    /// What a path says.
    pub fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: String::new() }
    }

    /// To change what a path says, by these fields.
    pub fn patch(path: &str, fields: String) -> Self {
        Self { method: Method::PATCH, path: path.to_owned(), body: fields }
    }
}

/// Time for the whole answer.
const WAIT: Duration = Duration::from_secs(10);

/// Bytes of an answer: several times what a host has in one page.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Asks the host at this address, and answers with status and body.
///
/// # Errors
///
/// When nobody is there, or the answer is too slow or too long.
pub async fn ask(address: SocketAddr, question: Question, token: &Token) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let asked = tokio::time::timeout(WAIT, exchange(address, question, token)).await;
    asked.with_context(|| format!("{address} took more than {} s to answer", WAIT.as_secs()))?
}

async fn exchange(address: SocketAddr, question: Question, token: &Token) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let stream = TcpStream::connect(address).await;
    let stream =
        stream.with_context(|| format!("nobody answers at {address}; name the host's `admin` with --admin"))?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
    bearer.set_sensitive(true);
    // By a name that every host serves: an operator's address may be one that `hosts` does not list.
    let Question { method, path, body } = question;
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost").header(AUTHORIZATION, bearer);
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(piece) = frame?.into_data() else { continue };
            anyhow::ensure!(bytes.len() + piece.len() <= ANSWER_BYTES_MAX, "the answer is longer than 16 MiB");
            bytes.extend_from_slice(&piece);
        }
        Ok((head.status, bytes))
    };
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests;
