//! The registry's entries, for operators: `GET /registry`, and `PATCH /registry/{agent}` with the fields to set as a JSON object
//! (RFC 7396: null removes one).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::reply::{closing, plain};
use super::route::Desk;
use super::status::operator;
use super::{App, body, post};
use crate::mcp::Reply;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::registry::{Failed, Record, Refused};

/// Bytes of one answer: twenty thousand entries of a few hundred bytes.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Bytes of the fields to set.
const FIELDS_BYTES_MAX: u64 = 64 << 10;

/// Answers with all entries, and how the document stands.
pub async fn all(State(desk): State<Desk>, request: Request) -> Response {
    if let Err(refused) = operator(&desk, &request.into_parts().0) {
        return *refused;
    }
    let document = &desk.app.settings.document;
    let (view, (clients, present)) = (document.view(), document.crowd());
    let mut buffer = Buffer::new(&desk.app.settings.replies, ANSWER_BYTES_MAX);
    let written = (|| {
        let head = json!({ "epoch": view.epoch, "stored": view.stored, "bytes": view.bytes, "entries": view.entries,
                           "clients": clients, "present": present });
        serde_json::to_writer(&mut buffer, &head)?;
        buffer.truncate(buffer.len() - 1);
        let put = |buffer: &mut Buffer, text: &str| std::io::Write::write_all(buffer, text.as_bytes());
        put(&mut buffer, r#","agents":{"#).map_err(serde_json::Error::io)?;
        for ((name, record), place) in document.records().iter().zip(0..) {
            if place > 0 {
                put(&mut buffer, ",").map_err(serde_json::Error::io)?;
            }
            serde_json::to_writer(&mut buffer, &**name)?;
            put(&mut buffer, ":").map_err(serde_json::Error::io)?;
            serde_json::to_writer(&mut buffer, record)?;
        }
        put(&mut buffer, "}}\n").map_err(serde_json::Error::io)
    })();
    match written {
        Ok(()) => no_store(Reply::json(buffer.into_bytes())),
        Err(error) => unwritten(&desk.app, &mut buffer, &error),
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
        None => closing(app.mcp.refuse(StatusCode::NOT_FOUND, &format!("no agent is called {agent}")), None),
    }
}

fn entry(app: &App, record: &Record) -> Response {
    let mut buffer = Buffer::new(&app.settings.replies, ANSWER_BYTES_MAX);
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

fn unwritten(app: &App, buffer: &mut Buffer, error: &serde_json::Error) -> Response {
    match buffer.overflow() {
        Some(Overflow::Refused(refusal)) => closing(app.mcp.refuse_unpaid(&refusal), None),
        _ => {
            let text = format!("the entries cannot be written: {error}");
            closing(app.mcp.refuse(StatusCode::INTERNAL_SERVER_ERROR, &text), None)
        }
    }
}

fn no_store(reply: Reply) -> Response {
    let mut response = plain(reply, None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
