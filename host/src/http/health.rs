//! `/livez`: the process answers. `/readyz`: it can do its work. `/healthz`: how memory stands.
//!
//! None needs a place in flight or a body; what they say is paid for by an account that nobody else can empty. `/livez`,
//! `/readyz` and the level alone are for everybody, `/healthz` in full is for operators and their probes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use stockade_ledger::AccountSnapshot;

use super::App;
use super::route::Desk;
use super::status::observer;
use crate::agent::{Failure, LimitName};
use crate::mcp::buffer::Buffer;
use crate::memory::{Level, Reading};

/// Bytes of what `/readyz` says.
const REASONS_BYTES_MAX: u64 = 4 << 10;

/// Bytes of what `/healthz` says: some twenty accounts.
const HEALTH_BYTES_MAX: u64 = 32 << 10;

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

/// How memory stands, in figures. All of them are bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InFull {
    status: &'static str,
    /// Why it is not `healthy`, and what else an operator should see to.
    reasons: Vec<String>,
    memory: Memory,
    accounts: BTreeMap<Arc<str>, Held>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    limit: u64,
    warning: u64,
    critical: u64,
    maximum: u64,
    /// The higher of `measured` and `books`.
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_group: Option<u64>,
    books: u64,
    drift: u64,
    reserved_untouched: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap_allocated: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap_resident: Option<u64>,
}

#[derive(Serialize)]
struct Held {
    used: u64,
    peak: u64,
    limit: u64,
    floor: u64,
    refusals: u64,
}

/// The level alone: 503 at `max`, else 200.
pub async fn healthz(State(desk): State<Desk>) -> Response {
    in_a_word(desk.app.settings.pressure.reading().level)
}

/// What is said when there is room for nothing: it lies ready.
fn in_a_word(level: Level) -> Response {
    let said: &[u8] = match level {
        Level::Normal => br#"{"status":"healthy"}"#,
        Level::Warning => br#"{"status":"warning"}"#,
        Level::Critical => br#"{"status":"critical"}"#,
        Level::Maximum => br#"{"status":"max"}"#,
    };
    typed(status_of(level), "application/json", Bytes::from_static(said))
}

fn status_of(level: Level) -> StatusCode {
    if level == Level::Maximum { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// Everything, for those who may know.
pub async fn in_full(State(desk): State<Desk>, request: Request) -> Response {
    if let Err(refused) = observer(&desk, &request.into_parts().0) {
        return *refused;
    }
    let settings = &desk.app.settings;
    let reading = settings.pressure.reading();
    let snapshot = settings.ledger.snapshot();
    let thresholds = settings.thresholds;
    let memory = Memory {
        limit: settings.memory,
        warning: thresholds.warning,
        critical: thresholds.critical,
        maximum: thresholds.maximum,
        used: reading.used(),
        measured: reading.measured.map(|measured| measured.used),
        resident: reading.measured.map(|measured| measured.own),
        control_group: reading.measured.and_then(|measured| measured.group),
        books: reading.books,
        drift: reading.drift(),
        reserved_untouched: reading.reserved_untouched(),
        heap_allocated: reading.native.map(|native| native.allocated),
        heap_resident: reading.native.map(|native| native.resident),
    };
    let mut reasons = reasons(&reading, &snapshot.accounts);
    if desk.app.settings.document.is_stuck() {
        reasons.push("edits of the registry are refused: the disk of `data` is full or fails".to_owned());
    }
    let held = |account: AccountSnapshot| {
        let AccountSnapshot { name, used, peak, ceiling: limit, floor, refusals } = account;
        (name, Held { used, peak, limit, floor, refusals })
    };
    let accounts = snapshot.accounts.into_iter().filter(|account| !account.name.contains('/')).map(held).collect();
    let said = InFull { status: reading.level.as_health(), reasons, memory, accounts };
    json(&desk.app, reading.level, &said)
}

/// Why memory stands where it does: which figure decides, and who holds most.
fn reasons(reading: &Reading, accounts: &[AccountSnapshot]) -> Vec<String> {
    if reading.level == Level::Normal {
        return Vec::new();
    }
    let measured = reading.measured.map_or(0, |measured| measured.used);
    let mut reasons = vec![match measured > reading.books {
        true => format!("{measured} bytes are in use, as the kernel counts them"),
        false => format!("{} bytes are lent or set aside", reading.books),
    }];
    let held = |account: &&AccountSnapshot| account.used.max(account.floor);
    let top = accounts.iter().filter(|account| !account.name.contains('/')).max_by_key(held);
    reasons.extend(top.map(|account| format!("most of it by `{}`: {} bytes", account.name, held(&account))));
    if reading.refusing {
        reasons.push("nothing new is begun until it is less".to_owned());
    }
    reasons
}

fn json(app: &App, level: Level, said: &impl Serialize) -> Response {
    let mut body = Buffer::new(&app.settings.health, HEALTH_BYTES_MAX);
    match serde_json::to_writer(&mut body, said) {
        Ok(()) => typed(status_of(level), "application/json", body.into_bytes()),
        Err(_) => in_a_word(level),
    }
}

/// Why requests should go elsewhere now, a line each; empty when they need not. An agent that cannot be loaded is no
/// such reason: it will not get better, and the others work.
fn unready(app: &App) -> String {
    let mut reasons = String::new();
    if app.is_draining() {
        reasons.push_str("shutting down\n");
    }
    if app.settings.pressure.reading().level == Level::Maximum {
        reasons.push_str("memory use is at `pressure.maximum`\n");
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
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
