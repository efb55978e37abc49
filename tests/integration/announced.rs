//! What agents announce, and what the host sees for itself, on the streams of those who listen.

use std::time::{Duration, Instant};

use serde_json::json;
use stockade_tests::{Session, Setup, TestHost};
use tokio::time::timeout;

use crate::streams::listen;

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_together() {
    let agents = "agents:\n  everything: { component: '{agents}/everything.wasm' }\n  \
                  guests: { component: '{agents}/guests.wasm', cpu: 500ms, deadline: 20s }\n";
    let host = TestHost::start(agents);
    let client = host.client();
    let uri = "everything+test://watched-resource";
    let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": [uri] });
    let (mut events, _) = listen(&client, "s", filter).await;
    let session = Session::begin(&client).await;
    assert_eq!(session.request(1, "resources/subscribe", json!({ "uri": uri })).await.result(), &json!({}));
    let mut stream = session.stream().await;

    let began = Instant::now();
    let flooded = client.call("guests__changed-flood", json!({})).await;
    assert_eq!(flooded.limit()["limit"], "cpu", "{}", flooded.body);
    for _ in 0..5 {
        assert_eq!(client.call("everything__trigger_watched_change", json!({})).await.status, 200);
    }
    let mut lists = 0;
    let last = loop {
        let message = events.message().await.expect("the stream goes on");
        let subscription = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(subscription, "s", "{message}");
        match message["method"].as_str() {
            Some("notifications/tools/list_changed") => lists += 1,
            _ => break message,
        }
    };
    // At most one in each tenth of a second.
    let most = began.elapsed().as_millis() / 100 + 1;
    println!("{lists} notices of a flood, in {:?}", began.elapsed());
    assert!(lists >= 1 && u128::from(lists as u32) <= most, "{lists} notices of changed lists, where {most} may come");
    assert_eq!((&last["method"], &last["params"]["uri"]), (&json!("notifications/resources/updated"), &json!(uri)));

    // The stream of the session tells the same, in its own words.
    let updated = loop {
        let message = stream.message().await.expect("the stream goes on");
        if message["method"] != "notifications/tools/list_changed" {
            break message;
        }
        assert!(message.get("params").is_none(), "{message}");
    };
    assert_eq!((&updated["method"], &updated["params"]), (&last["method"], &json!({ "uri": uri })));
    assert_eq!(session.end().await, 204);
    drop(events);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_announces_only_so_many_changes() {
    let agents = "agents:\n  everything: { component: '{agents}/everything.wasm' }\n  \
                  guests: { component: '{agents}/guests.wasm' }\n";
    let host = TestHost::start(agents);
    let client = host.client();
    let uri = "everything+test://watched-resource";
    let filter = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": [uri] });
    let (mut events, _) = listen(&client, "s", filter).await;
    assert_eq!(client.call("guests__changed-often", json!({})).await.text(), "announced");
    assert_eq!(client.call("everything__trigger_watched_change", json!({})).await.status, 200);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|method| method != "notifications/resources/updated") {
        let message = events.message().await.expect("the stream goes on");
        heard.push(message["method"].as_str().expect("it is a notification").to_owned());
    }
    // The last that is taken is of prompts; that of tools is one too many.
    assert_eq!(heard, ["notifications/prompts/list_changed", "notifications/resources/updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_announced() {
    let setup = Setup::default();
    let (path, _) = (setup.file("docs/a.txt", b"one"), setup.file("docs/b.txt", b"same"));
    let host = setup.start("agents: { files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } } }");
    let client = host.agent("files");
    let uris = json!(["file:///docs/a.txt", "file:///docs/b.txt"]);
    let (mut events, _) = listen(&client, 1, json!({ "resourceSubscriptions": uris })).await;
    let session = Session::begin(&client).await;
    for uri in uris.as_array().expect("two") {
        assert_eq!(session.request(1, "resources/subscribe", json!({ "uri": uri })).await.result(), &json!({}));
    }
    let mut stream = session.stream().await;
    for text in ["two", "three"] {
        std::fs::write(&path, text).expect("a file can be written");
        for stream in [&mut events, &mut stream] {
            let updated = stream.notice("notifications/resources/updated").await;
            assert_eq!(updated["uri"], "file:///docs/a.txt", "{updated}");
        }
        assert_eq!(client.read("file:///docs/a.txt").await.result()["contents"][0]["text"], text);
    }
    assert_eq!(session.end().await, 204);
    drop(events);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_come_are_announced() {
    let agents =
        "agents:\n  files: { component: '{agents}/files.wasm' }\n  tables: { component: '{agents}/tables.wasm' }\n";
    let host = Setup::default().start_loading(agents);
    let filter = json!({ "toolsListChanged": true, "resourcesListChanged": true });
    let (mut events, accepted) = listen(&host.client(), 1, filter.clone()).await;
    assert_eq!(accepted, filter, "what is not there yet may come");
    assert!(host.handle("tables").offer().is_err(), "it is still being compiled");
    let announced = async {
        let mut seen = Vec::new();
        while host.handle("tables").offer().is_err() || seen.len() < 2 {
            let message = events.message().await.expect("the stream goes on");
            seen.push(message["method"].as_str().expect("a notice").to_owned());
        }
        seen
    };
    let seen = timeout(Duration::from_secs(120), announced).await.expect("both are announced");
    assert!(seen.iter().any(|method| method == "notifications/tools/list_changed"), "{seen:?}");
    assert!(seen.iter().any(|method| method == "notifications/resources/list_changed"), "{seen:?}");
    let list = host.client().list("tools/list", None).await;
    assert!(list.body.to_string().contains("\"tables__"), "{}", list.body);
}
