//! The registry as MCP clients see it on the common endpoint: tools and entries of agents that run.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::editor::Editor;
use stockade_tests::legacy::Session;
use stockade_tests::{Client, TestHost};

const AGENTS: &str = "agents:\n  everything: { component: '{agents}/everything.wasm' }\n  \
                      hello: { component: '{agents}/hello.wasm', memory: 16M }\n  \
                      none: { component: '{agents}/none.wasm' }\n";

const HELLO: &str = "urn:mcp:agent/hello";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn editor(host: &TestHost) -> Editor {
    Editor::connect(host.address, Some(&host.operator_token())).await.expect("the document is served")
}

/// An entry, as a client reads it.
async fn entry(client: &Client, uri: &str) -> Value {
    let read = client.read(uri).await;
    let text = read.result()["contents"][0]["text"].as_str().expect("text").to_owned();
    serde_json::from_str(&text).expect("JSON")
}

async fn eventually(client: &Client, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let entry = entry(client, HELLO).await;
        if so(&entry) {
            return entry;
        }
        assert!(began.elapsed() < PATIENCE, "{entry}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_an_agent_and_calls_it() {
    let host = TestHost::start(
        "agents:\n  hello: { component: '{agents}/hello.wasm', memory: 16M }\n  other: { component: '{agents}/everything.wasm' }\n",
    );
    let client = host.client();
    let tools = client.list("tools/list", None).await;
    let names: Vec<&str> =
        tools.result()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["list", "info", "details", "search"], "{names:?}");
    assert!(names.contains(&"hello__greet"));
    let found = client.call("search", json!({ "query": "greet" })).await;
    let agent = &found.result()["structuredContent"]["agents"][0];
    assert_eq!((&agent["name"], &agent["state"]), (&"hello".into(), &"ready".into()), "{}", found.body);
    let info = client.call("info", json!({ "agent": "hello" })).await;
    assert_eq!(info.result()["structuredContent"]["offers"]["tools"], true);
    // Where it says, it is.
    let endpoint = agent["endpoint"].as_str().unwrap();
    let greeted = Client::new(host.address, endpoint).call("greet", json!({ "name": "Ann" })).await;
    assert!(greeted.body.to_string().contains("Hello, Ann!"), "{}", greeted.body);
    let details = entry(&client, agent["uri"].as_str().unwrap()).await;
    assert_eq!((&details["inForce"]["memory"], &details["entry"]["name"]), (&(16 << 20).into(), &"hello".into()));
    assert!(details["digest"].as_str().unwrap().starts_with("sha256:"));
    // An agent's own endpoint has its own things only.
    let own = host.agent("hello").list("tools/list", None).await;
    assert_eq!(own.result()["tools"].as_array().unwrap().len(), 1, "{}", own.body);
    assert_eq!(host.agent("hello").read(HELLO).await.code(), -32601);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_heard_of_and_read() {
    let host = TestHost::start("agents: { hello: { component: '{agents}/hello.wasm', memory: 16M } }");
    let (client, mut editor) = (host.client(), editor(&host).await);
    let filter = json!({ "notifications": { "resourceSubscriptions": [HELLO, "urn:mcp:agent/nobody"] } });
    let mut modern = client.events("s", "subscriptions/listen", filter).await;
    let acknowledged = modern.notice("notifications/subscriptions/acknowledged").await;
    assert_eq!(acknowledged["notifications"], json!({ "resourceSubscriptions": [HELLO] }));
    let session = Session::begin(&client).await;
    assert_eq!(session.request(1, "resources/subscribe", json!({ "uri": HELLO })).await.result(), &json!({}));
    let unknown = session.request(1, "resources/subscribe", json!({ "uri": "urn:mcp:agent/nobody" })).await;
    assert_eq!(unknown.code(), -32002, "{}", unknown.body);
    let mut stream = session.stream().await;

    editor.set([("hello", "memory", 1 << 20)]).await.expect("taken");
    assert_eq!(modern.notice("notifications/resources/updated").await["uri"], HELLO);
    assert_eq!(stream.notice("notifications/resources/updated").await["uri"], HELLO);
    let told = eventually(&client, |entry| entry["inForce"]["memory"] == 1 << 20).await;
    assert_eq!(told["entry"]["memory"], 1 << 20, "{told}");
    editor.set([("hello", "enabled", false)]).await.expect("taken");
    let told = eventually(&client, |entry| entry["state"] == "disabled").await;
    assert!(told["reason"].as_str().unwrap().contains("`stockade enable hello`"), "{told}");
    assert_eq!(session.request(1, "resources/unsubscribe", json!({ "uri": HELLO })).await.result(), &json!({}));
    assert_eq!(session.end().await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_listed_with_the_reason() {
    let dir = stockade_tests::Setup::default();
    dir.file("none.wasm", b"no component");
    let host = dir.start(&AGENTS.replace("{agents}/none.wasm", "none.wasm"));
    let client = host.client();
    let listed = client.call("list", json!({})).await;
    let agents = listed.result()["structuredContent"]["agents"].as_array().unwrap();
    let states: Vec<_> = agents.iter().map(|agent| agent["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["ready", "ready", "refused"], "{}", listed.body);
    let told = entry(&client, "urn:mcp:agent/none").await;
    assert!(told["reason"].as_str().unwrap().contains("not a component"), "{told}");
    let resources = client.list("resources/list", None).await;
    let first = &resources.result()["resources"][0];
    assert_eq!((&first["uri"], &first["mimeType"]), (&"urn:mcp:agent/everything".into(), &"application/json".into()));
}
