//! `/status`: what an operator sees of the agents, as JSON, in pages. For operators only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::identify::{Schemes, Unauthorized, identify};
use super::post::come_in;
use super::reply::{closing, plain};
use super::route::Desk;
use super::rows::{self, Page, Shape};
use stockade_ledger::AccountSnapshot;

use crate::access::Principal;
use crate::agent::{Agent, LimitName};
use crate::manifest::Role;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::{Open, Reply};

/// One agent, as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    version: Arc<str>,
    /// `ready`, `resting`, `loading`, `disabled` or `refused`.
    standing: &'static str,
    /// Why it was refused, or is not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How long it still rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    rests_ms: Option<u64>,
    /// Whether one of its calls always has a place, whatever other agents do.
    own_place: bool,
    calls: u64,
    stopped: BTreeMap<LimitName, u64>,
    refused: BTreeMap<LimitName, u64>,
    broken: u64,
    /// Cap of one call now: the manifest's, or less.
    memory_bytes: u64,
    memory_peak_bytes: u64,
    cpu_total_ms: u64,
}

/// What clients keep open, and who holds how many bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    version: &'static str,
    sessions: u32,
    streams: u32,
    listeners: usize,
    in_flight: u32,
    accounts: BTreeMap<Arc<str>, Lent>,
}

/// What an account lends, in bytes, and how often it had to refuse.
#[derive(Debug, Serialize)]
struct Lent {
    used: u64,
    peak: u64,
    ceiling: u64,
    refusals: u64,
}

/// Answers an operator.
pub async fn status(State(desk): State<Desk>, request: Request) -> Response {
    let app = &desk.app;
    let (request, _) = request.into_parts();
    if let Err(refused) = operator(&desk, &request) {
        return *refused;
    }
    let page = match Page::of(&request.uri) {
        Ok(page) => page,
        // Nothing an operator asks is for web pages.
        Err(wrong) => return closing(app.mcp.refuse(StatusCode::BAD_REQUEST, wrong), None),
    };
    let mut body = Buffer::new(&app.settings.health, rows::ANSWER_BYTES_MAX);
    let roll = app.agents.roll();
    let is_behind = |agent: &&Arc<Agent>| page.after.as_deref().is_none_or(|after| agent.name() > after);
    let agents = roll.iter().filter(is_behind).map(|agent| (agent.name(), row(agent)));
    match rows::write(&mut body, &held(app), Shape::List, page.limit, agents) {
        Ok(()) => no_store(Reply::json(body.into_bytes())),
        Err(error) => unwritten(app, &mut body, &error),
    }
}

/// An answer that nobody keeps.
pub fn no_store(reply: Reply) -> Response {
    let mut response = plain(reply, None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What an operator is told instead of an answer that there is no room for.
pub fn unwritten(app: &App, buffer: &mut Buffer, error: &serde_json::Error) -> Response {
    match buffer.overflow() {
        Some(Overflow::Refused(refusal)) => closing(app.mcp.refuse_unpaid(&refusal), None),
        _ => {
            let text = format!("the answer cannot be written: {error}");
            closing(app.mcp.refuse(StatusCode::INTERNAL_SERVER_ERROR, &text), None)
        }
    }
}

/// Lets only operators go on.
pub fn operator(desk: &Desk, request: &Parts) -> Result<Arc<Principal>, Box<Response>> {
    let app = &desk.app;
    let (principal, _) = come_in(desk, request)?;
    if principal == app.settings.access.anonymous() {
        return Err(Unauthorized::Missing.refuse(&app.mcp, None).into());
    }
    if principal.role != Role::Operator {
        let text = "only an operator may ask this: send the token of one";
        return Err(closing(app.mcp.refuse(StatusCode::FORBIDDEN, text), None).into());
    }
    Ok(principal)
}

/// Lets operators go on, and on this machine itself whoever has no token: those who probe and scrape have none, and see
/// figures only. Also when all connections are taken.
pub fn observer(desk: &Desk, request: &Parts) -> Result<(), Box<Response>> {
    let app = &desk.app;
    let refuse = |text: &str| closing(app.mcp.refuse(StatusCode::FORBIDDEN, text), None);
    app.settings.gate.check(&request.uri, &request.headers).map_err(|denied| refuse(&denied.to_string()))?;
    match identify(&app.settings.access, desk.reach, request, Schemes::Bearer) {
        Ok(who) if who == app.settings.access.anonymous() || who.role == Role::Operator => Ok(()),
        Ok(_) => Err(refuse("only an operator may ask this: send the token of one, or none on this machine").into()),
        Err(unauthorized) => Err(unauthorized.refuse(&app.mcp, None).into()),
    }
}

fn held(app: &App) -> Held {
    let Open { sessions, streams, listeners } = app.mcp.open();
    let accounts = app.settings.ledger.snapshot().accounts;
    // Those of agents are as many as they are, and their rows say how much each has used.
    let accounts = accounts.into_iter().filter(|account| !account.name.contains('/')).map(
        |AccountSnapshot { name, used, peak, ceiling, refusals, .. }| (name, Lent { used, peak, ceiling, refusals }),
    );
    let (version, in_flight) = (env!("CARGO_PKG_VERSION"), app.in_flight.held());
    Held { version, sessions, streams, listeners, in_flight, accounts: accounts.collect() }
}

fn row(agent: &Agent) -> Row<'_> {
    let (standing, reason) = agent.state();
    let (version, rests) = (agent.offer().map_or_else(|_| "".into(), |offer| offer.version.clone()), agent.rests());
    let figures = agent.figures();
    Row {
        name: agent.name(),
        version,
        standing,
        reason,
        rests_ms: rests.map(milliseconds),
        own_place: agent.has_own_place(),
        calls: figures.calls,
        stopped: figures.stopped,
        refused: figures.refused,
        broken: figures.broken,
        memory_bytes: agent.spec().memory,
        memory_peak_bytes: figures.memory_peak,
        cpu_total_ms: milliseconds(figures.cpu_total),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
