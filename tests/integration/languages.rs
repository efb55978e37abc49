//! Agents of other languages, as the compilers of their own registries make them: each brings its interpreter along.

use serde_json::json;
use stockade_tests::Setup;
use stockade_tests::interop::foreign_agent;

/// Compiling an interpreter takes more than all its calls; JavaScript wants most while it runs.
const MEMORY: &str = "memory: 2G\ndefaults: { memory: 128M }";

async fn greets(language: &str, agent: &str) {
    let file = foreign_agent(agent).await.unwrap_or_else(|error| panic!("{error:#}"));
    let manifest = format!("{MEMORY}\nagents: {{ {agent}: {{ component: '{}' }} }}", file.display());
    let host = Setup::default().start(&manifest);
    let client = host.agent(agent);
    // More than one, since each gets a fresh instance.
    for who in ["Ada", "Grüße"] {
        let answer = client.call("greet", json!({ "name": who })).await;
        assert_eq!(answer.text(), format!("Hello, {who}, from {language}!"), "{}", answer.body);
    }
    let wrong = client.call("greet", json!({ "name": 7 })).await;
    assert_eq!((&wrong.result()["isError"], wrong.text()), (&json!(true), "`name` must be a text"), "{}", wrong.body);
    let unknown = client.call("shout", json!({})).await;
    assert_eq!(unknown.code(), -32602, "{}", unknown.body);
    println!("{language}: a call takes up to {} bytes", host.figures(agent).memory_peak);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_python_greets() {
    greets("Python", "greeter-py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_javascript_greets() {
    greets("JavaScript", "greeter-js").await;
}
