//! The registry's entries, for operators: `GET /registry`, in pages, and `PATCH /registry/{agent}` with the fields to set as a JSON object
//! (RFC 7396: null removes one).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::reply::closing;
use super::route::Desk;
use super::rows::{self, Page, Shape};
use super::status::{no_store, operator, unwritten};
use super::{App, body, post};
use crate::mcp::Reply;
use crate::mcp::buffer::Buffer;
use crate::registry::{Failed, Record, Refused};

/// Bytes of the fields to set.
const FIELDS_BYTES_MAX: u64 = 64 << 10;

/// Answers with entries, and how the document stands.
pub async fn all(State(desk): State<Desk>, request: Request) -> Response {
    let (app, (request, _)) = (&desk.app, request.into_parts());
    if let Err(refused) = operator(&desk, &request) {
        return *refused;
    }
    let page = match Page::of(&request.uri) {
        Ok(page) => page,
        Err(wrong) => return closing(app.mcp.refuse(StatusCode::BAD_REQUEST, wrong), None),
    };
    let document = &app.settings.document;
    let (view, (clients, present)) = (document.view(), document.crowd());
    let head = json!({ "epoch": view.epoch, "stored": view.stored, "bytes": view.bytes, "entries": view.entries,
                       "clients": clients, "present": present });
    let mut buffer = Buffer::new(&app.settings.replies, rows::ANSWER_BYTES_MAX);
    let entries = document.page(page.after.as_deref(), page.limit + 1).into_iter();
    match rows::write(&mut buffer, &head, Shape::ByName, page.limit, entries) {
        Ok(()) => no_store(Reply::json(buffer.into_bytes())),
        Err(error) => unwritten(app, &mut buffer, &error),
    }
}

/// One entry: answers with it, or changes it first.
pub async fn one(State(desk): State<Desk>, Path(agent): Path<Arc<str>>, request: Request) -> Response {
    let app = &desk.app;
    let (parts, body) = request.into_parts();
    let by = match operator(&desk, &parts) {
        Ok(by) => by,
        Err(refused) => return *refused,
    };
    if parts.method == Method::PATCH {
        let bounds = body::Bounds { bytes: FIELDS_BYTES_MAX, wait: app.settings.limits.body_wait };
        let received = match body::read(&parts.headers, body, bounds, &app.settings.requests).await {
            Ok(received) => received,
            Err(error) => return closing(post::refuse_body(app, error), None),
        };
        let fields: Map<String, Value> = match serde_json::from_slice(received.bytes.as_ref()) {
            Ok(fields) => fields,
            Err(error) => {
                let text = format!("the fields to set are a JSON object: {error}");
                return closing(app.mcp.refuse(StatusCode::BAD_REQUEST, &text), None);
            }
        };
        if let Err(failed) = app.settings.document.edit(agent.clone(), fields.into_iter().collect(), by).await {
            return closing(app.mcp.refuse(status_of(&failed), &failed.to_string()), None);
        }
    }
    match app.settings.document.record(&agent) {
        Some(record) => entry(app, &record),
        None => closing(
            app.mcp.refuse(StatusCode::NOT_FOUND, &format!("no agent is called {agent}; `stockade agents` lists all")),
            None,
        ),
    }
}

fn entry(app: &App, record: &Record) -> Response {
    let mut buffer = Buffer::new(&app.settings.replies, rows::ANSWER_BYTES_MAX);
    match serde_json::to_writer(&mut buffer, record) {
        Ok(()) => no_store(Reply::json(buffer.into_bytes())),
        Err(error) => unwritten(app, &mut buffer, &error),
    }
}

fn status_of(failed: &Failed) -> StatusCode {
    match failed {
        Failed::Refused(Refused::Unknown(_)) => StatusCode::NOT_FOUND,
        Failed::Refused(Refused::Forbidden { .. }) => StatusCode::FORBIDDEN,
        Failed::Refused(Refused::TooMany(_) | Refused::TooLarge { .. }) | Failed::Disk(_) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Failed::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Failed::NoRoom(_) | Failed::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    }
}
