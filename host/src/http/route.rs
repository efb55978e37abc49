//! The one table of paths.
//!
//! | Path | Public | Admin |
//! |---|---|---|
//! | `/mcp`, `/mcp/{agent}` | POST; GET and DELETE for sessions, OPTIONS for browsers | – |
//! | `/agents/{agent}/resources` | GET | – |
//! | `/sse`, `/sse/{agent}` | GET, with `transports.sse` | – |
//! | `/messages`, `/messages/{agent}` | POST, with `transports.sse` | – |
//! | `/agents/{agent}/versions` | GET | – |
//! | `/agents/{agent}/versions/{version}` | PATCH, publishers only | – |
//! | `/agents/{agent}/rollback` | POST, publishers only | – |
//! | `/yjs/@mcp.registry` | GET, to be a WebSocket | – |
//! | `/yjs/@mcp.registry/schema.json` | GET | – |
//! | `/v2/`, and what is below it | the distribution API of OCI | – |
//! | `/livez`, `/readyz` | GET | GET |
//! | `/healthz` | GET: the level alone | GET: everything, for observers |
//! | `/metrics` | – | GET, for observers |
//! | `/status` | – | GET, operators only |
//! | `/registry`, `/registry/{agent}` | – | GET, and PATCH of one, operators only |
//!
//! Observers are operators, and on this machine itself whoever asks without a token.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get};

use super::identify::Reach;
use super::{App, Audience, entries, health, metrics, oci, post, reply, resource, status, versions, yjs};
use crate::mcp::Scope;

/// Methods of MCP's own paths.
const MCP_METHODS: &str = "POST, GET, DELETE, OPTIONS";

/// Methods of the paths of streams of 2024-11-05.
const STREAM_METHODS: &str = "GET, OPTIONS";

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
    /// Connections that the listener takes.
    pub connections: usize,
}

pub fn table(audience: Audience, desk: Desk) -> Router {
    let health = Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz));
    let mut routes = match audience {
        Audience::Public => health
            .route("/healthz", get(health::healthz))
            .route("/mcp", any(all))
            .route("/mcp/{agent}", any(one))
            .route("/agents/{agent}/resources", any(resources))
            .route("/v2", any(oci::answer))
            .route("/v2/", any(oci::answer))
            .route("/v2/{*rest}", any(oci::answer))
            .route("/agents/{agent}/versions", get(versions::all))
            .route("/agents/{agent}/versions/{version}", any(versions::one))
            .route("/agents/{agent}/rollback", any(versions::roll_back))
            .route("/yjs/{document}", any(document))
            .route("/yjs/{document}/schema.json", get(yjs::schema)),
        Audience::Admin => health
            .route("/healthz", get(health::in_full))
            .route("/metrics", get(metrics::metrics))
            .route("/status", get(status::status))
            .route("/registry", get(entries::all))
            .route("/registry/{agent}", get(entries::one).patch(entries::one)),
    };
    if audience == Audience::Public && desk.app.settings.sse {
        routes = routes
            .route("/sse", any(stream_of_all))
            .route("/sse/{agent}", any(stream_of_one))
            .route("/messages", any(message_for_all))
            .route("/messages/{agent}", any(message_for_one));
    }
    routes.fallback(unknown).with_state(desk)
}

async fn all(State(desk): State<Desk>, request: Request) -> Response {
    endpoint(desk, Scope::All, request).await
}

async fn one(State(desk): State<Desk>, Path(agent): Path<Arc<str>>, request: Request) -> Response {
    endpoint(desk, Scope::One(agent), request).await
}

async fn endpoint(desk: Desk, scope: Scope, request: Request) -> Response {
    match *request.method() {
        Method::POST => post::answer(&desk, scope, request).await,
        Method::GET => {
            let service = desk.app.mcp.clone();
            let (parts, _) = request.into_parts();
            post::open(&desk, &parts, MCP_METHODS, |headers, principal| service.open_stream(&scope, headers, principal))
        }
        Method::DELETE => post::end(&desk, &scope, &request.into_parts().0, MCP_METHODS),
        Method::OPTIONS => desk.app.settings.gate.preflight(request.headers()),
        _ => not_allowed(&desk, "MCP is served by POST, GET and DELETE", MCP_METHODS),
    }
}

async fn resources(State(desk): State<Desk>, Path(agent): Path<String>, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => resource::get(&desk, &agent, request).await,
        Method::OPTIONS => desk.app.settings.gate.preflight(request.headers()),
        _ => not_allowed(&desk, "resources are read by GET", "GET, HEAD, OPTIONS"),
    }
}

async fn stream_of_all(State(desk): State<Desk>, request: Request) -> Response {
    stream(&desk, &Scope::All, "/messages", request)
}

async fn stream_of_one(State(desk): State<Desk>, Path(agent): Path<Arc<str>>, request: Request) -> Response {
    let messages = format!("/messages/{agent}");
    stream(&desk, &Scope::One(agent), &messages, request)
}

fn stream(desk: &Desk, scope: &Scope, messages: &str, request: Request) -> Response {
    match *request.method() {
        Method::GET => {
            let service = desk.app.mcp.clone();
            let (parts, _) = request.into_parts();
            post::open(desk, &parts, STREAM_METHODS, |_, principal| service.open_pair(scope, principal, messages))
        }
        Method::OPTIONS => desk.app.settings.gate.preflight(request.headers()),
        _ => not_allowed(desk, "this path is a stream: GET it", STREAM_METHODS),
    }
}

async fn message_for_all(State(desk): State<Desk>, request: Request) -> Response {
    message(&desk, Scope::All, request).await
}

async fn message_for_one(State(desk): State<Desk>, Path(agent): Path<Arc<str>>, request: Request) -> Response {
    message(&desk, Scope::One(agent), request).await
}

async fn message(desk: &Desk, scope: Scope, request: Request) -> Response {
    match *request.method() {
        Method::POST => post::deliver(desk, scope, request).await,
        Method::OPTIONS => desk.app.settings.gate.preflight(request.headers()),
        _ => not_allowed(desk, "messages are sent by POST", "POST, OPTIONS"),
    }
}

async fn document(State(desk): State<Desk>, Path(name): Path<String>, request: Request) -> Response {
    match *request.method() {
        Method::GET => yjs::connect(&desk, name, request).await,
        _ => not_allowed(&desk, "a document is a WebSocket: GET it", "GET"),
    }
}

fn not_allowed(desk: &Desk, text: &str, allowed: &'static str) -> Response {
    let mut response = reply::plain(desk.app.mcp.refuse(StatusCode::METHOD_NOT_ALLOWED, text), None);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

async fn unknown(uri: Uri) -> Response {
    tracing::debug!(path = uri.path(), "no such path");
    let text = r#"{"error":"no such path: MCP is served at /mcp and /mcp/{agent}, health at /livez and /readyz"}"#;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
