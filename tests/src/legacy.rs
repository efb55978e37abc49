//! A client of the `initialize` era: one session of one endpoint, each of its messages unabridged.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{Answer, Client, Events};

/// The newest revision with sessions.
pub const REVISION: &str = "2025-11-25";

/// A session, whether the host still knows it or not.
#[derive(Clone)]
pub struct Session {
    client: Client,
    pub id: String,
    version: &'static str,
}

impl Session {
    /// Begins a session with a client that can do nothing special.
    pub async fn begin(client: &Client) -> Self {
        Self::of(client, REVISION, json!({})).await
    }

    /// Begins a session of this revision, with these capabilities.
    pub async fn of(client: &Client, version: &'static str, capabilities: Value) -> Self {
        let answer = initialize(client, version, capabilities).await;
        assert_eq!(answer.result()["protocolVersion"], version, "{}", answer.body);
        let id = answer.headers.get("mcp-session-id").expect("it begins a session").to_str().expect("hex digits");
        let session = Self { client: client.clone(), id: id.to_owned(), version };
        let welcomed = session.notify("notifications/initialized", json!({})).await;
        assert_eq!((welcomed.status, &welcomed.body), (202, &json!("")));
        session
    }

    /// The same name, presented by another client or at another endpoint.
    pub fn presented_by(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// The same client with another session's name.
    pub fn named(&self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self.clone() }
    }

    /// Any message, as its own POST.
    pub async fn post(&self, message: &Value) -> reqwest::Result<Response> {
        let headers = [
            ("content-type", "application/json"),
            ("accept", self.client.accept()),
            ("mcp-protocol-version", self.version),
            ("mcp-session-id", &self.id),
        ];
        self.client.send(Method::POST, &headers, message.to_string()).await
    }

    /// Any message, and the whole answer to it.
    pub async fn say(&self, message: &Value) -> Answer {
        let reply = self.post(message).await.expect("the host answers");
        Answer::read(reply).await.expect("a whole reply")
    }

    pub async fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> Answer {
        self.say(&request(id, method, params)).await
    }

    pub async fn call(&self, id: impl Into<Value>, tool: &str, arguments: Value) -> Answer {
        self.request(id, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// A request that is answered with events.
    pub async fn events(&self, id: impl Into<Value>, method: &str, params: Value) -> Events {
        Events::of(self.post(&request(id, method, params)).await.expect("the host answers"))
    }

    pub async fn notify(&self, method: &str, params: Value) -> Answer {
        self.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await
    }

    /// Status of a ping.
    pub async fn ping(&self) -> u16 {
        self.request("ping", "ping", json!({})).await.status
    }

    /// GETs the stream of the session.
    pub async fn get(&self) -> Response {
        self.bare(Method::GET).await
    }

    /// Opens the stream of the session, and waits until it is there.
    pub async fn stream(&self) -> Events {
        let mut events = Events::of(self.get().await);
        let first = events.piece().await;
        assert!(matches!(first, Some(crate::events::Piece::Comment(_))), "{first:?}");
        events
    }

    /// Ends the session; the status.
    pub async fn end(&self) -> u16 {
        self.bare(Method::DELETE).await.status().as_u16()
    }

    async fn bare(&self, method: Method) -> Response {
        let headers =
            [("accept", "text/event-stream"), ("mcp-protocol-version", self.version), ("mcp-session-id", &self.id)];
        self.client.send(method, &headers, "").await.expect("the host answers")
    }
}

/// The request that begins a session.
pub async fn initialize(client: &Client, version: &str, capabilities: Value) -> Answer {
    let client_info = json!({ "name": "stockade-tests", "version": "0" });
    let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": client_info });
    let headers = [("content-type", "application/json"), ("accept", client.accept())];
    let body = request(1, "initialize", params).to_string();
    client.raw(&headers, body).await.expect("the host answers")
}

/// A request as JSON-RPC has it.
pub fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    let mut request = json!({ "jsonrpc": "2.0", "id": id.into(), "method": method });
    request["params"] = params;
    request
}
