//! `/livez`: the process answers. `/readyz`: it can do its work. Neither needs a place in flight, a Host or a body.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use super::App;
use super::route::Desk;
use crate::agent::{Failure, LimitName};
use crate::mcp::buffer::Buffer;

/// Bytes of what `/readyz` says.
const REASONS_BYTES_MAX: u64 = 4 << 10;

pub async fn livez() -> Response {
    text(StatusCode::OK, Bytes::from_static(b"ok\n"))
}

pub async fn readyz(State(desk): State<Desk>) -> Response {
    let reasons = unready(&desk.app);
    if reasons.is_empty() {
        return text(StatusCode::OK, Bytes::from_static(b"ready\n"));
    }
    let mut said = Buffer::new(&desk.app.settings.health, REASONS_BYTES_MAX);
    let said = match said.extend(reasons.as_bytes()) {
        Ok(()) => said.into_bytes(),
        Err(_) => Bytes::from_static(b"not ready\n"),
    };
    text(StatusCode::SERVICE_UNAVAILABLE, said)
}

/// Why requests should go elsewhere now, a line each; empty when they need not. An agent that cannot be loaded is no
/// such reason: it will not get better, and the others work.
fn unready(app: &App) -> String {
    let mut reasons = String::new();
    if app.draining.load(Ordering::Relaxed) {
        reasons.push_str("shutting down\n");
    }
    if !app.agents.settled() {
        reasons.push_str("agents are being loaded:");
        for agent in app.agents.all() {
            if let Err(Failure::Refused(limit)) = agent.offer()
                && limit.limit == LimitName::Loading
                && (reasons.len() as u64) < REASONS_BYTES_MAX / 2
            {
                let _ = write!(reasons, " {}", agent.name());
            }
        }
        reasons.push('\n');
    }
    reasons
}

fn text(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
