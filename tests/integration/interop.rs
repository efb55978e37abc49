//! Clients of other makes: they connect, list, read and call, as their own libraries do it.

use std::path::Path;

use serde_json::Value;
use stockade_tests::interop::{conformance, node_client, python_client};
use stockade_tests::{Setup, TestHost};

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

/// What every client must have seen of agent `everything`.
fn check(seen: &Value, revision: &str) {
    assert_eq!(seen["revision"], revision, "{seen}");
    for what in ["tools", "resources", "templates", "prompts"] {
        assert!(seen[what].as_u64().is_some_and(|count| count > 0), "no {what}: {seen}");
    }
}

async fn on_both_endpoints(host: &TestHost, client: impl AsyncFn(&str, &str) -> anyhow::Result<Value>, revision: &str) {
    for (path, agent) in [("/mcp/everything", ""), ("/mcp", "everything")] {
        let seen = client(&host.url(path), agent).await.unwrap_or_else(|error| panic!("{path}: {error:#}"));
        check(&seen, revision);
    }
}

#[tokio::test]
async fn typescript_sdk_1_of_the_initialize_era() {
    let host = TestHost::start(EVERYTHING);
    on_both_endpoints(&host, async |url, agent| node_client("sdk1.mjs", url, agent).await, "2025-11-25").await;
}

#[tokio::test]
async fn typescript_client_2() {
    let host = TestHost::start(EVERYTHING);
    on_both_endpoints(&host, async |url, agent| node_client("client2.mjs", url, agent).await, "2026-07-28").await;
}

#[tokio::test]
async fn python_mcp_2() {
    let host = TestHost::start(EVERYTHING);
    on_both_endpoints(&host, async |url, agent| python_client(url, agent).await, "2026-07-28").await;
}

#[tokio::test]
async fn the_conformance_suite_of_the_newest_revision() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(here.join("manifests/conformance.yaml")).expect("the manifest is there");
    let agents = manifest.lines().skip_while(|line| !line.starts_with("agents:")).collect::<Vec<_>>().join("\n");
    let setup = Setup::default();
    let out = setup.dir.path().join("conformance");
    let host = setup.start(&agents.replace("../../target/wasm32-wasip2/release", "{agents}"));
    // The suite checks for rebinding attacks only on a host it knows as local.
    let url = host.url("/mcp/everything").replace("127.0.0.1", "localhost");
    let expected = here.join("conformance/expected-2026-07-28.yml");
    match conformance(&url, "2026-07-28", &expected, &out).await {
        Ok(summary) => println!("{summary}"),
        Err(error) => panic!("{error:#}"),
    }
}
