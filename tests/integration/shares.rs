//! How much of what there is one caller may take: a quarter without a token, what its share says with one.

use serde_json::{Value, json};
use stockade::access::Token;
use stockade_tests::legacy::{REVISION, initialize};
use stockade_tests::{Answer, Client, Session, TestHost, eventually};

use crate::access::tokens;

/// Of each thing there are eight: two for whoever has no token, four for a reader, all for an operator.
const MANIFEST: &str = "http: { in_flight: 8 }\ntransports: { streams: 8, sessions: 8 }\n\
                        agents: { everything: { component: '{agents}/everything.wasm', concurrency: 16, deadline: 60s } }";

/// Guest memory that a call is granted before it starts: its reserve and its stack.
const CALL_BYTES: u64 = (2 << 20) + (512 << 10);

struct Callers {
    host: TestHost,
    /// Each with what it may take.
    each: [(Client, u64); 3],
}

impl Callers {
    fn start() -> Self {
        let [ann, boss] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
        let known = tokens(&[("ann", &ann, "reader, share: 50"), ("boss", &boss, "operator")]);
        let host = TestHost::start(&format!("{known}{MANIFEST}"));
        let client = host.agent("everything");
        let with = |token: &Token| client.clone().with_token(token.reveal());
        let each = [(client.clone(), 2), (with(&ann), 4), (with(&boss), 8)];
        Self { host, each }
    }
}

#[track_caller]
fn assert_full(refused: &Answer, limit: &str, cap: u64) {
    assert_eq!((refused.status, refused.code()), (503, -32050), "{}", refused.body);
    let said = refused.limit();
    assert_eq!((&said["limit"], &said["cap"], &said["used"]), (&json!(limit), &json!(cap), &json!(cap)), "{limit}");
    assert_eq!(refused.headers["retry-after"], "1");
}

fn sleep() -> Value {
    json!({ "name": "sleep", "arguments": { "ms": 60_000 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight() {
    let Callers { host, each } = Callers::start();
    for (client, cap) in &each {
        let calls: Vec<_> = (0..*cap)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.request("tools/call", sleep()).await.status })
            })
            .collect();
        assert!(eventually(|| host.used("guests") >= cap * CALL_BYTES), "{cap} run");
        assert_full(&client.call("echo", json!({})).await, "in-flight", *cap);
        if *cap < 8 {
            let (other, _) = &each[2];
            assert_eq!(other.call("echo", json!({})).await.status, 200, "what is left is for others");
        }
        for call in &calls {
            call.abort();
        }
        host.eventually_idle().await;
        assert_eq!(client.call("echo", json!({})).await.status, 200, "given back");
        host.eventually_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    let Callers { host, each } = Callers::start();
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let mut open = Vec::new();
    for (client, cap) in &each[..2] {
        for id in 0..*cap {
            open.push(client.events(id, "subscriptions/listen", filter.clone()).await);
        }
        assert_full(&client.request("subscriptions/listen", filter.clone()).await, "streams", *cap);
    }
    // Six are taken: the rest is all that the operator finds.
    let (boss, _) = &each[2];
    open.push(boss.events(1, "subscriptions/listen", filter.clone()).await);
    open.push(boss.events(2, "subscriptions/listen", filter.clone()).await);
    assert_full(&boss.request("subscriptions/listen", filter.clone()).await, "streams", 8);
    host.eventually_open(0, 8, 8).await;
    drop(open);
    host.assert_nothing_remains().await;
    let _again = each[0].0.events(1, "subscriptions/listen", filter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions() {
    let Callers { host, each } = Callers::start();
    let mut open = Vec::new();
    for (client, cap) in &each[..2] {
        let mut oldest = None;
        for _ in 0..*cap {
            let session = Session::begin(client).await;
            oldest.get_or_insert(session.clone());
            open.push((session.stream().await, session));
        }
        assert_full(&initialize(client, REVISION, json!({})).await, "sessions", *cap);
        // Its own idle one makes room, and nobody else's.
        let (stream, idle) = open.pop().expect("just begun");
        drop(stream);
        host.eventually_open(open.len() as u64 + 1, open.len() as u64, open.len() as u64 + 1).await;
        let fresh = Session::begin(client).await;
        assert_eq!((idle.ping().await, fresh.ping().await), (404, 200));
        assert_eq!(oldest.expect("it began").ping().await, 200);
        open.push((fresh.stream().await, fresh));
    }
    assert_eq!(open.len(), 6);
    // Two are left. The operator's third takes the place of his own idle one, for all others are busy.
    let (boss, _) = &each[2];
    let busy = Session::begin(boss).await;
    let stream = busy.stream().await;
    let idle = Session::begin(boss).await;
    let last = Session::begin(boss).await;
    assert_eq!((idle.ping().await, last.ping().await), (404, 200));
    let last_stream = last.stream().await;
    assert_full(&initialize(boss, REVISION, json!({})).await, "sessions", 8);
    drop((open, stream, last_stream));
    host.eventually_open(8, 0, 8).await;
}
