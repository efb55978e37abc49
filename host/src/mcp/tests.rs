//! The service without agents: everything that is decided before an agent is asked. The whole with agents is tested in
//! the workspace's `tests`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use stockade_ledger::{Ledger, Spec};

use super::buffer::Buffer;
use super::{Accept, Body, Post, Reply, Scope, Service};
use crate::access::{Access, Places, Principal};
use crate::agent::{Agents, Offered, Terms};
use crate::manifest::{HttpLimits, Manifest, Overrides, Transports};
use crate::memory::Accounts;
use crate::registry::{Handle, Registry};

pub(crate) const LIMITS: HttpLimits = HttpLimits {
    connections: 8,
    in_flight: 2,
    body: 64 << 10,
    headers: 10_000,
    header_wait: Duration::from_secs(5),
    body_wait: Duration::from_millis(300),
    depth: 8,
    elements: 100,
    reply: 64 << 10,
    stream_bytes_max: 1 << 20,
    stream_stall: Duration::from_secs(5),
    kept: 100,
};

pub(crate) const TRANSPORTS: Transports = Transports {
    sessions: 4,
    idle: Duration::from_secs(60),
    lifetime: Duration::from_secs(600),
    streams: 2,
    keep_alive: Duration::from_secs(15),
    queue: 4 << 10,
    subscriptions: 2,
    filter: 1 << 10,
    inputs: 2,
    input_wait: Duration::from_secs(60),
    batch: 3,
    sse: false,
};

/// A host without agents.
pub(crate) struct Empty {
    pub accounts: Accounts,
    pub agents: Agents,
    pub access: Access,
    pub document: Handle,
    _data: tempfile::TempDir,
}

impl Empty {
    pub(crate) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("manifest.yaml");
        std::fs::write(&file, "memory: 512M\nagents: {}\n").unwrap();
        let manifest = Manifest::load(&file, &Overrides::default()).unwrap();
        let accounts =
            Accounts::open(manifest.memory, manifest.pressure.maximum, 16 << 20, crate::memory::Children::default())
                .unwrap();
        let registry = Registry::from_manifest(&manifest);
        let program = "stockade".into();
        let access = Access::new(&manifest, None);
        let (compile, principals) = (manifest.compile, access.principals());
        let document = Handle::open_for_test(&manifest, data.path());
        let terms = Terms {
            guests_ceiling: 64 << 20,
            compile,
            data: data.path(),
            program,
            principals,
            document: document.clone(),
            published: Offered { spec: manifest.published.clone(), agents: Vec::new() },
            troubles: tokio::sync::mpsc::channel(1).0,
        };
        let agents = Agents::new(&registry, &accounts, terms).unwrap();
        Self { accounts, agents, access, document, _data: data }
    }

    pub(crate) fn service(&self, limits: HttpLimits) -> Arc<Service> {
        Arc::new(Service::new(self.agents.clone(), &self.accounts, limits, TRANSPORTS).unwrap())
    }
}

async fn answer(
    service: &Arc<Service>,
    scope: Scope,
    headers: &[(&'static str, &str)],
    body: &str,
) -> (u16, Value, Reply) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    // Accounts and places of its own: what is looked at here are replies.
    let requests = Ledger::new(1 << 20).account(Spec { name: "requests".into(), ceiling: 1 << 20, floor: 0 }).unwrap();
    let mut bytes = Buffer::new(&requests, 1 << 20);
    bytes.extend(body.as_bytes()).unwrap();
    let principal = Arc::new(Principal::anonymous(100));
    let place = Arc::new(Places::new("in-flight", "requests", 1).take(&principal).unwrap());
    let copies = requests.empty();
    let post = Post { scope, headers: map, body: bytes, copies, principal, accept: Accept::Json, place };
    let reply = service.answer(post).await;
    let Body::Whole(bytes) = &reply.body else { panic!("a stream") };
    let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(bytes).unwrap() };
    (reply.status.as_u16(), json, reply)
}

fn length(reply: &Reply) -> usize {
    match &reply.body {
        Body::Whole(bytes) => bytes.len(),
        Body::Stream(_) | Body::Events(_) => panic!("a stream"),
    }
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                              "io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Sends a modern request whose headers are right.
async fn modern(service: &Arc<Service>, method: &str, params: &str) -> (u16, Value) {
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    let body = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{{{META}{params}}}}}"#);
    let (status, json, _) = answer(service, Scope::All, &headers, &body).await;
    (status, json)
}

async fn legacy(service: &Arc<Service>, method: &str, params: &str) -> (u16, Value) {
    let body = format!(r#"{{"jsonrpc":"2.0","id":"x","method":"{method}","params":{params}}}"#);
    let (status, json, _) = answer(service, Scope::All, &[], &body).await;
    (status, json)
}

#[tokio::test]
async fn a_modern_client_discovers() {
    let empty = Empty::new();
    let (status, json) = modern(&empty.service(LIMITS), "server/discover", "").await;
    assert_eq!((status, &json["id"], &json["result"]["resultType"]), (200, &5.into(), &"complete".into()));
    assert_eq!(json["result"]["supportedVersions"][0], "2026-07-28");
    // Without agents, what the registry itself has.
    let own = serde_json::json!({ "completions": {}, "tools": { "listChanged": true },
                                  "resources": { "listChanged": true, "subscribe": true } });
    assert_eq!(json["result"]["capabilities"], own);
    assert_eq!(json["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "stockade");
}

#[tokio::test]
async fn checks_of_a_modern_request_come_in_their_order() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    let check = async |headers: &[(&'static str, &str)], meta: &str, method: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{meta}}}}}"#);
        let (status, json, _) = answer(service, Scope::All, headers, &body).await;
        (status, json["error"]["code"].as_i64().unwrap_or_default())
    };
    let version = |version: &'static str| ("mcp-protocol-version", version);
    let meta = |version: &str| META.replace("2026-07-28", version);
    let without_capabilities = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let discover = ("mcp-method", "server/discover");

    assert_eq!(check(&[version("2026-07-28"), discover], "", "server/discover").await, (400, -32602));
    assert_eq!(check(&[version("2026-07-28"), discover], without_capabilities, "server/discover").await, (400, -32602));
    assert_eq!(check(&[version("2026-07-28"), discover], &meta("v9"), "server/discover").await, (400, -32020));
    assert_eq!(check(&[discover], META, "server/discover").await, (400, -32020));
    assert_eq!(check(&[version("v9"), discover], &meta("v9"), "server/discover").await, (400, -32022));
    assert_eq!(check(&[version("2026-07-28")], META, "server/discover").await, (400, -32020));
    for removed in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "no/such"]
    {
        assert_eq!(
            check(&[version("2026-07-28"), ("mcp-method", removed)], META, removed).await,
            (404, -32601),
            "{removed}"
        );
    }
    assert_eq!(check(&[version("2026-07-28"), discover], META, "server/discover").await, (200, 0));
}

#[tokio::test]
async fn an_older_client_opens_and_pings() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    for (proposed, agreed) in [("2025-03-26", "2025-03-26"), ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")]
    {
        let params = format!(r#"{{"protocolVersion":"{proposed}","capabilities":{{}},"clientInfo":{{}}}}"#);
        let (status, json) = legacy(service, "initialize", &params).await;
        assert_eq!((status, &json["result"]["protocolVersion"]), (200, &agreed.into()));
        assert!(json["result"].get("_meta").is_none() && json["result"].get("resultType").is_none());
    }
    assert_eq!(legacy(service, "ping", "{}").await, (200, serde_json::json!({"jsonrpc":"2.0","id":"x","result":{}})));
    let (status, json) = legacy(service, "logging/setLevel", r#"{"level":"debug"}"#).await;
    assert_eq!((status, &json["error"]["code"]), (400, &(-32600).into()), "it is the session's level that is set");
    assert_eq!(legacy(service, "initialize", "{}").await.1["error"]["code"], -32602);

    let (status, _, reply) =
        answer(service, Scope::All, &[], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((status, length(&reply)), (202, 0));
    let (status, json, _) = answer(
        service,
        Scope::All,
        &[("mcp-protocol-version", "1999-01-01")],
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    )
    .await;
    assert_eq!((status, &json["error"]["code"]), (400, &(-32022).into()));
}

/// The name of a session that begins now.
async fn begin(service: &Arc<Service>) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let (_, _, reply) = answer(service, Scope::All, &[], body).await;
    reply.session.expect("it has a name").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_good_until_it_ends() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    let name = begin(service).await;
    let ask =
        async |scope: Scope, name: &str, body: &str| answer(service, scope, &[("mcp-session-id", name)], body).await.0;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let level = r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}"#;
    assert_eq!((ask(Scope::All, &name, ping).await, ask(Scope::All, &name, level).await), (200, 200));
    let other = if name.ends_with('0') { '1' } else { '0' };
    for unknown in ["", "x", &format!("{}{other}", &name[..39])] {
        assert_eq!(ask(Scope::All, unknown, ping).await, 404, "{unknown}");
    }
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!((ask(Scope::All, &name, initialized).await, ask(Scope::All, "x", initialized).await), (202, 404));

    let mut headers = HeaderMap::new();
    let who = Arc::new(Principal::anonymous(100));
    assert_eq!(service.end_session(&Scope::All, &headers, &who).status, 400);
    headers.insert("mcp-session-id", name.parse().unwrap());
    assert_eq!(service.end_session(&Scope::One("a".into()), &headers, &who).status, 404);
    assert!(empty.accounts.sessions.used() > 0);
    assert_eq!(service.end_session(&Scope::All, &headers, &who).status, 204);
    assert_eq!(service.end_session(&Scope::All, &headers, &who).status, 404);
    assert_eq!(ask(Scope::All, &name, ping).await, 404);
    assert_eq!(empty.accounts.sessions.used(), 0, "nothing remains");
}

#[tokio::test]
async fn batches_are_for_those_who_have_them() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    let ask = async |version: &str, body: &str| {
        let (status, json, _) = answer(service, Scope::All, &[("mcp-protocol-version", version)], body).await;
        (status, json)
    };
    let ping = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let both = format!("[{},{notice},{}]", ping(1), ping(2));
    let (status, json) = ask("2025-03-26", &both).await;
    assert_eq!(
        (status, &json[0]["id"], &json[1]["id"], json.as_array().unwrap().len()),
        (200, &1.into(), &2.into(), 2)
    );
    assert_eq!(ask("2025-03-26", &format!("[{notice}]")).await, (202, Value::Null));
    assert_eq!(ask("2025-06-18", &both).await.1["error"]["code"], -32600);
    assert_eq!(ask("2025-03-26", &format!("[{0},{0},{0},{0}]", ping(1))).await.1["error"]["code"], -32600, "too many");
    let first = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}"#;
    let (_, mixed) = ask("2025-03-26", &format!("[{first},7,{}]", ping(3))).await;
    let codes: Vec<_> = (0..3).map(|at| mixed[at]["error"]["code"].as_i64()).collect();
    assert_eq!((codes, &mixed[2]["id"]), (vec![Some(-32600), Some(-32600), None], &3.into()), "{mixed}");
}

#[tokio::test]
async fn what_nobody_offers_is_not_served() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    assert_eq!(modern(service, "prompts/list", "").await.1["error"]["code"], -32601);
    let (status, json, _) =
        answer(service, Scope::One("nobody".into()), &[], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert_eq!((status, &json["id"]), (404, &1.into()));
    assert!(json["error"]["message"].as_str().unwrap().contains("no agent `nobody`"), "{json}");
}

#[tokio::test]
async fn a_reply_is_paid_for_until_it_is_sent() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let (_, _, reply) = answer(service, Scope::All, &[], ping).await;
    assert!(empty.accounts.replies.used() >= length(&reply) as u64);
    drop(reply);
    assert_eq!(empty.accounts.replies.used(), 0);
}

#[tokio::test]
async fn without_memory_for_a_reply_there_is_still_an_answer() {
    let empty = Empty::new();
    let service = &empty.service(LIMITS);
    let others = empty.accounts.replies.charge(empty.accounts.replies.free()).unwrap();
    let (status, json, reply) = answer(service, Scope::All, &[], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert_eq!((status, &json["error"]["code"]), (503, &(-32050).into()));
    assert!(reply.retry_after.is_some());
    drop(others);
    assert_eq!(legacy(service, "ping", "{}").await.0, 200);
}

#[tokio::test]
async fn a_reply_beyond_its_cap_says_so() {
    let empty = Empty::new();
    let service = &empty.service(HttpLimits { reply: 300, ..LIMITS });
    let (status, json) = modern(service, "server/discover", "").await;
    assert_eq!(
        (status, &json["error"]["code"], &json["error"]["data"]["limit"]),
        (200, &(-32051).into(), &"reply".into())
    );
    assert_eq!(json["error"]["data"]["cap"], 300);
}

#[tokio::test(start_paused = true)]
async fn what_fails_begins_again() {
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    let failing = || -> super::Forever {
        Box::pin(async {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        })
    };
    let _ = tokio::time::timeout(super::BEGIN_AGAIN * 5 / 2, super::unfailing("failing", failing)).await;
    assert_eq!(BEGUN.load(Ordering::Relaxed), 3);
}
