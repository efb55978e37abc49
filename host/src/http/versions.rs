//! Versions of an agent, for its publishers: `GET /agents/{agent}/versions`, `PATCH /agents/{agent}/versions/{version}` with
//! `{"yanked": true}` or false, and `POST /agents/{agent}/rollback`. All answer with the list; what is done, and cannot be listed
//! now, with 204.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::identify::{Schemes, identify};
use super::oci::Refused;
use super::reply::plain;
use super::route::{Admission, Desk};
use super::{body, post};
use crate::access::{Place, Principal};
use crate::manifest::AgentName;
use crate::mcp::Reply;
use crate::mcp::buffer::Buffer;
use crate::publish::Told;
use crate::publish::name::Tag;

/// Bytes of what to change.
const CHANGE_BYTES_MAX: u64 = 1 << 10;

/// Bytes of an answer besides its versions: its names, and up to 64 aliases of 128 bytes.
const HEAD_BYTES: u64 = 16 << 10;

/// The answer.
#[derive(Serialize)]
struct List<'a> {
    agent: &'a str,
    repository: &'a str,
    versions: &'a [Told],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    yanked: bool,
}

/// All versions of an agent.
pub async fn all(State(desk): State<Desk>, Path(agent): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let listed = async {
        let (_by, _place) = come_in(&desk, &parts)?;
        list(&desk, &named(&agent)?).await
    };
    listed.await.unwrap_or_else(|refused: Refused| refused.into_response(false))
}

/// Takes a version away, or back.
pub async fn one(
    State(desk): State<Desk>,
    Path((agent, version)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method != Method::PATCH {
        return Refused::method("PATCH").into_response(true);
    }
    let agent_and_by = named(&agent).and_then(|agent| Ok((publisher(&desk, &parts, &agent)?, agent)));
    let ((by, _place), agent) = match agent_and_by {
        Ok(known) => known,
        Err(refused) => return refused.into_response(true),
    };
    let bounds = body::Bounds { bytes: CHANGE_BYTES_MAX, wait: desk.app.settings.limits.body_wait };
    let received = match body::read(&parts.headers, body, bounds, &desk.app.settings.requests).await {
        Ok(received) => received,
        Err(error) => return super::reply::closing(post::refuse_body(&desk.app, error), None),
    };
    let changed = async {
        let Change { yanked } = serde_json::from_slice(received.bytes.as_ref()).map_err(|error| {
            let text = format!("what to change is a JSON object such as {{\"yanked\": true}}: {error}");
            Refused::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", text)
        })?;
        let version: Tag = version.parse()?;
        desk.app.settings.publishing.set_yanked(&agent, &version, yanked, &by).await?;
        Ok(done(&desk, &agent).await)
    };
    changed.await.unwrap_or_else(|refused: Refused| refused.into_response(false))
}

/// Serves what was served before.
pub async fn roll_back(State(desk): State<Desk>, Path(agent): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if parts.method != Method::POST {
        return Refused::method("POST").into_response(true);
    }
    let back = async {
        let agent = named(&agent)?;
        let (by, _place) = publisher(&desk, &parts, &agent)?;
        desk.app.settings.publishing.roll_back(&agent, &by).await?;
        Ok(done(&desk, &agent).await)
    };
    back.await.unwrap_or_else(|refused: Refused| refused.into_response(false))
}

/// The list, once something is done. That it cannot be told now is no failure of what was done: who did it again would undo it.
async fn done(desk: &Desk, agent: &AgentName) -> Response {
    let listed = list(desk, agent).await;
    listed.unwrap_or_else(|_| StatusCode::NO_CONTENT.into_response())
}

async fn list(desk: &Desk, agent: &AgentName) -> Result<Response, Refused> {
    let publishing = &desk.app.settings.publishing;
    let list = publishing.versions(agent).await?;
    let (repository, versions) = &list.value;
    let said = List { agent: agent.as_str(), repository, versions };
    let mut buffer = Buffer::new(&desk.app.settings.replies, list.charge.bytes() + HEAD_BYTES);
    serde_json::to_writer(&mut buffer, &said)
        .map_err(|_| Refused::for_now("the list is larger than what is free for replies now"))?;
    let mut response = plain(Reply::json(buffer.into_bytes()), None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn named(agent: &str) -> Result<AgentName, Refused> {
    AgentName::parse(agent).map_err(|error| Refused::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", error.to_string()))
}

/// Who asks, once the request may come in at all, and its place among those in flight.
fn come_in(desk: &Desk, parts: &Parts) -> Result<(Arc<Principal>, Place), Refused> {
    let settings = &desk.app.settings;
    settings.gate.check(&parts.uri, &parts.headers)?;
    let by = identify(&settings.access, desk.reach, parts, Schemes::Bearer)?;
    if desk.admission == Admission::Full {
        return Err(Refused::connections(desk.connections));
    }
    let place = desk.app.in_flight.take(&by)?;
    Ok((by, place))
}

fn publisher(desk: &Desk, parts: &Parts, agent: &AgentName) -> Result<(Arc<Principal>, Place), Refused> {
    let (by, place) = come_in(desk, parts)?;
    if by.may_publish(agent.as_str()) {
        return Ok((by, place));
    }
    let repository = agent.as_str().parse().expect("an agent's name is a repository's");
    Err(Refused::push(&repository, !by.is_anonymous()))
}
