//! Failures -> JSON-RPC errors. The one place that knows the codes and what each failure costs the client.
//!
//! | Failure | Code | HTTP |
//! |---|---|---|
//! | not JSON | -32700 | 400 |
//! | not a message | -32600 | 400 |
//! | unknown method | -32601 | 404 |
//! | bad parameters | -32602 | 400 |
//! | unknown tool, prompt or (modern) resource; input the agent cannot accept | -32602 | 200 |
//! | unknown resource, initialize era | -32002 | 200 |
//! | the agent failed, denied, broke the contract, or wants input that cannot be had | -32603 | 200 |
//! | header and body differ | -32020 | 400 |
//! | the client lacks a capability | -32021 | 400 |
//! | unsupported revision | -32022 | 400 |
//! | no room, busy, not loaded: the guest did not run | -32050 | 503 |
//! | the guest, or its reply, met a limit | -32051 | 200 |
//!
//! On the wire of the initialize era 400 and 404 of an error about a request become 200, because clients of that era
//! throw a reply away unread when its status is not 2xx.
//!
//! A tool's own failures (failed, denied, invalid input, a limit met) are not errors but results with `isError`, so
//! that the model can see and correct them; [`of_tool`] decides.

mod refusals;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use stockade_ledger::{Refusal, RefusalKind};

use super::buffer::Overflow;
use super::explain;
use super::version::{Era, SUPPORTED};
use crate::agent::contract;
use crate::agent::{Failure, Limit, LimitName, Unit};

/// When to come back if nobody knows better.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a client gets instead of a result.
#[derive(Debug)]
pub struct Error {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Body,
}

/// The `error` member of a JSON-RPC reply.
#[derive(Debug, Serialize)]
pub struct Body {
    pub code: i32,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<Data>>,
}

/// What a program can do something with.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Data {
    Limit(Limit),
    HostLimit(HostLimit),
    Resource {
        uri: String,
    },
    Agent {
        agent: Arc<str>,
        version: Arc<str>,
    },
    Versions {
        supported: [&'static str; SUPPORTED.len()],
        requested: String,
    },
    #[serde(rename_all = "camelCase")]
    Missing {
        required_capabilities: BTreeMap<String, BTreeMap<String, Empty>>,
    },
}

/// `{}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Empty {}

/// A limit of the host rather than of an agent, in the shape of [`Limit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostLimit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    pub limit: &'static str,
    pub unit: &'static str,
    pub cap: u64,
    pub used: u64,
    pub wanted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// What a failed call was about; decides how "not found" is said.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// A resource, under the URI the client knows.
    Resource(&'a str),
    /// A tool, prompt, list or completion.
    Other,
}

/// The agent that was asked, as errors name it.
#[derive(Debug, Clone)]
pub struct Agent {
    pub name: Arc<str>,
    pub version: Arc<str>,
}

mod code {
    pub const PARSE: i32 = -32700;
    pub const INVALID_REQUEST: i32 = -32600;
    pub const METHOD_NOT_FOUND: i32 = -32601;
    pub const INVALID_PARAMS: i32 = -32602;
    pub const INTERNAL: i32 = -32603;
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    pub const HEADER_MISMATCH: i32 = -32020;
    pub const MISSING_CAPABILITY: i32 = -32021;
    pub const UNSUPPORTED_VERSION: i32 = -32022;
    pub const REFUSED: i32 = -32050;
    pub const LIMIT_MET: i32 = -32051;
}

impl Error {
    fn new(status: StatusCode, code: i32, message: impl Into<String>) -> Self {
        Self { status, retry_after: None, body: Body { code, message: message.into(), data: None } }
    }

    fn with(mut self, data: Data) -> Self {
        self.body.data = Some(Box::new(data));
        self
    }

    fn retry(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    pub fn parse(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::PARSE, message)
    }

    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message)
    }

    /// A request that HTTP alone can judge: wrong place, type, size, time.
    pub fn http(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, code::INVALID_REQUEST, message)
    }

    pub fn method_not_found(method: &str) -> Self {
        let message = format!("method `{}` is not served here", excerpt(method));
        Self::new(StatusCode::NOT_FOUND, code::METHOD_NOT_FOUND, message)
    }

    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_PARAMS, message)
    }

    /// A name the client took from nowhere we know. Found before any agent ran, yet an answer like the agent's own.
    pub fn unknown(what: &str, name: &str, hint: &str) -> Self {
        let message = format!("unknown {what} `{}`{hint}", excerpt(name));
        Self::new(StatusCode::OK, code::INVALID_PARAMS, message)
    }

    pub fn unknown_resource(era: Era, uri: &str, why: &str) -> Self {
        let code = match era {
            Era::Modern => code::INVALID_PARAMS,
            Era::Legacy => code::RESOURCE_NOT_FOUND,
        };
        let message = format!("resource not found: {why}");
        Self::new(StatusCode::OK, code, message).with(Data::Resource { uri: uri.to_owned() })
    }

    /// The path names an agent that is not registered.
    pub fn no_agent(name: &str, known: &str) -> Self {
        let message = format!("no agent `{}` here; {known}", excerpt(name));
        Self::new(StatusCode::NOT_FOUND, code::INVALID_PARAMS, message)
    }

    pub fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::HEADER_MISMATCH, message)
    }

    pub fn unsupported_version(requested: &str) -> Self {
        let requested = excerpt(requested).into_owned();
        let message = format!("revision `{requested}` of MCP is not supported");
        Self::new(StatusCode::BAD_REQUEST, code::UNSUPPORTED_VERSION, message)
            .with(Data::Versions { supported: SUPPORTED, requested })
    }

    /// The agent answered something the contract forbids.
    pub fn broken(agent: &Agent, reason: &str) -> Self {
        let message = format!("{} {} broke the contract: {reason}", agent.name, agent.version);
        let data = Data::Agent { agent: agent.name.clone(), version: agent.version.clone() };
        Self::new(StatusCode::OK, code::INTERNAL, message).with(data)
    }

    /// A limit of the host that passes by itself.
    pub fn refused(limit: HostLimit) -> Self {
        let after = limit.retry_after_ms.map(Duration::from_millis);
        let message = format!("the host is at its limit `{}` of {} {}: try again", limit.limit, limit.cap, limit.unit);
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::REFUSED, message).with(Data::HostLimit(limit)).retry(after)
    }

    /// The ledger did not lend what this request needs.
    pub fn unpaid(refusal: &Refusal) -> Self {
        Self::refused(HostLimit {
            agent: None,
            version: None,
            limit: "host-full",
            unit: "bytes",
            cap: refusal.limit,
            used: refusal.used,
            wanted: refusal.wanted,
            retry_after_ms: (refusal.kind == RefusalKind::FullNow).then_some(RETRY_AFTER.as_millis() as u64),
        })
    }

    /// A reply that did not fit its buffer.
    pub fn overflow(overflow: Overflow, agent: Option<&Agent>) -> Self {
        match overflow {
            Overflow::Refused(refusal) => Self::unpaid(&refusal),
            Overflow::Cap { cap, used, wanted } => {
                let limit = reply_limit(cap, used, wanted, agent);
                let message = explain::reply(&limit);
                Self::new(StatusCode::OK, code::LIMIT_MET, message).with(Data::HostLimit(limit))
            }
        }
    }

    /// Why a resource cannot be read, to a client that speaks HTTP and no MCP: the status says what an error code would.
    pub fn of_plain_read(failure: Failure, uri: &str, agent: &Agent) -> Self {
        use contract::Error as Answer;
        let status = match &failure {
            Failure::Answered(Answer::NotFound(_)) => StatusCode::NOT_FOUND,
            Failure::Answered(Answer::InvalidInput(_)) => StatusCode::BAD_REQUEST,
            Failure::Answered(Answer::Denied(_)) => StatusCode::FORBIDDEN,
            // It needs a client that can be asked.
            Failure::Asks(_) | Failure::Answered(Answer::MissingCapability(_)) => StatusCode::CONFLICT,
            Failure::Refused(_) | Failure::Answered(Answer::Busy(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Answered(_) | Failure::Stopped(_) | Failure::Broken { .. } => StatusCode::BAD_GATEWAY,
        };
        Self::of(failure, Era::Modern, About::Resource(uri), agent).with_status(status)
    }

    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Why an agent gave no result, said in the way of `era`.
    pub fn of(failure: Failure, era: Era, about: About, agent: &Agent) -> Self {
        match failure {
            Failure::Answered(error) => Self::of_answer(error, era, about, agent),
            Failure::Refused(limit) => Self::of_refusal(limit),
            Failure::Stopped(limit) => {
                let message = explain::limit(&limit);
                Self::new(StatusCode::OK, code::LIMIT_MET, message).with(Data::Limit(limit))
            }
            Failure::Broken { agent: name, version, reason } => Self::broken(&Agent { name, version }, &reason),
            Failure::Asks(_) => Self::broken(agent, "a question where nothing can be asked: in a list or a completion"),
        }
    }

    fn of_refusal(limit: Limit) -> Self {
        let (message, after) = (explain::limit(&limit), limit.retry_after());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::REFUSED, message).with(Data::Limit(limit)).retry(after)
    }

    fn of_answer(error: contract::Error, era: Era, about: About, agent: &Agent) -> Self {
        use contract::Error as Answer;
        let internal = |message: String| Self::new(StatusCode::OK, code::INTERNAL, message);
        match error {
            Answer::NotFound(why) => match about {
                About::Resource(uri) => Self::unknown_resource(era, uri, &why),
                About::Other => Self::new(StatusCode::OK, code::INVALID_PARAMS, why),
            },
            Answer::InvalidInput(why) => Self::new(StatusCode::OK, code::INVALID_PARAMS, why),
            Answer::Denied(why) => internal(format!("denied: {why}")),
            Answer::Failed(why) => internal(why),
            Answer::Busy(after_ms) => Self::of_refusal(Limit {
                agent: agent.name.clone(),
                version: agent.version.clone(),
                limit: LimitName::Busy,
                unit: Unit::None,
                cap: 0,
                used: 0,
                wanted: 0,
                retry_after_ms: Some(u64::from(after_ms)),
                detail: None,
            }),
            Answer::MissingCapability(names) => Self::missing_capability(&names),
            // Taken out of every answer where it can be served (`Failure::Asks`).
            Answer::InputRequired(_) => Self::broken(agent, "input required where nothing can be asked"),
        }
    }

    /// As the initialize era wants it: an error about a request is a reply like any other. That its session is over, or its
    /// revision unknown, is not about the request, and keeps its status.
    pub fn on_legacy_wire(mut self) -> Self {
        let is_about_request = !matches!(self.body.code, code::INVALID_REQUEST | code::UNSUPPORTED_VERSION);
        if is_about_request && matches!(self.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            self.status = StatusCode::OK;
        }
        self
    }
}

/// A failed tool call as the model is to see it.
#[derive(Debug)]
pub struct ToolFailure {
    pub text: String,
    pub limit: Option<Data>,
}

/// Whether a failed tool call is a result with `isError` or an error of the protocol.
pub fn of_tool(failure: Failure, era: Era, agent: &Agent) -> Result<ToolFailure, Error> {
    use contract::Error as Answer;
    match failure {
        Failure::Stopped(limit) => Ok(ToolFailure { text: explain::limit(&limit), limit: Some(Data::Limit(limit)) }),
        Failure::Answered(Answer::InvalidInput(text) | Answer::Failed(text)) => Ok(ToolFailure { text, limit: None }),
        Failure::Answered(Answer::Denied(why)) => Ok(ToolFailure { text: format!("denied: {why}"), limit: None }),
        other => Err(Error::of(other, era, About::Other, agent)),
    }
}

/// A tool's result that does not fit into a reply.
pub fn of_tool_overflow(overflow: Overflow, agent: &Agent) -> Result<ToolFailure, Error> {
    match overflow {
        Overflow::Cap { cap, used, wanted } => {
            let limit = reply_limit(cap, used, wanted, Some(agent));
            Ok(ToolFailure { text: explain::reply(&limit), limit: Some(Data::HostLimit(limit)) })
        }
        Overflow::Refused(refusal) => Err(Error::unpaid(&refusal)),
    }
}

fn reply_limit(cap: u64, used: u64, wanted: u64, agent: Option<&Agent>) -> HostLimit {
    HostLimit {
        agent: agent.map(|agent| agent.name.clone()),
        version: agent.map(|agent| agent.version.clone()),
        limit: "reply",
        unit: "bytes",
        cap,
        used,
        wanted,
        retry_after_ms: None,
    }
}

/// `["sampling", "elicitation.url"]` -> `{"sampling":{},"elicitation":{"url":{}}}`.
fn nested(names: &[String]) -> BTreeMap<String, BTreeMap<String, Empty>> {
    let mut tree = BTreeMap::<String, BTreeMap<String, Empty>>::new();
    for name in names {
        let (top, sub) = name.split_once('.').map_or((name.as_str(), None), |(top, sub)| (top, Some(sub)));
        tree.entry(top.to_owned()).or_default().extend(sub.map(|sub| (sub.to_owned(), Empty {})));
    }
    tree
}

/// The beginning of a client's own text, for a message.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    const BYTES_MAX: usize = 200;
    match text.len() {
        0..=BYTES_MAX => Cow::Borrowed(text),
        _ => format!("{}…", &text[..text.floor_char_boundary(BYTES_MAX)]).into(),
    }
}

#[cfg(test)]
mod tests;
