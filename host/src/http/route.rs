//! The one table of paths.
//!
//! | Path | Public | Admin |
//! |---|---|---|
//! | `/mcp`, `/mcp/{agent}` | POST, and OPTIONS for browsers | – |
//! | `/livez`, `/readyz` | GET | GET |
//! | `/status` | – | GET, operators only |

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get};

use super::identify::Reach;
use super::{App, Audience, health, post, status};
use crate::mcp::Scope;

/// Whether the connection a request came on has a regular seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Open,
    /// All seats are taken: only health is answered.
    Full,
}

/// What a handler is given.
#[derive(Clone)]
pub struct Desk {
    pub app: Arc<App>,
    pub reach: Reach,
    pub admission: Admission,
}

pub fn table(audience: Audience, desk: Desk) -> Router {
    let health = Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz));
    let routes = match audience {
        Audience::Public => health.route("/mcp", any(all)).route("/mcp/{agent}", any(one)),
        Audience::Admin => health.route("/status", get(status::status)),
    };
    routes.fallback(unknown).with_state(desk)
}

async fn all(State(desk): State<Desk>, request: Request) -> Response {
    endpoint(desk, Scope::All, request).await
}

async fn one(State(desk): State<Desk>, Path(agent): Path<String>, request: Request) -> Response {
    endpoint(desk, Scope::One(&agent), request).await
}

async fn endpoint(desk: Desk, scope: Scope<'_>, request: Request) -> Response {
    match *request.method() {
        Method::POST => post::answer(&desk, scope, request).await,
        Method::OPTIONS => desk.app.settings.gate.preflight(request.headers()),
        // No stream to open and no session to end: 2026-07-28 has neither, and before it both were optional.
        _ => {
            let reply = desk.app.mcp.refuse(StatusCode::METHOD_NOT_ALLOWED, "MCP is served by POST alone");
            let mut response = post::response(reply, None);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            response
        }
    }
}

async fn unknown(uri: Uri) -> Response {
    tracing::debug!(path = uri.path(), "no such path");
    let text = r#"{"error":"no such path: MCP is served at /mcp and /mcp/{agent}, health at /livez and /readyz"}"#;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
