//! What the registry's document says of an agent is in force from the next call on, and not before.

use std::time::{Duration, Instant};

use serde_json::json;
use stockade::agent::{Caller, Plan};
use stockade::manifest::AgentSpec;
use stockade_tests::editor::Editor;
use stockade_tests::{Setup, TestHost};
use yrs::Any;

use crate::streams::listen;

async fn editor(host: &TestHost) -> Editor {
    Editor::connect(host.address, Some(&host.operator_token())).await.expect("the document is served")
}

/// Edits a field of an agent, and waits until that is in force.
async fn edit(host: &TestHost, (agent, field, value): (&str, &str, Any), so: impl Fn(&AgentSpec) -> bool) {
    editor(host).await.set([(agent, field, value)]).await.expect("sent");
    let spec = || host.handle(agent).spec();
    assert!(stockade_tests::eventually(|| so(&spec())), "`{field}` is not in force: {:?}", spec());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_ends_as_it_began() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm', deadline: 2s } }");
    let client = host.agent("guests");
    let sleeper = tokio::spawn({
        let client = client.clone();
        async move { client.call("sleep", json!({})).await }
    });
    assert!(stockade_tests::eventually(|| host.used("guests") > 0), "the sleeper runs");
    let began = Instant::now();
    edit(&host, ("guests", "deadline", 200.into()), |spec| spec.deadline == Duration::from_millis(200)).await;
    let next = client.call("sleep", json!({})).await;
    assert_eq!((&next.limit()["limit"], &next.limit()["cap"]), (&json!("deadline"), &json!(200)), "{}", next.body);
    let slept = sleeper.await.expect("it ends");
    assert_eq!((&slept.limit()["limit"], &slept.limit()["cap"]), (&json!("deadline"), &json!(2_000)), "{}", slept.body);
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    // So does one that runs while its agent is disabled, or edited otherwise.
    edit(&host, ("guests", "deadline", 1_000.into()), |spec| spec.deadline == Duration::from_secs(1)).await;
    let sleeper = tokio::spawn(async move { client.call("sleep", json!({})).await });
    assert!(stockade_tests::eventually(|| host.used("guests") > 0), "the sleeper runs");
    editor(&host).await.set([("guests", "enabled", false)]).await.expect("sent");
    let slept = sleeper.await.expect("it ends");
    assert_eq!(slept.limit()["limit"], "deadline", "{}", slept.body);
}

/// Even where it takes several instances one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_has_begun_ends_with_the_grants_it_had() {
    const SIZE: usize = 80 << 20;
    let setup = Setup::default();
    setup.file("docs/large.bin", &vec![7; SIZE]);
    let host = setup.start("agents: { files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } } }");
    let by = std::sync::Arc::new(Caller::new("test".into(), "2026-07-28"));
    let read = || host.handle("files").read(&by, "file:///docs/large.bin", Plan::WHOLE);
    let mut reading = read();
    let mut seen = reading.next().await.expect("it can be read").expect("it is not empty").value.bytes.len();
    edit(&host, ("files", "grants", Any::Array([].into())), |spec| spec.dirs.is_empty()).await;
    while let Some(chunk) = reading.next().await.expect("it goes on") {
        seen += chunk.value.bytes.len();
    }
    assert_eq!(seen, SIZE);
    read().next().await.expect_err("nothing is granted now");
    edit(&host, ("files", "grants", Any::Null), |spec| !spec.dirs.is_empty()).await;
    read().next().await.expect("it can be read").expect("it is not empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_calls_run_at_once_as_the_document_says() {
    let host = TestHost::start(
        "agents: { guests: { component: '{agents}/guests.wasm', concurrency: 2, queue: 0, deadline: 2s } }",
    );
    edit(&host, ("guests", "concurrency", 1.into()), |spec| spec.concurrency == 1).await;
    let client = host.agent("guests");
    let sleeper = tokio::spawn({
        let client = client.clone();
        async move { client.call("sleep", json!({})).await }
    });
    assert!(stockade_tests::eventually(|| host.used("guests") > 0), "the sleeper runs");
    let refused = client.call("sleep", json!({})).await;
    let limit = refused.limit();
    assert_eq!((&limit["limit"], &limit["cap"], &limit["used"]), (&json!("busy"), &json!(1), &json!(1)), "{limit}");
    sleeper.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_hear_that_lists_are_others() {
    let setup = Setup::default();
    setup.file("docs/a.txt", b"a");
    let host = setup.start("agents: { files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } } }");
    let filter = json!({ "toolsListChanged": true, "resourcesListChanged": true });
    let (mut events, _) = listen(&host.client(), 1, filter).await;
    let mut editor = editor(&host).await;
    let changes: [(&str, Any); 4] = [
        ("enabled", false.into()),
        ("enabled", true.into()),
        ("grants", Any::Array([].into())),
        ("grants", Any::Array(["/docs".into()].into())),
    ];
    for (field, value) in changes {
        editor.set([("files", field, value)]).await.expect("sent");
        for list in ["tools", "resources"] {
            events.notice(&format!("notifications/{list}/list_changed")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_has_no_more_is_disabled() {
    let both = "agents: { hello: { component: '{agents}/hello.wasm' }, other: { component: '{agents}/hello.wasm' } }";
    let host = TestHost::start(both).again_on("agents: { hello: { component: '{agents}/hello.wasm' } }");
    let mut editor = editor(&host).await;
    let enabled = |editor: &Editor| ["hello", "other"].map(|agent| editor.field(agent, "enabled"));
    assert_eq!(enabled(&editor), [None, Some(false.into())]);
    editor.set([("hello", "title", "still here")]).await.expect("sent");
    editor.settle().await.expect("taken");
}
