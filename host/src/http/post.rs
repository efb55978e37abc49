//! One MCP message by POST: the checks that need no message, the body, the answer. And the two other verbs of MCP's paths:
//! GET for the stream of a session, DELETE for its end.
//!
//! The place among the requests in flight is given back with the last byte of the reply, not with its first; a stream that
//! may last has a place of another kind instead.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::accept;
use super::identify::{Schemes, identify};
use super::reply::{Connection, Held, closing, plain, response};
use super::route::{Admission, Desk};
use super::{App, body, gate};
use crate::access::{Place, Principal};
use crate::agent::Unit;
use crate::mcp::{Accept, HostLimit, Post, Reply, Scope, amount};

/// When to come back if all places are taken.
const RETRY_AFTER_MS: u64 = 1_000;

/// Answers a POST to an MCP endpoint.
pub async fn answer(desk: &Desk, scope: Scope, request: Request) -> Response {
    let connection = request.extensions().get::<Connection>().cloned();
    let (post, page) = match receive(desk, scope, request, accept::of_post).await {
        Ok(received) => received,
        Err(refused) => return refused,
    };
    let place = Some(post.place.clone());
    let reply = desk.app.mcp.answer(post).await;
    response(reply, page, Held { connection, place })
}

/// Takes a message for a session of the transport of 2024-11-05.
pub async fn deliver(desk: &Desk, scope: Scope, request: Request) -> Response {
    let named = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let session = named.into_iter().find(|(key, _)| key == "sessionId").map(|(_, name)| name.into_owned());
    match receive(desk, scope, request, |_| Some(Accept::Either)).await {
        Ok((post, page)) => plain(desk.app.mcp.post_to_pair(&session.unwrap_or_default(), post), page),
        Err(refused) => refused,
    }
}

/// Opens the stream that a GET asks for; `allowed` are the methods of its path.
pub fn open(
    desk: &Desk,
    request: &Parts,
    allowed: &'static str,
    open: impl FnOnce(&HeaderMap, &Arc<Principal>) -> Reply,
) -> Response {
    let (principal, page) = match come_in(desk, request) {
        Ok(who) => who,
        Err(refused) => return *refused,
    };
    let reply = match bears(&desk.app) {
        Err(full) => *full,
        Ok(()) if accept::takes_events(&request.headers) => open(&request.headers, &principal),
        Ok(()) => {
            let text = "MCP is served by POST; a GET must accept text/event-stream";
            desk.app.mcp.refuse(StatusCode::METHOD_NOT_ALLOWED, text)
        }
    };
    let connection = request.extensions.get::<Connection>().cloned();
    allowing(response(reply, page, Held { connection, place: None }), allowed)
}

/// Says which methods a path has, where one was used that it has not (RFC 9110, 15.5.6).
fn allowing(mut response: Response, allowed: &'static str) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

/// Ends the session that a DELETE names.
pub fn end(desk: &Desk, scope: &Scope, request: &Parts, allowed: &'static str) -> Response {
    match come_in(desk, request) {
        Ok((principal, page)) => {
            let reply = desk.app.mcp.end_session(scope, &request.headers, &principal);
            allowing(plain(reply, page), allowed)
        }
        Err(refused) => *refused,
    }
}

/// Who asks, if they may come in at all.
pub fn come_in(desk: &Desk, request: &Parts) -> Result<(Arc<Principal>, gate::Page), Box<Response>> {
    let app = &desk.app;
    let page = app.settings.gate.check(&request.uri, &request.headers);
    let page = page.map_err(|denied| closing(app.mcp.refuse(StatusCode::FORBIDDEN, &denied.to_string()), None))?;
    match identify(&app.settings.access, desk.reach, request, Schemes::Bearer) {
        Ok(principal) if desk.admission == Admission::Open => Ok((principal, page)),
        Ok(_) => Err(Box::new(closing(connections_full(desk), page))),
        Err(unauthorized) => Err(Box::new(unauthorized.refuse(&app.mcp, page))),
    }
}

/// Reads a message, if it may come in and there is room for it. `takes` says what the client takes as a reply.
async fn receive(
    desk: &Desk,
    scope: Scope,
    request: Request,
    takes: impl FnOnce(&HeaderMap) -> Option<Accept>,
) -> Result<(Post, gate::Page), Response> {
    let app = &desk.app;
    let (parts, body) = request.into_parts();
    let (principal, page) = come_in(desk, &parts).map_err(|refused| *refused)?;
    let (accept, place) = match admit(app, &parts.headers, &principal, takes) {
        Ok(admitted) => admitted,
        Err(reply) => return Err(closing(*reply, page)),
    };
    let bounds = body::Bounds { bytes: app.settings.limits.body, wait: app.settings.limits.body_wait };
    let received = match body::read(&parts.headers, body, bounds, &app.settings.requests).await {
        Ok(received) => received,
        Err(error) => return Err(closing(refuse_body(app, error), page)),
    };
    let body::Received { bytes, copies } = received;
    let place = Arc::new(place);
    let post = Post { scope, headers: own_headers(&parts.headers), body: bytes, copies, principal, accept, place };
    Ok((post, page))
}

/// The headers that MCP reads. A post may outlive its head, whose charge pays for all the others: they stay behind.
fn own_headers(headers: &HeaderMap) -> HeaderMap {
    let own = headers.iter().filter(|(name, _)| name.as_str().starts_with("mcp-"));
    // A copy, since values are parts of the head as it came.
    own.map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).expect("it was one before")))
        .collect()
}

/// Refuses what is new while memory is really at its end; what runs goes on. Messages are looked at first: some of them end
/// what runs.
pub fn bears(app: &App) -> Result<(), Box<Reply>> {
    app.mcp.out_of_memory().map_or(Ok(()), |limit| Err(app.mcp.refuse_at_limit(limit).into()))
}

/// Takes a place in flight, if the request could be one of ours at all.
fn admit(
    app: &App,
    headers: &HeaderMap,
    principal: &Arc<Principal>,
    takes: impl FnOnce(&HeaderMap) -> Option<Accept>,
) -> Result<(Accept, Place), Box<Reply>> {
    if !is_json(headers) {
        let text = "the body must be JSON: send `content-type: application/json`";
        return Err(app.mcp.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into());
    }
    let Some(accept) = takes(headers) else {
        let text = "the reply is JSON, or events: `accept` must allow application/json or text/event-stream";
        return Err(app.mcp.refuse(StatusCode::NOT_ACCEPTABLE, text).into());
    };
    let place = app.in_flight.take(principal).map_err(|full| app.mcp.refuse_full(&full))?;
    Ok((accept, place))
}

fn connections_full(desk: &Desk) -> Reply {
    let cap = desk.connections as u64;
    desk.app.mcp.refuse_at_limit(HostLimit {
        agent: None,
        version: None,
        limit: "connections",
        unit: "connections",
        cap,
        used: cap,
        wanted: 1,
        retry_after_ms: Some(RETRY_AFTER_MS),
    })
}

pub fn refuse_body(app: &App, error: body::Error) -> Reply {
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

#[cfg(test)]
mod tests;
