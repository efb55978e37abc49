//! One MCP message by POST: the checks that need no message, the body, the answer.
//!
//! The place among the requests in flight is given back with the last byte of the reply, not with its first.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::identify::identify;
use super::route::{Admission, Desk};
use super::{App, body, gate};
use crate::agent::Unit;
use crate::mcp::{HostLimit, Post, Reply, Scope, amount};

/// When to come back if all places are taken.
const RETRY_AFTER_MS: u64 = 1_000;

/// Answers a POST to an MCP endpoint.
pub async fn answer(desk: &Desk, scope: Scope<'_>, request: Request) -> Response {
    let app = &desk.app;
    let (parts, body) = request.into_parts();
    let page = match app.settings.gate.check(&parts.uri, &parts.headers) {
        Ok(page) => page,
        Err(denied) => return closing(app.mcp.refuse(StatusCode::FORBIDDEN, &denied.to_string()), None),
    };
    let principal = match identify(&app.settings.access, desk.reach, &parts) {
        Ok(principal) => principal,
        Err(unauthorized) => return unauthorized.refuse(&app.mcp, page),
    };
    let place = match admit(desk, &parts.headers) {
        Ok(place) => place,
        Err(reply) => return closing(reply, page),
    };
    let bounds = body::Bounds { bytes: app.settings.limits.body, wait: app.settings.limits.body_wait };
    let received = match body::read(&parts.headers, body, bounds, &app.settings.requests).await {
        Ok(received) => received,
        Err(error) => return closing(refuse_body(app, error), page),
    };
    let post = Post { scope, headers: &parts.headers, body: received.bytes.as_ref(), principal };
    let reply = app.mcp.answer(post).await;
    response(Reply { body: keep(reply.body, place), ..reply }, page)
}

/// Takes a place in flight, if the request could be one of ours at all.
fn admit(desk: &Desk, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Reply> {
    let app = &desk.app;
    if desk.admission == Admission::Full {
        return Err(at_limit(app, "connections", "connections", app.settings.limits.connections));
    }
    if !is_json(headers) {
        let text = "the body must be JSON: send `content-type: application/json`";
        return Err(app.mcp.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if !accepts_json(headers) {
        let text = "the reply is JSON: `accept` must allow application/json";
        return Err(app.mcp.refuse(StatusCode::NOT_ACCEPTABLE, text));
    }
    let place = app.in_flight.clone().try_acquire_owned();
    place.map_err(|_| at_limit(app, "in-flight", "requests", app.settings.limits.in_flight))
}

fn at_limit(app: &App, limit: &'static str, unit: &'static str, cap: u32) -> Reply {
    let cap = u64::from(cap);
    app.mcp.refuse_at_limit(HostLimit {
        agent: None,
        version: None,
        limit,
        unit,
        cap,
        used: cap,
        wanted: 1,
        retry_after_ms: Some(RETRY_AFTER_MS),
    })
}

fn refuse_body(app: &App, error: body::Error) -> Reply {
    match error {
        body::Error::TooLarge => {
            let cap = amount(app.settings.limits.body, Unit::Bytes);
            let text = format!("the body is larger than the limit `http.body` of {cap}");
            app.mcp.refuse(StatusCode::PAYLOAD_TOO_LARGE, &text)
        }
        body::Error::TooSlow => {
            let wait = amount(app.settings.limits.body_wait.as_millis() as u64, Unit::Milliseconds);
            let text = format!("the body took longer than the limit `http.body_wait` of {wait}");
            app.mcp.refuse(StatusCode::REQUEST_TIMEOUT, &text)
        }
        body::Error::Refused(refusal) => app.mcp.refuse_unpaid(&refusal),
        body::Error::Broken(error) => {
            app.mcp.refuse(StatusCode::BAD_REQUEST, &format!("the body could not be read: {error}"))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A client that says nothing takes anything. One that wants streams only would not understand us.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    let is_json = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        ["application/json", "application/*", "*/*"].iter().any(|json| json.eq_ignore_ascii_case(range))
    };
    !headers.contains_key(ACCEPT) || ranges.any(is_json)
}

/// A reply as HTTP.
pub fn response(reply: Reply, page: gate::Page) -> Response {
    let Reply { status, retry_after, body } = reply;
    let is_empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !is_empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(after) = retry_after {
        headers.insert(RETRY_AFTER, seconds(after).into());
    }
    if let Some(page) = page {
        gate::admit(&mut response, page);
    }
    response
}

/// A reply to a request whose body nobody reads, after which the connection can only end.
pub fn closing(reply: Reply, page: gate::Page) -> Response {
    let mut response = response(reply, page);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// In whole seconds, rounded up, at least one.
fn seconds(after: Duration) -> u64 {
    (after.as_millis() as u64).div_ceil(1000).max(1)
}

/// Ties a place to the bytes of a reply, wherever they wait to be sent.
fn keep(body: Bytes, place: OwnedSemaphorePermit) -> Bytes {
    struct Placed {
        body: Bytes,
        _place: OwnedSemaphorePermit,
    }
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            &self.body
        }
    }
    Bytes::from_owner(Placed { body, _place: place })
}

#[cfg(test)]
mod tests;
