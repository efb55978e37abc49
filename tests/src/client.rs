//! A small MCP client of the newest revision: what a test says, and what came back, unabridged.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

use crate::events::Events;

/// Revision this client speaks.
pub const REVISION: &str = "2026-07-28";

/// What a careful client takes as a reply.
const ACCEPT: &str = "application/json, text/event-stream";

/// The host's cursor for a list of resources that stands in for an agent's own. Opaque to clients, but a hostile one can
/// read the source as well.
pub fn resources_cursor(agent: &str, agents_own: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1r{agent}+{agents_own}"))
}

/// Talks to one endpoint over kept-alive connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    accept: &'static str,
}

/// A reply as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

static IDS: AtomicU64 = AtomicU64::new(1);

impl Client {
    pub fn new(address: SocketAddr, path: &str) -> Self {
        let http = reqwest::Client::builder().tcp_nodelay(true).no_proxy().build().expect("a client");
        Self { http, url: format!("http://{address}{path}"), token: None, accept: ACCEPT }
    }

    /// The same client, now with a token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same client, which now takes replies of this kind.
    #[must_use]
    pub fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// What it takes as a reply.
    pub fn accept(&self) -> &'static str {
        self.accept
    }

    /// Sends any bytes with any headers.
    pub async fn raw(&self, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> reqwest::Result<Answer> {
        Answer::read(self.send(Method::POST, headers, body).await?).await
    }

    /// Sends anything; the body of the reply is still to be read.
    pub async fn send(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Response> {
        let mut request = self.http.request(method, &self.url).body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await
    }

    /// A request of the newest revision, as a careful client makes it.
    pub async fn request(&self, method: &str, params: Value) -> Answer {
        self.try_request(method, params).await.expect("the host answers")
    }

    /// The same, for replies that may break off.
    pub async fn try_request(&self, method: &str, params: Value) -> reqwest::Result<Answer> {
        Answer::read(self.open(next_id().into(), method, params).await?).await
    }

    /// A request whose reply comes as events.
    pub async fn events(&self, id: impl Into<Value>, method: &str, params: Value) -> Events {
        Events::of(self.open(id.into(), method, params).await.expect("the host answers"))
    }

    /// A request whose reply is still to be read. What `params` says in `_meta` goes before what stands there otherwise.
    pub async fn open(&self, id: Value, method: &str, mut params: Value) -> reqwest::Result<Response> {
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "stockade-tests", "version": "0" },
        });
        if let Some(own) = params.get("_meta").and_then(Value::as_object) {
            meta.as_object_mut().expect("made just now").extend(Map::clone(own));
        }
        params["_meta"] = meta;
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", self.accept),
            ("mcp-protocol-version", REVISION),
            ("mcp-method", method),
        ];
        if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
            headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        }
        self.send(Method::POST, &headers, body.to_string()).await
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    pub async fn read(&self, uri: &str) -> Answer {
        self.request("resources/read", json!({ "uri": uri })).await
    }

    /// The same, for a reply that may break off.
    pub async fn try_read(&self, uri: &str) -> reqwest::Result<Answer> {
        self.try_request("resources/read", json!({ "uri": uri })).await
    }

    pub async fn list(&self, method: &str, cursor: Option<&str>) -> Answer {
        self.request(method, cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }))).await
    }
}

/// An id that no other request of this process has.
pub fn next_id() -> u64 {
    IDS.fetch_add(1, Ordering::Relaxed)
}

impl Answer {
    /// The whole of a reply.
    pub async fn read(reply: Response) -> reqwest::Result<Self> {
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Self { status, headers, body })
    }

    /// The result, which there must be.
    #[track_caller]
    pub fn result(&self) -> &Value {
        let result = &self.body["result"];
        assert!(result.is_object(), "no result: {} {}", self.status, self.body);
        result
    }

    /// The JSON-RPC error's code, or 0.
    pub fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or(0)
    }

    /// The error's message, or nothing.
    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// The object that says which limit was met, wherever it stands (design, Memory 8).
    pub fn limit(&self) -> &Value {
        let in_result = &self.body["result"]["_meta"]["stockade/limit"];
        if in_result.is_object() { in_result } else { &self.body["error"]["data"] }
    }

    /// The text of a tool's result.
    pub fn text(&self) -> &str {
        self.body["result"]["content"][0]["text"].as_str().unwrap_or_default()
    }
}
