//! `/metrics`: the figures of the host, in the text format of Prometheus (version 0.0.4).
//!
//! Labels are bounded: accounts, levels, functions and limits are fixed lists, and of agents those with the first
//! [`AGENTS_MAX`] names have labels of their own; all others are one, `_OTHER`. Nothing that a client sends becomes a label.

mod families;

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use stockade_ledger::Account;

use super::App;
use super::reply::closing;
use super::route::Desk;
use super::status::observer;
use crate::mcp::buffer::{Buffer, Overflow};

/// Agents with labels of their own.
const AGENTS_MAX: usize = 200;

/// Bytes of one answer: that many agents, each with every function and a few ways to end.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// The same when memory is at its end: some tens of agents, a quarter of what is kept for health.
const ANSWER_BYTES_AT_WORST_MAX: u64 = 256 << 10;

/// Answers an operator, or whoever watches the host for one.
pub async fn metrics(State(desk): State<Desk>, request: Request) -> Response {
    if let Err(refused) = observer(&desk, &request.into_parts().0) {
        return *refused;
    }
    let app = &desk.app;
    let settings = &app.settings;
    // When nothing is left for replies, a short answer may still come from what is kept for health.
    let written = write(app, &settings.replies, ANSWER_BYTES_MAX)
        .or_else(|_| write(app, &settings.health, ANSWER_BYTES_AT_WORST_MAX));
    match written {
        Ok(body) => {
            let mut response = Response::new(body.into_bytes().into());
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(prometheus_text::CONTENT_TYPE));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(Some(Overflow::Refused(refusal))) => closing(app.mcp.refuse_unpaid(&refusal), None),
        Err(overflow) => {
            let text = format!("the metrics cannot be written: {overflow:?}");
            closing(app.mcp.refuse(StatusCode::INTERNAL_SERVER_ERROR, &text), None)
        }
    }
}

fn write(app: &Arc<App>, account: &Account, bytes_max: u64) -> Result<Buffer, Option<Overflow>> {
    let mut registry = Registry::with_prefix("stockade");
    registry.register_collector(Box::new(families::Host(app.clone())));
    let mut text = Text { buffer: Buffer::new(account, bytes_max), overflow: None };
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => Ok(text.buffer),
        Err(fmt::Error) => Err(text.overflow),
    }
}

/// Text that pays for itself.
struct Text {
    buffer: Buffer,
    overflow: Option<Overflow>,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.buffer.extend(text.as_bytes()).map_err(|overflow| {
            self.overflow = Some(overflow);
            fmt::Error
        })
    }
}
