//! Errors of the host's own: what it does not have, or has not room for.

use http::StatusCode;

use super::{Agent, Data, Error, HostLimit, RETRY_AFTER, code, nested, reply_limit};
use crate::access::Full;
use crate::agent::Unit;
use crate::mcp::explain;

impl Error {
    /// The session that a request names is over, or never was, or is somebody else's.
    pub fn no_session() -> Self {
        let message = "no such session: it is over, so begin a new one with `initialize`";
        Self::new(StatusCode::NOT_FOUND, code::INVALID_REQUEST, message)
    }

    /// What is asked for needs a session, and none is named.
    pub fn session_required() -> Self {
        let message = "this needs a session: begin one with `initialize`, and name it in the header `mcp-session-id`";
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message)
    }

    /// A GET outside of any session, where there is nothing to hear of; or anything about sessions in 2026-07-28, which has
    /// none.
    pub fn no_stream() -> Self {
        let message = "MCP is served by POST; GET and DELETE are for a session before 2026-07-28, named in the header `mcp-session-id`";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, code::INVALID_REQUEST, message)
    }

    /// The client takes no reply of the kind there is.
    pub fn not_acceptable(message: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, code::INVALID_REQUEST, message)
    }

    /// More of something than one request may name.
    pub fn beyond(limit: &'static str, unit: &'static str, cap: u64, wanted: u64) -> Self {
        let message = format!("{wanted} {unit} are more than the limit `{limit}` of {cap}");
        let (agent, version, used, retry_after_ms) = (None, None, 0, None);
        let limit = HostLimit { agent, version, limit, unit, cap, used, wanted, retry_after_ms };
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_PARAMS, message).with(Data::HostLimit(limit))
    }

    /// A resource that is longer than any may be.
    pub fn too_long(cap: u64, wanted: u64, agent: &Agent) -> Self {
        let cap_shown = explain::amount(cap, Unit::Bytes);
        let message = format!("{}: the resource is longer than `http.stream_bytes_max` of {cap_shown}", agent.name);
        let limit = HostLimit { limit: "stream", ..reply_limit(cap, 0, wanted, Some(agent)) };
        Self::new(StatusCode::OK, code::LIMIT_MET, message).with(Data::HostLimit(limit))
    }

    /// Something of the host's own failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, code::INTERNAL, message)
    }

    /// An agent asks, and there is no way to ask this client.
    pub fn cannot_ask(agent: &Agent) -> Self {
        let message =
            format!("{} asks for input: only a client with a session that accepts events can be asked", agent.name);
        Self::new(StatusCode::OK, code::INTERNAL, message)
    }

    /// The client would have to declare these capabilities first.
    pub fn missing_capability(names: &[String]) -> Self {
        let message = format!("the client must declare the capability {} first", names.join(", "));
        let data = Data::Missing { required_capabilities: nested(names) };
        Self::new(StatusCode::BAD_REQUEST, code::MISSING_CAPABILITY, message).with(data)
    }

    /// Everything of something is taken, or all of it that this principal may have.
    pub fn full(full: &Full) -> Self {
        let Full { limit, unit, cap, used } = *full;
        let retry_after_ms = Some(RETRY_AFTER.as_millis() as u64);
        Self::refused(HostLimit { agent: None, version: None, limit, unit, cap, used, wanted: 1, retry_after_ms })
    }
}
