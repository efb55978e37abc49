//! Clients of other makes, as their own libraries do it: they list, read and call, follow a call, hear of changes, cancel,
//! and are asked. And the official conformance suites.

use std::path::Path;

use serde_json::{Value, json};
use stockade_tests::interop::{
    conformance_active, conformance_pending, conformance_requirements, inspector, inspector_that_goes_away,
    node_client, python_client,
};
use stockade_tests::rmcp_client::{Era, rmcp_client};
use stockade_tests::{Setup, TestHost, eventually};

/// One call at a time, and none for as long as a client sleeps in it: the call after a cancelled one shows that the
/// cancelled one is over. The deadline is longer than that sleep, so nothing else ends it.
const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm', deadline: 60s, concurrency: 1, \
                          queue_wait: 10s } }\ntransports: { sse: true }";

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// Where streamable HTTP and HTTP+SSE are served: one agent's names are plain, the shared endpoint's carry the agent.
const HTTP: [(&str, &str); 2] = [("/mcp/everything", ""), ("/mcp", "everything")];
const SSE: [(&str, &str); 2] = [("/sse/everything", ""), ("/sse", "everything")];

/// What every client must have seen of agent `everything`.
fn check(seen: &Value, agent: &str, revision: &str) {
    assert_eq!(seen["revision"], revision, "{seen}");
    for what in ["tools", "resources", "templates", "prompts"] {
        assert!(seen[what].as_u64().is_some_and(|count| count > 0), "no {what}: {seen}");
    }
    let watched = "test://watched-resource";
    let watched = if agent.is_empty() { watched.into() } else { format!("{agent}+{watched}") };
    assert_eq!(seen["updated"], watched, "{seen}");
    assert!(seen["answered"].as_array().is_some_and(|answers| answers.contains(&json!("Hello, Ada!"))), "{seen}");
}

/// What the clients that are libraries must have seen as well.
fn check_library(seen: &Value, agent: &str, revision: &str) {
    check(seen, agent, revision);
    let steps = seen["progress"].as_array().expect("progress is a list");
    assert_eq!(steps.last().and_then(Value::as_f64), Some(100.0), "{seen}");
    assert_eq!(seen["listChanged"], "tools", "{seen}");
    assert!(seen["cancelled"].is_string(), "{seen}");
    let logged = ["Tool execution started", "Tool processing data", "Tool execution completed"];
    assert_eq!(seen["logged"], json!(logged), "{seen}");
}

async fn everywhere(
    endpoints: [(&str, &str); 2],
    revision: &str,
    client: impl AsyncFn(&str, &str) -> anyhow::Result<Value>,
) {
    let host = TestHost::start(EVERYTHING);
    for (path, agent) in endpoints {
        let seen = client(&host.url(path), agent).await.unwrap_or_else(|error| panic!("{path}: {error:#}"));
        check_library(&seen, agent, revision);
    }
}

#[tokio::test]
async fn typescript_sdk_1_of_the_initialize_era() {
    everywhere(HTTP, LEGACY, async |url, agent| node_client("sdk1.mjs", url, agent).await).await;
}

#[tokio::test]
async fn typescript_sdk_1_over_http_and_sse() {
    everywhere(SSE, LEGACY, async |url, agent| node_client("sdk1-sse.mjs", url, agent).await).await;
}

#[tokio::test]
async fn typescript_client_2() {
    everywhere(HTTP, MODERN, async |url, agent| node_client("client2.mjs", url, agent).await).await;
}

#[tokio::test]
async fn python_mcp_2() {
    everywhere(HTTP, MODERN, async |url, agent| python_client("auto", url, agent).await).await;
}

#[tokio::test]
async fn python_mcp_2_of_the_initialize_era() {
    everywhere(HTTP, LEGACY, async |url, agent| python_client("legacy", url, agent).await).await;
}

#[tokio::test]
async fn python_mcp_2_over_http_and_sse() {
    everywhere(SSE, LEGACY, async |url, agent| python_client("sse", url, agent).await).await;
}

#[tokio::test]
async fn rust_rmcp_3() {
    everywhere(HTTP, MODERN, async |url, agent| rmcp_client(url, agent, Era::Modern).await).await;
}

#[tokio::test]
async fn rust_rmcp_3_of_the_initialize_era() {
    everywhere(HTTP, LEGACY, async |url, agent| rmcp_client(url, agent, Era::Legacy).await).await;
}

#[tokio::test]
async fn the_inspector() {
    let host = TestHost::start(EVERYTHING);
    for (path, agent) in HTTP {
        for (era, revision) in [(Era::Modern, MODERN), (Era::Legacy, LEGACY)] {
            let seen = inspector(&host.url(path), agent, era).await;
            check(&seen.unwrap_or_else(|error| panic!("{path}, {era:?}: {error:#}")), agent, revision);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_that_goes_away() {
    let host = TestHost::start(EVERYTHING);
    // The Inspector lists the tools before it calls one, and a call is counted when it has ended.
    let before = host.figures("everything").calls;
    let sleeps = || eventually(|| host.figures("everything").calls > before && host.used("guests") > 0);
    if let Err(error) = inspector_that_goes_away(&host.url("/mcp/everything"), "", sleeps).await {
        panic!("{error:#}");
    }
}

/// A host with `manifests/conformance.yaml`, its address, and a folder for what a suite finds.
struct Examined {
    _host: TestHost,
    url: String,
    found: tempfile::TempDir,
}

impl Examined {
    fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = std::fs::read_to_string(here.join("manifests/conformance.yaml")).expect("the manifest is there");
        let agents = manifest.lines().skip_while(|line| !line.starts_with("agents:")).collect::<Vec<_>>().join("\n");
        let host = Setup::default().start(&agents.replace("../../target/wasm32-wasip2/release", "{agents}"));
        // The suites check for rebinding attacks only on a host they know as local.
        let url = host.url("/mcp/everything").replace("127.0.0.1", "localhost");
        Self { _host: host, url, found: tempfile::tempdir().expect("a folder for the test") }
    }
}

fn passed(summary: anyhow::Result<String>) {
    match summary {
        Ok(summary) => println!("{summary}"),
        Err(error) => panic!("{error:#}"),
    }
}

#[tokio::test]
async fn the_conformance_suite_of_the_newest_revision() {
    let examined = Examined::start();
    passed(conformance_requirements(&examined.url, MODERN, examined.found.path()).await);
}

#[tokio::test]
async fn the_conformance_suite_of_the_initialize_era() {
    let examined = Examined::start();
    passed(conformance_requirements(&examined.url, LEGACY, examined.found.path()).await);
}

#[tokio::test]
async fn the_conformance_suite_before_this_one() {
    let examined = Examined::start();
    passed(conformance_active(&examined.url, &examined.found.path().join("active")).await);
    println!("{}", conformance_pending(&examined.url, &examined.found.path().join("pending")).await);
}
