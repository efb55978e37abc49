//! What a load asks of a host, as bytes: one function a request.

use serde_json::{Value, json};
use std::net::SocketAddr;

use super::REVISION;
use super::wire::request;

/// The newest revision with sessions.
const LEGACY_REVISION: &str = "2025-11-25";

const ACCEPT_BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");

/// Opens a session.
pub fn initialize(address: SocketAddr) -> Vec<u8> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": LEGACY_REVISION,
        "capabilities": {},
        "clientInfo": { "name": "stockade-load", "version": "1.0.0" },
    } });
    request(address, "/mcp", &[ACCEPT_BOTH], Some(&body.to_string()))
}

/// Asks for nothing.
pub fn ping(address: SocketAddr) -> Vec<u8> {
    request(address, "/mcp", &[ACCEPT_BOTH], Some(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#))
}

/// Opens the stream of a session.
pub fn session_stream(address: SocketAddr, session: &str) -> Vec<u8> {
    let headers =
        [("accept", "text/event-stream"), ("mcp-protocol-version", LEGACY_REVISION), ("mcp-session-id", session)];
    request(address, "/mcp", &headers, None)
}

/// Opens a stream that hears of changed lists.
pub fn listen(address: SocketAddr) -> Vec<u8> {
    let filter = json!({ "toolsListChanged": true, "resourcesListChanged": true, "promptsListChanged": true });
    modern(address, "/mcp", "subscriptions/listen", json!({ "notifications": filter }))
}

/// Reads a resource of one agent.
pub fn read(address: SocketAddr, agent: &str, uri: &str) -> Vec<u8> {
    modern(address, &format!("/mcp/{agent}"), "resources/read", json!({ "uri": uri }))
}

/// Calls a tool of one agent.
pub fn call(address: SocketAddr, agent: &str, tool: &str, arguments: &Value) -> Vec<u8> {
    modern(address, &format!("/mcp/{agent}"), "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// One of the lists, across all agents.
pub fn list(address: SocketAddr, method: &str) -> Vec<u8> {
    modern(address, "/mcp", method, json!({}))
}

/// Reads a resource's plain bytes.
pub fn download(address: SocketAddr, agent: &str, uri: &str) -> Vec<u8> {
    request(address, &format!("/agents/{agent}/resources?uri={uri}"), &[], None)
}

fn modern(address: SocketAddr, path: &str, method: &str, mut params: Value) -> Vec<u8> {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": { "name": "stockade-load", "version": "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut headers = vec![ACCEPT_BOTH, ("mcp-protocol-version", REVISION), ("mcp-method", method)];
    let name = params["uri"].as_str().or(params["name"].as_str());
    headers.extend(name.map(|name| ("mcp-name", name)));
    request(address, path, &headers, Some(&body.to_string()))
}
