//! Sessions of the `initialize` era: who may use one, what ends it, what goes on in it, and that nothing of it remains.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade::access::Token;
use stockade_tests::legacy::{self, initialize};
use stockade_tests::{Answer, Session, TestHost, eventually};

use crate::access::tokens;

/// Calls that last longer than any test, unless they are stopped.
const AGENTS: &str = "agents: { everything: { component: '{agents}/everything.wasm', deadline: 60s } }";

/// What each call takes before it starts.
const RESERVE: u64 = 2 << 20;

/// Long enough to last until it is stopped.
fn endless() -> Value {
    json!({ "name": "sleep", "arguments": { "ms": 60_000 } })
}

/// The same, followed by the client.
fn endless_followed() -> Value {
    let mut call = endless();
    call["_meta"] = json!({ "progressToken": "p" });
    call
}

/// Keeps a reply open, unread, until the task is aborted.
async fn hold<T>(_reply: T) {
    std::future::pending::<()>().await;
}

async fn assert_unknown(session: &Session, what: &str) {
    let asked = session.request(1, "tools/list", json!({})).await;
    assert_eq!((asked.status, asked.code()), (404, -32600), "{what}: {}", asked.body);
    assert!(asked.message().contains("begin a new one with `initialize`"), "{what}: {}", asked.body);
    assert_eq!(session.notify("notifications/initialized", json!({})).await.status, 404, "{what}");
    assert_eq!(session.get().await.status(), 404, "{what}");
    assert_eq!(session.end().await, 404, "{what}");
}

/// Asserts that what runs ends much sooner than it would by itself.
fn assert_stopped(host: &TestHost, what: &str) {
    let began = Instant::now();
    assert!(eventually(|| host.used("guests") == 0), "{what}: it still runs");
    assert!(began.elapsed() < Duration::from_secs(5), "{what}: stopped after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_for_one_client_at_one_endpoint() {
    let [ann, bob] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let known = tokens(&[("ann", &ann, "reader"), ("bob", &bob, "reader")]);
    let host = TestHost::start(&format!("{known}{AGENTS}"));
    let [as_ann, as_bob] = [&ann, &bob].map(|token| host.agent("everything").with_token(token.reveal()));
    let session = Session::begin(&as_ann).await;
    assert!(session.id.len() >= 32 && session.id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", session.id);
    assert_ne!(session.id, Session::begin(&as_ann).await.id);

    let last = if session.id.ends_with('0') { "1" } else { "0" };
    let guessed = format!("{}{last}", &session.id[..session.id.len() - 1]);
    for (what, foreign) in [
        ("a guess", session.named(guessed)),
        ("no name of ours", session.named("f00")),
        ("an empty name", session.named("")),
        ("another principal", session.presented_by(&as_bob)),
        ("nobody", session.presented_by(&host.agent("everything"))),
        ("another endpoint", session.presented_by(&host.client().with_token(ann.reveal()))),
    ] {
        assert_unknown(&foreign, what).await;
    }
    assert_eq!(session.ping().await, 200, "none of them has harmed it");
    assert_eq!(session.end().await, 204);
    assert_unknown(&session, "an ended session").await;
    let json = [("content-type", "application/json"), ("accept", "application/json")];
    let stateless = as_ann.raw(&json, legacy::request(1, "ping", json!({})).to_string()).await;
    assert_eq!(stateless.expect("an answer").status, 200, "a request that names none needs none");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_end_ends_all_that_goes_on_in_it() {
    let host = TestHost::start(AGENTS);
    let session = Session::begin(&host.agent("everything")).await;
    let mut stream = session.stream().await;
    let mut followed = session.events(1, "tools/call", endless_followed()).await;
    followed.notice("notifications/progress").await;
    let plain = tokio::spawn({
        let session = session.clone();
        async move { session.request(2, "tools/call", endless()).await }
    });
    assert!(eventually(|| host.used("guests") >= 2 * RESERVE), "both run");
    host.eventually_open(1, 1, 1).await;

    assert_eq!(session.end().await, 204);
    assert_stopped(&host, "the end of a session");
    assert_eq!(stream.message().await, None, "the stream ends, and does not break off");
    assert!(followed.rest().await.iter().all(|message| message.get("id").is_none()), "nobody waits for a result");
    let Answer { status, body, .. } = plain.await.expect("no panic");
    assert_eq!((status, body), (202, json!("")), "what was cancelled has no answer");
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_takes_the_place_of_the_first() {
    let host = TestHost::start(AGENTS);
    let session = Session::begin(&host.agent("everything")).await;
    let mut first = session.stream().await;
    let mut second = session.stream().await;
    assert_eq!(first.message().await, None);
    host.eventually_open(1, 1, 1).await;
    assert_eq!(session.call(1, "trigger_resources_change", json!({})).await.status, 200);
    second.notice("notifications/resources/list_changed").await;
    drop(second);
    host.eventually_open(1, 0, 1).await;
    let mut third = session.stream().await;
    assert_eq!(session.call(2, "trigger_resources_change", json!({})).await.status, 200);
    third.notice("notifications/resources/list_changed").await;
    assert_eq!(session.end().await, 204);
    assert_eq!(third.message().await, None);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_cap_the_least_recently_used_idle_one_goes() {
    let host = TestHost::start(&format!("transports: {{ sessions: 2 }}\n{AGENTS}"));
    let client = host.agent("everything");
    let (first, second) = (Session::begin(&client).await, Session::begin(&client).await);
    assert_eq!(first.ping().await, 200);
    let third = Session::begin(&client).await;
    assert_unknown(&second, "used before the others").await;
    assert_eq!((first.ping().await, third.ping().await), (200, 200));

    let (busy, also_busy) = (first.stream().await, third.stream().await);
    let refused = initialize(&client, legacy::REVISION, json!({})).await;
    assert_eq!((refused.status, refused.code()), (503, -32050), "{}", refused.body);
    assert_eq!(refused.headers["retry-after"], "1");
    let limit = refused.limit();
    assert_eq!((&limit["limit"], &limit["cap"], &limit["used"]), (&json!("sessions"), &json!(2), &json!(2)));
    drop(busy);
    host.eventually_open(2, 1, 2).await;
    let fourth = Session::begin(&client).await;
    assert_unknown(&first, "idle since its stream was closed").await;
    assert_eq!((third.ping().await, fourth.ping().await), (200, 200));
    drop(also_busy);
    assert_eq!((third.end().await, fourth.end().await), (204, 204));
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends_and_one_with_a_stream_does_not() {
    let host = TestHost::start(&format!("transports: {{ idle: 300ms }}\n{AGENTS}"));
    let client = host.agent("everything");
    let listening = Session::begin(&client).await;
    let stream = listening.stream().await;
    let idle = Session::begin(&client).await;
    assert!(host.used("sessions") > 0);
    host.eventually_open(1, 1, 1).await;
    assert_unknown(&idle, "idle for longer than it may be").await;
    assert_eq!(listening.ping().await, 200, "a stream is a sign of life");
    drop(stream);
    host.assert_nothing_remains().await;
    assert_unknown(&listening, "idle since its stream was closed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_ends_whatever_a_client_does() {
    let host = TestHost::start(&format!("transports: {{ lifetime: 1s }}\n{AGENTS}"));
    let client = host.agent("everything");
    let began = Instant::now();
    let (listening, talking) = (Session::begin(&client).await, Session::begin(&client).await);
    let mut stream = listening.stream().await;
    let talk = async { while talking.ping().await == 200 {} };
    let ((), said) = tokio::join!(talk, stream.message());
    let lived = began.elapsed();
    assert_eq!(said, None, "a stream ends with its session");
    assert!(lived >= Duration::from_secs(1) && lived < Duration::from_secs(8), "{lived:?}");
    assert_unknown(&listening, "past its lifetime").await;
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_flight_is_not_taken_twice_and_a_session_runs_only_so_much() {
    let agents = "agents: { everything: { component: '{agents}/everything.wasm', deadline: 60s, queue_wait: 60s } }";
    let host = TestHost::start(agents);
    let session = Session::begin(&host.client()).await;
    let mut calls: Vec<_> = (0..64)
        .map(|id| {
            let session = session.clone();
            let params = json!({ "name": "everything__sleep", "arguments": { "ms": 60_000 } });
            tokio::spawn(async move { session.request(id, "tools/call", params).await })
        })
        .collect();
    // Eight run, the others wait for their turn; what no agent is asked for is answered at once.
    let nobody = || session.call("another", "nobody__here", json!({}));
    let full = async {
        let mut answer = nobody().await;
        while answer.limit()["limit"] != "session-requests" {
            answer = nobody().await;
        }
        answer
    };
    let beyond = tokio::time::timeout(Duration::from_secs(30), full).await.expect("64 are under way");
    assert_eq!((beyond.code(), &beyond.limit()["cap"]), (-32602, &json!(64)), "{}", beyond.body);
    let doubled = session.call(7, "nobody__here", json!({})).await;
    assert_eq!((doubled.status, doubled.code()), (400, -32600), "{}", doubled.body);
    assert!(doubled.message().contains("`id`"), "{}", doubled.message());

    assert_eq!(session.notify("notifications/cancelled", json!({ "requestId": 7 })).await.status, 202);
    assert_eq!(calls.remove(7).await.expect("no panic").status, 202, "cancelled while it waited, or ran");
    let answer = session.call(7, "nobody__here", json!({})).await;
    assert!(answer.message().contains("unknown tool"), "the id is free again: {}", answer.body);
    assert_eq!(session.end().await, 204);
    for call in calls {
        assert_eq!(call.await.expect("no panic").status, 202, "ended with its session");
    }
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_stops_the_guest_and_sends_no_answer() {
    let host = TestHost::start(AGENTS);
    let client = host.agent("everything");
    let (session, other) = (Session::begin(&client).await, Session::begin(&client).await);
    let mut followed = session.events(5, "tools/call", endless_followed()).await;
    followed.notice("notifications/progress").await;
    for (who, id) in [(&other, json!(5)), (&session, json!("5")), (&session, json!(6))] {
        assert_eq!(who.notify("notifications/cancelled", json!({ "requestId": id })).await.status, 202);
        for _ in 0..2 {
            // The second at least was made after the cancellation was taken.
            followed.notice("notifications/progress").await;
        }
    }
    let cancelled = json!({ "requestId": 5, "reason": "enough" });
    assert_eq!(session.notify("notifications/cancelled", cancelled.clone()).await.status, 202);
    assert_stopped(&host, "a cancelled call");
    assert!(followed.rest().await.iter().all(|message| message.get("id").is_none()), "no answer is sent");

    let plain = tokio::spawn({
        let session = session.clone();
        async move { session.request(5, "tools/call", endless()).await }
    });
    assert!(eventually(|| host.used("guests") > 0), "the id may be used again");
    assert_eq!(session.notify("notifications/cancelled", cancelled).await.status, 202);
    let Answer { status, body, .. } = plain.await.expect("no panic");
    assert_eq!((status, body), (202, json!("")));
    assert_stopped(&host, "a cancelled call");
    assert_eq!((session.end().await, other.end().await), (204, 204));
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_no_cancellation_before_2026() {
    const LASTS: Duration = Duration::from_millis(1500);
    let host = TestHost::start(AGENTS);
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    let params = |ms: u64| json!({ "name": "sleep", "arguments": { "ms": ms } });
    let mut calls = host.figures("everything").calls;
    for followed in [false, true] {
        let mut params = params(LASTS.as_millis() as u64);
        if followed {
            params["_meta"] = json!({ "progressToken": 1 });
        }
        let call = tokio::spawn({
            let session = session.clone();
            async move { hold(session.post(&legacy::request(1, "tools/call", params)).await).await }
        });
        assert!(eventually(|| host.used("guests") > 0), "it runs");
        let began = Instant::now();
        call.abort();
        let _ = call.await;
        assert!(eventually(|| host.used("guests") == 0));
        assert!(began.elapsed() > LASTS / 2, "it was stopped after {:?}", began.elapsed());
        calls += 1;
        assert_eq!(host.figures("everything").calls, calls, "it ran to its end");
    }

    for followed in [false, true] {
        let mut params = params(60_000);
        if followed {
            params["_meta"] = json!({ "progressToken": 1 });
        }
        let call = tokio::spawn({
            let client = client.clone();
            async move { hold(client.open(json!(1), "tools/call", params).await).await }
        });
        assert!(eventually(|| host.used("guests") > 0), "it runs");
        call.abort();
        let _ = call.await;
        assert_stopped(&host, "a modern call whose client is gone");
    }
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}
