//! `/status`: what an operator sees of the agents, as JSON. For operators only.

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
use stockade_ledger::AccountSnapshot;

use crate::access::Principal;
use crate::agent::{Agent, LimitName, Unit};
use crate::manifest::Role;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::{Open, Reply, amount};

/// Bytes of one answer: twenty thousand agents, each with a few hundred bytes.
const STATUS_BYTES_MAX: u64 = 8 << 20;

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
    if let Err(refused) = operator(&desk, &request.into_parts().0) {
        return *refused;
    }
    // Nothing an operator asks is for web pages.
    let refuse = |status, text: &str| closing(app.mcp.refuse(status, text), None);
    let mut body = Buffer::new(&app.settings.health, STATUS_BYTES_MAX);
    if let Err(error) = write(app, &mut body) {
        return match body.overflow() {
            Some(Overflow::Refused(refusal)) => closing(app.mcp.refuse_unpaid(&refusal), None),
            Some(Overflow::Cap { cap, .. }) => {
                let text = format!("the status of so many agents is longer than {}", amount(cap, Unit::Bytes));
                refuse(StatusCode::INTERNAL_SERVER_ERROR, &text)
            }
            None => refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot write the status: {error}")),
        };
    }
    let mut response = plain(Reply::json(body.into_bytes()), None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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

/// Writes the whole answer, one agent after the other.
fn write(app: &App, buffer: &mut Buffer) -> serde_json::Result<()> {
    let put = |buffer: &mut Buffer, text: &str| std::io::Write::write_all(buffer, text.as_bytes());
    serde_json::to_writer(&mut *buffer, &held(app))?;
    // Its last brace, to go on inside.
    buffer.truncate(buffer.len() - 1);
    put(buffer, r#","agents":["#).map_err(serde_json::Error::io)?;
    for (agent, place) in app.agents.roll().iter().zip(0..) {
        if place > 0 {
            put(buffer, ",").map_err(serde_json::Error::io)?;
        }
        serde_json::to_writer(&mut *buffer, &row(agent))?;
    }
    put(buffer, "]}\n").map_err(serde_json::Error::io)
}

fn held(app: &App) -> Held {
    let Open { sessions, streams, listeners } = app.mcp.open();
    let accounts = app.settings.ledger.snapshot().accounts;
    let accounts = accounts.into_iter().map(|AccountSnapshot { name, used, peak, ceiling, refusals, .. }| {
        (name, Lent { used, peak, ceiling, refusals })
    });
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
        memory_peak_bytes: figures.memory_peak,
        cpu_total_ms: milliseconds(figures.cpu_total),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
