//! The transport of 2024-11-05: a stream at one path, messages at another; and the batches of 2025-03-26.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use stockade_tests::events::Piece;
use stockade_tests::legacy::request;
use stockade_tests::{Answer, Client, Events, Session, TestHost, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MANIFEST: &str = "transports: { sse: true }\n\
                        agents: { everything: { component: '{agents}/everything.wasm', deadline: 60s } }";

const REVISION: &str = "2024-11-05";

/// A client of the pair.
struct Pair {
    events: Events,
    messages: Client,
    session: String,
}

impl Pair {
    async fn open(host: &TestHost, path: &str) -> Self {
        let mut events = Events::of(get(host, path, &[]).await);
        let Some(Piece::Event { name, data }) = events.piece().await else { panic!("the first event is missing") };
        assert_eq!(name, "endpoint", "{data}");
        assert!(data.starts_with(&format!("{}?sessionId=", path.replacen("/sse", "/messages", 1))), "{data}");
        let (_, session) = data.split_once('=').expect("the name of a session");
        Self { events, messages: Client::new(host.address, &data), session: session.to_owned() }
    }

    /// The same, and past its beginning. A place in flight is given back just after the client has the last byte: a host
    /// that has one place only is waited for.
    async fn begun(host: &TestHost, path: &str) -> Self {
        let mut pair = Self::open(host, path).await;
        let client = json!({ "name": "old", "version": "0" });
        let params = json!({ "protocolVersion": REVISION, "capabilities": {}, "clientInfo": client });
        pair.send(&request(0, "initialize", params)).await;
        let welcome = pair.events.message().await.expect("a reply");
        assert_eq!((&welcome["id"], &welcome["result"]["protocolVersion"]), (&json!(0), &json!(REVISION)), "{welcome}");
        host.eventually_idle().await;
        pair.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        host.eventually_idle().await;
        pair
    }

    async fn post(&self, message: &Value) -> Answer {
        self.messages.raw(&[("content-type", "application/json")], message.to_string()).await.expect("an answer")
    }

    async fn send(&self, message: &Value) {
        let taken = self.post(message).await;
        assert_eq!((taken.status, &taken.body), (202, &json!("")), "{message}");
    }
}

async fn get(host: &TestHost, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = Client::new(host.address, path);
    let headers = [&[("accept", "text/event-stream")], headers].concat();
    client.send(Method::GET, &headers, "").await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_unless_it_is_switched_on() {
    let host = TestHost::start("agents: { everything: { component: '{agents}/everything.wasm' } }");
    for path in ["/sse", "/sse/everything", "/messages?sessionId=1", "/messages/everything?sessionId=1"] {
        assert_eq!(get(&host, path, &[]).await.status(), 404, "{path}");
        let json = [("content-type", "application/json")];
        let posted = Client::new(host.address, path).raw(&json, request(1, "ping", json!({})).to_string()).await;
        assert_eq!(posted.expect("an answer").status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_come_whole_on_the_stream() {
    const BYTES: usize = 2_000_000;
    let host = TestHost::start(MANIFEST);
    for (path, own) in [("/sse/everything", ""), ("/sse", "everything")] {
        let (tool, uri) = if own.is_empty() { ("", String::new()) } else { ("everything__", format!("{own}+")) };
        let mut pair = Pair::begun(&host, path).await;
        for id in [1, 2] {
            let params = json!({ "uri": format!("{uri}test://large-text/{BYTES}") });
            pair.send(&request(id, "resources/read", params)).await;
        }
        let followed = json!({ "name": format!("{tool}test_tool_with_progress"), "_meta": { "progressToken": "p" } });
        pair.send(&request(3, "tools/call", followed)).await;
        pair.send(&request("four", "ping", json!({}))).await;
        let (mut replies, mut news) = (Vec::new(), 0);
        while replies.len() < 4 {
            let message = pair.events.message().await.expect("the stream goes on");
            match message.get("id") {
                Some(id) => replies.push((id.to_string(), message["result"].clone())),
                None => {
                    assert_eq!(message["params"]["progressToken"], "p", "{message}");
                    news += 1;
                }
            }
        }
        replies.sort_by(|one, other| one.0.cmp(&other.0));
        let ids: Vec<&str> = replies.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!((ids, news), (vec!["\"four\"", "1", "2", "3"], 3));
        let unit = "aé€😀\"\\\n";
        for (_, result) in &replies[1..3] {
            let text = result["contents"][0]["text"].as_str().expect("a text");
            assert!(text.len() == BYTES && text.starts_with(&unit.repeat(BYTES / unit.len())), "{} bytes", text.len());
        }
        drop(pair);
        host.assert_nothing_remains().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_and_names_come_to_neither_path() {
    let host = TestHost::start(MANIFEST);
    let pair = Pair::begun(&host, "/sse").await;
    let ping = request(1, "ping", json!({})).to_string();
    for foreign in [("origin", "https://evil.example.com"), ("origin", "null"), ("host", "evil.example.com")] {
        for path in ["/sse", "/sse/everything"] {
            assert_eq!(get(&host, path, &[foreign]).await.status(), 403, "{path} {foreign:?}");
        }
        let posted = pair.messages.raw(&[("content-type", "application/json"), foreign], ping.clone()).await;
        assert_eq!(posted.expect("an answer").status, 403, "{foreign:?}");
    }
    let page = get(&host, "/sse", &[("origin", "http://localhost:6274")]).await;
    assert_eq!(
        (page.status().as_u16(), &page.headers()["access-control-allow-origin"] == "http://localhost:6274"),
        (200, true)
    );
    drop((page, pair));
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_ends_with_the_stream() {
    let host = TestHost::start(MANIFEST);
    let mut pair = Pair::begun(&host, "/sse/everything").await;
    for message in ["/messages/everything?sessionId=f00", "/messages/everything", "/messages?sessionId=f00"] {
        let nowhere = Client::new(host.address, message);
        let body = request(1, "ping", json!({})).to_string();
        let posted = nowhere.raw(&[("content-type", "application/json")], body).await.expect("an answer");
        assert_eq!(posted.status, 404, "{message}: {}", posted.body);
    }
    let call = json!({ "name": "sleep", "arguments": { "ms": 60_000 }, "_meta": { "progressToken": 1 } });
    pair.send(&request(1, "tools/call", call.clone())).await;
    pair.events.notice("notifications/progress").await;
    // One call is cancelled by a message, the other by the end.
    pair.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } })).await;
    assert!(eventually(|| host.used("guests") == 0), "the first is cancelled");
    pair.send(&request(2, "tools/call", call)).await;
    assert!(eventually(|| host.used("guests") > 0), "the second runs");
    host.eventually_open(1, 1, 1).await;

    let Pair { events, messages, .. } = pair;
    drop(events);
    let began = std::time::Instant::now();
    host.assert_nothing_remains().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let body = request(3, "ping", json!({})).to_string();
    let late = messages.raw(&[("content-type", "application/json")], body).await.expect("an answer");
    assert_eq!((late.status, late.code()), (404, -32600), "{}", late.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_a_client_that_takes_nothing_are_bounded() {
    let host = TestHost::start(MANIFEST);
    let mut stream = TcpStream::connect(host.address).await.expect("the host accepts");
    let get = "GET /sse/everything HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(get.as_bytes()).await.expect("it is sent");
    let mut text = String::new();
    while !text.contains("\n\n\r\n") {
        let mut byte = [0; 64];
        let read = stream.read(&mut byte).await.expect("it begins");
        text.push_str(std::str::from_utf8(&byte[..read]).expect("a head and an event"));
    }
    let path = text.split("data: ").nth(1).and_then(|rest| rest.lines().next()).expect("a path");
    let messages = Client::new(host.address, path);
    let post = |message: Value| {
        let messages = messages.clone();
        async move { messages.raw(&[("content-type", "application/json")], message.to_string()).await.expect("an answer") }
    };
    let read = request(1, "resources/read", json!({ "uri": "test://large/1000000000" }));
    assert_eq!(post(read).await.status, 202);
    let stands_still = || host.used("replies") > 64 << 10 && host.used("guests") == 0;
    assert!(eventually(stands_still), "its reader stands still");
    let mut taken = 0;
    let refused = loop {
        let answer = post(request(2 + taken, "ping", json!({}))).await;
        if answer.status != 202 {
            break answer;
        }
        taken += 1;
        assert!(taken < 200, "the host takes messages without end");
    };
    println!("{taken} messages wait for a client that takes nothing");
    assert_eq!((refused.status, refused.code()), (503, -32050), "{}", refused.body);
    let limit = refused.limit();
    assert_eq!((&limit["limit"], &limit["cap"]), (&json!("messages"), &json!(16)), "{}", refused.body);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(host.agent("everything").call("echo", json!({})).await.status, 200, "others are served");
    drop(stream);
    host.assert_nothing_remains().await;
}

async fn batch(session: &Session, messages: Value) -> Answer {
    session.say(&messages).await
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_answered_together() {
    let host = TestHost::start(&format!("http: {{ reply: 1M }}\n{}", MANIFEST.replace("sse: true", "batch: 6")));
    let client = host.agent("everything");
    let session = Session::of(&client, "2025-03-26", json!({})).await;
    let call = json!({ "name": "echo", "arguments": { "a": 1 } });
    let long = json!({ "uri": "test://large/2000000" });
    let noted = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
    let answer = batch(
        &session,
        json!([
            request(1, "ping", json!({})),
            request(2, "resources/read", json!({ "uri": "test://large/300000" })),
            request("long", "resources/read", long),
            noted,
            { "id": 4 },
            request(5, "tools/call", call),
        ]),
    )
    .await;
    let replies = answer.body.as_array().expect("a batch");
    let ids: Vec<&Value> = replies.iter().map(|reply| &reply["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2), &json!("long"), &json!(4), &json!(5)], "{}", answer.body);
    assert_eq!(replies[0]["result"], json!({}));
    let blob = replies[1]["result"]["contents"][0]["blob"].as_str().expect("a blob");
    assert_eq!(blob.len(), 400_000);
    assert_eq!(
        (&replies[2]["error"]["code"], &replies[2]["error"]["data"]["limit"]),
        (&json!(-32051), &json!("reply"))
    );
    assert_eq!(replies[3]["error"]["code"], -32600, "{}", replies[3]);
    assert_eq!(replies[4]["result"]["content"][0]["text"], "{\"a\":1}");

    let silent = batch(&session, json!([noted, noted])).await;
    assert_eq!((silent.status, silent.body), (202, json!("")));
    let pings: Vec<Value> = (0..7).map(|id| request(id, "ping", json!({}))).collect();
    let many = batch(&session, json!(pings)).await;
    assert_eq!((many.status, many.code()), (400, -32600), "{}", many.body);
    assert!(many.message().contains('6') && many.message().contains("transports.batch"), "{}", many.message());
    let six = batch(&session, json!(pings[..6])).await;
    assert_eq!(six.body.as_array().map(Vec::len), Some(6), "{}", six.body);
    let empty = batch(&session, json!([])).await;
    assert_eq!((empty.status, empty.code()), (400, -32600), "{}", empty.body);
    let begin = request(1, "initialize", json!({ "protocolVersion": "2025-03-26", "capabilities": {} }));
    assert_eq!(batch(&session, json!([begin])).await.body[0]["error"]["code"], -32600);

    let newer = Session::of(&client, "2025-06-18", json!({})).await;
    let refused = batch(&newer, json!([request(1, "ping", json!({}))])).await;
    assert_eq!((refused.status, refused.code()), (400, -32600), "{}", refused.body);
    assert!(refused.message().contains("no batches"), "{}", refused.message());
    assert_eq!((session.end().await, newer.end().await), (204, 204));
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_not_in_flight_and_there_is_one_stream() {
    let host = TestHost::start(&format!("http: {{ in_flight: 1 }}\n{MANIFEST}"));
    let mut pair = Pair::begun(&host, "/sse/everything").await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let listen =
        request(1, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true }, "_meta": meta }));
    let modern = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let taken = pair.messages.raw(&modern, listen.to_string()).await.expect("an answer");
    assert_eq!(taken.status, 202, "{}", taken.body);
    let acknowledged = pair.events.message().await.expect("the stream goes on");
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged", "{acknowledged}");
    // What the POST itself would take does not matter.
    let ping = request(2, "ping", json!({})).to_string();
    let taken = pair.messages.raw(&[("content-type", "application/json"), ("accept", "text/html")], ping).await;
    assert_eq!(taken.expect("an answer").status, 202);
    assert_eq!(pair.events.message().await.expect("a reply")["id"], 2);

    let second = get(&host, "/mcp/everything", &[("mcp-session-id", &pair.session)]).await;
    assert_eq!(second.status(), 405, "a second stream would take what is meant for the first");
    drop(pair);
    host.assert_nothing_remains().await;
}
