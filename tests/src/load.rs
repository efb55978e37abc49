//! A load of a stated size over a stated number of connections, and what became of it.
//!
//! Each connection sends one request at a time over HTTP/1.1, kept alive, and begins the next one only when the reply's
//! last byte is there. Never retries: a request that fails is counted as failed.
//!
//! Below it stands what the command `load` is made of: loads that are about memory rather than time, each a module with
//! a `run` that starts a [`host`], puts the load on it over raw sockets ([`wire`], [`ask`]) and gives [`figures`]. The
//! command is a process of its own, so nothing it does is the host's.

pub mod ask;
pub mod bare;
pub mod document;
pub mod figures;
pub mod host;
pub mod initializes;
pub mod publish;
pub mod publish_crash;
pub mod read;
pub mod stalled;
pub mod streams;
pub mod uploads;
pub mod wire;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A reply that takes longer is a failure of its connection.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of the first failed reply a report keeps.
const FAILURE_SHOWN_CHARACTERS_MAX: usize = 500;

/// The revision whose headers and `_meta` the requests carry.
const REVISION: &str = "2026-07-28";

/// What the command `load` can do, in the order it does all of it.
pub const LOADS: [&str; 7] = ["initializes", "streams", "read", "stalled", "caps", "sockets", "churn"];

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections open at a time, each with at most one request under way.
    pub connections: usize,
    /// Requests in all.
    pub requests: u64,
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Report {
    /// Time from the first byte of each successful request to the last of its reply, ascending.
    pub latencies: Vec<Duration>,
    /// How many requests failed, and how.
    pub failures: BTreeMap<Failure, u64>,
    /// What the first failure said.
    pub first_failure: Option<String>,
    /// From the first request to the last reply, connecting included.
    pub elapsed: Duration,
    /// Size of the largest reply's body.
    pub reply_bytes_max: usize,
}

/// Why a request did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Refused, reset, or silent for too long.
    Connection,
    /// A reply that is not a JSON-RPC response.
    Status(u16),
    /// A JSON-RPC error.
    Error {
        /// HTTP status it came with.
        status: u16,
        /// JSON-RPC error code.
        code: i64,
    },
    /// A tool's result with `isError`.
    Tool,
}

impl Load {
    /// Sends `request(0)`, `request(1)`, ... to `address` (`host:port`) until all are answered.
    pub async fn run<F>(self, address: &str, request: F) -> Report
    where
        F: Fn(u64) -> Request<Full<Bytes>> + Send + Sync + 'static,
    {
        let source = Arc::new((AtomicU64::new(0), request));
        let started = Instant::now();
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let (source, address) = (source.clone(), address.to_string());
            let next = move || {
                let number = source.0.fetch_add(1, Ordering::Relaxed);
                (number < self.requests).then(|| (source.1)(number))
            };
            connections.spawn(connection(address, next));
        }
        let mut report = Report::default();
        while let Some(part) = connections.join_next().await {
            report.add(part.expect("a connection's task neither panics nor is aborted"));
        }
        report.elapsed = started.elapsed();
        report.latencies.sort_unstable();
        report
    }
}

impl Report {
    /// The latency that `fraction` of the successful requests stayed within; zero if none succeeded.
    pub fn quantile(&self, fraction: f64) -> Duration {
        let rank = (fraction * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Successful requests per second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Fails, with what failed first, unless every request succeeded.
    pub fn all_succeeded(&self) -> Result<()> {
        let first = self.first_failure.as_deref().unwrap_or_default();
        ensure!(self.failures.is_empty(), "failed: {:?}; first: {first}", self.failures);
        Ok(())
    }

    /// Takes over the figures of `other`; the times are one after the other, the order of latencies is lost.
    fn add(&mut self, other: Report) {
        self.latencies.extend(other.latencies);
        for (failure, count) in other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.reply_bytes_max = self.reply_bytes_max.max(other.reply_bytes_max);
    }

    fn count(&mut self, outcome: Result<Reply>) {
        let (failure, said) = match outcome {
            Ok(reply) => {
                self.reply_bytes_max = self.reply_bytes_max.max(reply.body.len());
                match reply.failure() {
                    None => return self.latencies.push(reply.latency),
                    Some(failure) => (failure, String::from_utf8_lossy(&reply.body).into_owned()),
                }
            }
            Err(error) => (Failure::Connection, format!("{error:#}")),
        };
        *self.failures.entry(failure).or_default() += 1;
        self.first_failure.get_or_insert_with(|| said.chars().take(FAILURE_SHOWN_CHARACTERS_MAX).collect());
    }
}

/// A tools/call of the newest revision: arguments as JSON text, headers as the transport demands them.
pub fn tool_call(url: &str, id: u64, tool: &str, arguments: &str) -> Result<Request<Full<Bytes>>> {
    let (address, path) = split(url)?;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": { "name": "stockade-load", "version": "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
    );
    let request = Request::post(path)
        .header(HOST, address)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", REVISION)
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool);
    request.body(Full::from(body)).with_context(|| format!("no request to {url} for tool {tool}"))
}

/// `http://ADDRESS/PATH` as address and path.
pub fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
    Ok(rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)))
}

struct Reply {
    status: StatusCode,
    body: Bytes,
    latency: Duration,
}

impl Reply {
    fn failure(&self) -> Option<Failure> {
        let status = self.status.as_u16();
        let Ok(message) = serde_json::from_slice::<Value>(&self.body) else {
            return Some(Failure::Status(status));
        };
        if let Some(code) = message["error"]["code"].as_i64() {
            return Some(Failure::Error { status, code });
        }
        match &message["result"] {
            Value::Object(result) if self.status.is_success() => {
                (result.get("isError") == Some(&Value::Bool(true))).then_some(Failure::Tool)
            }
            _ => Some(Failure::Status(status)),
        }
    }
}

async fn connection(address: String, mut next: impl FnMut() -> Option<Request<Full<Bytes>>>) -> Report {
    let mut report = Report::default();
    let mut open = None;
    while let Some(request) = next() {
        let outcome = match timeout(REPLY_TIMEOUT, exchange(&address, &mut open, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("no reply within {REPLY_TIMEOUT:?}")),
        };
        if outcome.is_err() {
            open = None;
        }
        report.count(outcome);
    }
    report
}

type Sender = SendRequest<Full<Bytes>>;

async fn exchange(address: &str, open: &mut Option<Sender>, request: Request<Full<Bytes>>) -> Result<Reply> {
    // The server may close a connection after any reply; that is no failure.
    if open.as_mut().is_none_or(|sender| sender.is_closed()) {
        *open = Some(connect(address).await?);
    }
    let sender = open.as_mut().context("opened above")?;
    sender.ready().await.context("the connection closed before the request")?;
    let started = Instant::now();
    let response = sender.send_request(request).await.context("the connection closed before the reply")?;
    let status = response.status();
    let body = response.into_body().collect().await.context("the connection closed inside the reply")?.to_bytes();
    Ok(Reply { status, body, latency: started.elapsed() })
}

async fn connect(address: &str) -> Result<Sender> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with its sender; what goes wrong in it, the sender reports.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests;
