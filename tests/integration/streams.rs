//! Streams of events: what comes on them, in which order, for whom, and where they end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::events::Piece;
use stockade_tests::{Answer, Client, Events, Session, Setup, TestHost, eventually};

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

/// Every severity, least severe first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

fn tool(name: &str, meta: Value) -> Value {
    let mut params = json!({ "name": name, "arguments": {} });
    params["_meta"] = meta;
    params
}

/// The stream of a `subscriptions/listen`, and what of its filter is served.
pub async fn listen(client: &Client, id: impl Into<Value>, filter: Value) -> (Events, Value) {
    let id = id.into();
    let mut events = client.events(id.clone(), "subscriptions/listen", json!({ "notifications": filter })).await;
    let acknowledged = events.notice("notifications/subscriptions/acknowledged").await;
    assert_eq!(acknowledged["_meta"], json!({ "io.modelcontextprotocol/subscriptionId": id }));
    (events, acknowledged["notifications"].clone())
}

/// Levels of the log messages among these, in order.
fn levels(messages: &[Value]) -> Vec<&str> {
    let logged = messages.iter().filter(|message| message["method"] == "notifications/message");
    logged.map(|message| message["params"]["level"].as_str().expect("a level")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_says_comes_before_its_result() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    assert_eq!(session.request(1, "logging/setLevel", json!({ "level": "info" })).await.status, 200);
    for token in [json!("a \"token\""), json!(7)] {
        let meta = json!({ "progressToken": token, "io.modelcontextprotocol/logLevel": "info" });
        let modern = client.events("m", "tools/call", tool("test_tool_with_progress", meta.clone())).await;
        let params = json!({ "name": "test_tool_with_progress", "_meta": { "progressToken": token } });
        let legacy = session.events("m", "tools/call", params).await;
        for mut events in [modern, legacy] {
            assert_eq!(events.header("x-accel-buffering"), Some("no"));
            assert_eq!(events.header("cache-control"), Some("no-cache, no-transform"));
            for done in [0.0, 50.0, 100.0] {
                let progress = events.notice("notifications/progress").await;
                assert_eq!((&progress["progressToken"], &progress["progress"]), (&token, &json!(done)), "{progress}");
                assert_eq!(
                    (&progress["total"], &progress["message"]),
                    (&json!(100.0), &json!(format!("{done} of 100")))
                );
            }
            let result = events.message().await.expect("a result");
            assert_eq!((&result["id"], &result["result"]["isError"]), (&json!("m"), &json!(false)), "{result}");
            assert_eq!(events.piece().await, None, "nothing comes after the result");
        }
        let mut logging = client.events("m", "tools/call", tool("test_tool_with_logging", meta)).await;
        for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
            let said = logging.notice("notifications/message").await;
            assert_eq!(said, json!({ "level": "info", "logger": "everything", "data": text }));
        }
        assert_eq!(logging.rest().await.len(), 1, "the result");
    }
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_what_it_accepts() {
    let host = TestHost::start(EVERYTHING);
    let meta = json!({ "progressToken": 1, "io.modelcontextprotocol/logLevel": "debug" });
    for (accept, kind) in [
        ("application/json", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ("application/json, text/event-stream;q=0", "application/json"),
    ] {
        let client = host.agent("everything").accepting(accept);
        for (name, news) in [("test_simple_text", 0), ("test_tool_with_progress", 3)] {
            let reply = client.open(json!(1), "tools/call", tool(name, meta.clone())).await.expect("an answer");
            assert_eq!(reply.headers()["content-type"], kind, "{accept}: {name}");
            let messages = if kind == "application/json" {
                vec![Answer::read(reply).await.expect("whole").body]
            } else {
                Events::of(reply).rest().await
            };
            let expected = if kind == "application/json" { 1 } else { news + 1 };
            assert_eq!(messages.len(), expected, "{accept}: {messages:?}");
            assert!(messages[expected - 1]["result"]["content"].is_array(), "{accept}: {messages:?}");
        }
    }
    let quiet = host.agent("everything").open(json!(1), "tools/call", tool("test_tool_with_progress", json!({}))).await;
    assert_eq!(quiet.expect("an answer").headers()["content-type"], "application/json", "nobody asked for news");
    let deaf = host.agent("everything").accepting("text/html").call("echo", json!({})).await;
    assert_eq!(deaf.status, 406, "{}", deaf.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_the_levels_it_asked_for() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything").accepting("text/event-stream");
    let begin = async || Session::begin(&host.agent("everything")).await.presented_by(&client);
    let (session, other) = (begin().await, begin().await);
    for (first, level) in LEVELS.iter().enumerate() {
        let meta = json!({ "io.modelcontextprotocol/logLevel": level });
        let messages = client.events(1, "tools/call", tool("log_every_level", meta)).await.rest().await;
        assert_eq!(levels(&messages), LEVELS[first..], "{level}");

        let set = session.events(1, "logging/setLevel", json!({ "level": level })).await.rest().await;
        assert_eq!(set, [json!({ "jsonrpc": "2.0", "id": 1, "result": {} })]);
        let messages = session.events(2, "tools/call", json!({ "name": "log_every_level" })).await.rest().await;
        assert_eq!(levels(&messages), LEVELS[first..], "{level}");
    }
    let messages = client.events(1, "tools/call", tool("log_every_level", json!({}))).await.rest().await;
    assert_eq!(levels(&messages), [""; 0], "who does not ask hears nothing");
    let messages = other.events(2, "tools/call", json!({ "name": "log_every_level" })).await.rest().await;
    assert_eq!(levels(&messages), [""; 0], "a level is good for one session");

    let meta = json!({ "io.modelcontextprotocol/logLevel": "loud" });
    let wrong = client.request("tools/call", tool("log_every_level", meta)).await;
    assert_eq!((wrong.status, wrong.code()), (400, -32602), "{}", wrong.body);
    let plain = session.presented_by(&host.agent("everything"));
    let wrong = plain.request(3, "logging/setLevel", json!({ "level": "loud" })).await;
    assert_eq!(wrong.code(), -32602, "{}", wrong.body);
    assert!(wrong.message().contains("debug, info"), "{}", wrong.message());
    assert_eq!((session.end().await, other.end().await), (204, 204));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_shows_that_it_is_there() {
    let host = TestHost::start(&format!("transports: {{ keep_alive: 100ms }}\n{EVERYTHING}"));
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    let (listening, _) = listen(&client, 1, json!({ "toolsListChanged": true })).await;
    for mut stream in [session.stream().await, listening] {
        let began = Instant::now();
        for _ in 0..3 {
            assert_eq!(stream.piece().await, Some(Piece::Comment("keep-alive".into())));
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_counted_and_bounded() {
    let host = TestHost::start(&format!("transports: {{ streams: 1 }}\n{EVERYTHING}"));
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    let (open, _) = listen(&client, 1, json!({ "toolsListChanged": true })).await;
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let refused =
        [client.request("subscriptions/listen", filter).await, Answer::read(session.get().await).await.expect("whole")];
    for refused in refused {
        assert_eq!((refused.status, refused.code()), (503, -32050), "{}", refused.body);
        assert_eq!(refused.headers["retry-after"], "1");
        let limit = refused.limit();
        assert_eq!((&limit["limit"], &limit["cap"], &limit["used"]), (&json!("streams"), &json!(1), &json!(1)));
    }
    // What ends by itself has a place among the requests in flight.
    assert_eq!(client.read("test://large/1000000").await.status, 200);
    let read = session.request(1, "resources/read", json!({ "uri": "test://large/1000000" })).await;
    assert_eq!(read.status, 200);
    assert_eq!(plain(&host, "test://static-text").await.status, 200);
    drop(open);
    host.eventually_open(1, 0, 0).await;
    assert_eq!(session.get().await.status(), 200);
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

async fn plain(host: &TestHost, uri: &str) -> Answer {
    let reply = reqwest::get(host.url(&format!("/agents/everything/resources?uri={uri}"))).await.expect("an answer");
    Answer::read(reply).await.expect("whole")
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_nobody_takes_are_dropped_and_counted() {
    // Each message is cut to 4 KiB, and only 64 of a call are passed on in any case.
    for (queue, at_once) in [("1M", 64), ("8K", 63), ("1K", 0)] {
        let manifest = "agents: { guests: { component: '{agents}/guests.wasm', cpu: 500ms, deadline: 20s } }";
        let host = TestHost::start(&format!("transports: {{ queue: {queue} }}\n{manifest}"));
        let meta = json!({ "progressToken": 1, "io.modelcontextprotocol/logLevel": "emergency" });
        let mut events = host.agent("guests").events(1, "tools/call", tool("log-flood", meta)).await;
        // The client takes nothing for as long as the guest runs.
        assert!(eventually(|| host.used("guests") == 0));
        let messages = events.rest().await;
        let (last, said) = messages.split_last().expect("the result");
        assert_eq!(last["result"]["_meta"]["stockade/limit"]["limit"], "cpu", "{last}");
        let is_notice = |message: &&Value| message["params"]["logger"] == "stockade";
        let kept = said.iter().filter(|message| !is_notice(message)).count();
        println!("queue {queue}: {kept} messages, {} notices", said.len() - kept);
        assert!(kept <= at_once && (kept == 64) == (queue == "1M"), "{queue}: {kept} messages");
        assert_eq!(said.len() - kept, 1, "it is said once");
        let notice = said.last().filter(is_notice).expect("the client hears that some were dropped");
        assert_eq!(notice["params"]["level"], "emergency", "as severe as what the client wants to hear");
        assert!(notice["params"]["data"].as_str().is_some_and(|said| said.contains("messages were dropped")));
        assert!(host.peak("streams") < 2 << 20, "{queue}: {}", host.peak("streams"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_acknowledged_as_far_as_it_is_served() {
    let setup = Setup::default();
    setup.file("docs/a.txt", b"a");
    let agents = "agents:\n  everything: { component: '{agents}/everything.wasm' }\n  hello: { component: '{agents}/hello.wasm' }\n  \
                  files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } }\n";
    let host = setup.start(agents);
    let all = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
    let with = |uris: Value| {
        let mut filter = all.clone();
        filter["resourceSubscriptions"] = uris;
        filter
    };
    let (everything, files) = (host.agent("everything"), host.agent("files"));
    let uris = json!(["test://clock", "test://no-such-thing", "test://watched-resource", "nonsense"]);
    let (_first, accepted) = listen(&everything, "a \"name\"", with(uris)).await;
    assert_eq!(accepted, with(json!(["test://clock", "test://watched-resource"])));
    let (_second, accepted) = listen(&files, 0, with(json!(["file:///docs/a.txt", "file:///docs/b.txt"]))).await;
    assert_eq!(accepted, json!({ "resourceSubscriptions": ["file:///docs/a.txt"] }), "its lists never change");
    let (_third, accepted) = listen(&host.agent("hello"), -1, with(json!(["hello://x"]))).await;
    assert_eq!(accepted, json!({}), "nothing of it changes");
    let uris = json!(["files+file:///docs/a.txt", "file:///docs/a.txt", "everything+test://clock", "nobody+x:y"]);
    let (_fourth, accepted) = listen(&host.client(), 1, with(uris)).await;
    assert_eq!(accepted, with(json!(["files+file:///docs/a.txt", "everything+test://clock"])));
    let (_fifth, accepted) = listen(&host.client(), 1.5, json!({ "toolsListChanged": false, "later": true })).await;
    assert_eq!(accepted, json!({}));
    host.eventually_open(0, 5, 5).await;

    let deaf = everything.accepting("application/json");
    assert_eq!(deaf.request("subscriptions/listen", json!({ "notifications": {} })).await.status, 406);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_bounded_by_number_and_by_bytes() {
    let host = TestHost::start(&format!("transports: {{ subscriptions: 2, filter: 1K }}\n{EVERYTHING}"));
    let client = host.agent("everything");
    let uris = |count: usize| (0..count).map(|number| format!("test://page/{}", number + 1)).collect::<Vec<_>>();
    let long = format!("test://{}", "x".repeat(1 << 10));
    for (uris, limit, cap, wanted) in
        [(uris(3), "transports.subscriptions", 2, 3), (vec![long], "transports.filter", 1 << 10, 1031)]
    {
        let filter = json!({ "notifications": { "resourceSubscriptions": uris } });
        let refused = client.request("subscriptions/listen", filter).await;
        assert_eq!((refused.status, refused.code()), (400, -32602), "{}", refused.body);
        let said = refused.limit();
        assert_eq!((&said["limit"], &said["cap"], &said["wanted"]), (&json!(limit), &json!(cap), &json!(wanted)));
        assert!(refused.message().contains(limit), "{}", refused.message());
    }
    host.eventually_open(0, 0, 0).await;
    let (_open, accepted) = listen(&client, 1, json!({ "resourceSubscriptions": uris(2) })).await;
    assert_eq!(accepted["resourceSubscriptions"], json!(uris(2)));

    let session = Session::begin(&client).await;
    let three = uris(3);
    let subscribe = |uri: &String| session.request(1, "resources/subscribe", json!({ "uri": uri }));
    for uri in &three[..2] {
        assert_eq!(subscribe(uri).await.result(), &json!({}));
    }
    assert_eq!(subscribe(&three[0]).await.result(), &json!({}), "a second time is no second subscription");
    let refused = subscribe(&three[2]).await;
    assert_eq!((refused.status, refused.code()), (200, -32602), "{}", refused.body);
    assert_eq!((&refused.limit()["limit"], &refused.limit()["cap"]), (&json!("transports.subscriptions"), &json!(2)));
    let unsubscribed = session.request(1, "resources/unsubscribe", json!({ "uri": three[0] })).await;
    assert_eq!(unsubscribed.result(), &json!({}));
    assert_eq!(subscribe(&three[2]).await.result(), &json!({}), "one was given back");
    assert_eq!(session.end().await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_streams_at_once_and_with_a_last_word() {
    let mut host = TestHost::start(&format!("drain: 60s\n{EVERYTHING}"));
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    let mut stream = session.stream().await;
    let (mut listening, _) = listen(&client, "s", json!({ "toolsListChanged": true })).await;
    let began = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || {
        host.stop();
        host
    });
    let over = listening.rest().await;
    let result = json!({ "resultType": "complete", "_meta": { "io.modelcontextprotocol/subscriptionId": "s" } });
    assert_eq!(over, [json!({ "jsonrpc": "2.0", "id": "s", "result": result })]);
    assert_eq!(stream.rest().await, [Value::Null; 0]);
    stopping.await.expect("it stops");
    assert!(began.elapsed() < Duration::from_secs(15), "the stop took {:?}", began.elapsed());
}
