//! Every hostile guest, on default settings: it ends as it should, is named for it, gives everything back, and its
//! neighbour never notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use stockade_tests::client::resources_cursor;
use stockade_tests::guests::{ALL, Act, Case, End, Source};
use stockade_tests::{Answer, Client, Setup, TestHost};
use tokio::task::JoinHandle;

/// Calls a well-behaved agent for as long as it lives.
struct Neighbour {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    task: JoinHandle<Result<(), String>>,
}

impl Neighbour {
    fn of(client: Client) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), calls.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = client.call("greet", json!({ "name": "neighbour" })).await;
                if answer.text() != "Hello, neighbour!" {
                    return Err(format!("{} {}", answer.status, answer.body));
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { stop, calls, task }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the neighbour does not panic").expect("no call of the neighbour fails");
        let calls = self.calls.load(Ordering::Relaxed);
        assert!(calls > 0, "the neighbour was never answered");
    }
}

async fn act(client: &Client, act: &Act) -> Answer {
    match act {
        Act::Load => unreachable!("cases that strike at load have no client"),
        Act::Call(tool) => client.call(tool, json!({})).await,
        Act::Read(uri) => client.read(uri).await,
        Act::List(cursor) => client.list("resources/list", Some(&resources_cursor("guests", cursor))).await,
    }
}

fn check(case: &Case, answer: &Answer) {
    let Case { name, .. } = case;
    let told = || format!("{name}: {} {}", answer.status, cut(&answer.body));
    match case.end {
        End::Served => {
            assert!(answer.body["result"].is_object() && answer.body["result"]["isError"] != true, "{}", told());
        }
        End::Stopped(_) | End::OutOfTime => {
            let object = answer.limit();
            match case.end {
                End::Stopped(limit) => assert_eq!(object["limit"], limit, "{}", told()),
                _ => assert!(object["limit"] == "cpu" || object["limit"] == "deadline", "{}", told()),
            }
            assert_eq!((answer.status, object["version"].as_str()), (200, Some("0.1.0")), "{}", told());
            assert!(object["cap"].is_u64() && object["used"].is_u64() && object["wanted"].is_u64(), "{}", told());
            if matches!(case.act, Act::Call(_)) {
                assert_eq!(answer.result()["isError"], true, "{}", told());
                assert!(answer.result().get("structuredContent").is_none(), "{}", told());
                assert!(answer.text().contains("0.1.0"), "{}", told());
            } else {
                assert_eq!(answer.code(), -32051, "{}", told());
            }
        }
        End::Broken => {
            assert_eq!(answer.code(), -32603, "{}", told());
            assert!(answer.body["error"]["data"]["agent"].is_string(), "{}", told());
        }
        End::TooLarge => {
            assert_eq!((answer.code(), &answer.limit()["limit"]), (-32051, &json!("stream")), "{}", told());
        }
        End::BrokenOff => unreachable!("what breaks off is no answer"),
        End::Answered => assert_eq!(answer.code(), -32602, "{}", told()),
        End::NotLoaded(_) => unreachable!("cases that do not load are checked by their refusal"),
    }
    let shown = answer.body.to_string();
    assert!(!shown.contains("wasm backtrace"), "{name}: a backtrace went to the client: {}", cut(&answer.body));
}

fn cut(body: &Value) -> String {
    body.to_string().chars().take(400).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_guest_ends_as_it_should() {
    let host = TestHost::start(
        "memory: 1G\nhttp: { stream_bytes_max: 8M }\nagents: { guests: { component: '{agents}/guests.wasm' }, hello: { component: '{agents}/hello.wasm' } }",
    );
    let (client, neighbour) = (host.agent("guests"), Neighbour::of(host.agent("hello")));
    for case in ALL.iter().filter(|case| matches!(case.source, Source::Built)) {
        match (case.end, &case.act) {
            (End::BrokenOff, Act::Read(uri)) => {
                let error = client.try_read(uri).await.expect_err("the reply breaks off");
                assert!(error.is_body() || error.is_decode(), "{}: {error:?}", case.name);
            }
            _ => check(case, &act(&client, &case.act).await),
        }
        assert!(
            stockade_tests::eventually(|| host.used("guests/shared/guests") == 0),
            "{}: growth not given back",
            case.name
        );
        // A good call in between: five bad ones in a row would put the agent to rest.
        let good = client.call("ok", json!({})).await;
        assert!(good.body["result"].is_object(), "after {}: {}", case.name, cut(&good.body));
    }
    neighbour.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_made_guest_ends_as_it_should() {
    let setup = Setup::default();
    let mut manifest = "memory: 1G\nagents:\n  z-neighbour: { component: '{agents}/hello.wasm' }\n".to_owned();
    let made =
        || ALL.iter().filter_map(|case| if let Source::Made(make) = case.source { Some((case, make)) } else { None });
    for (case, make) in made() {
        setup.file(&format!("{}.wasm", case.name), &make());
        manifest += &format!("  {0}: {{ component: {0}.wasm }}\n", case.name);
    }
    let host = setup.start_loading(&manifest);
    assert!(host.eventually_serves("z-neighbour"));
    let neighbour = Neighbour::of(host.agent("z-neighbour"));
    host.settle();
    for (case, _) in made() {
        let client = host.agent(case.name);
        if let End::NotLoaded(word) = case.end {
            let reason = host.refusal(case.name);
            assert!(reason.to_lowercase().contains(word), "{}: {reason}", case.name);
            let answer = client.call("any", json!({})).await;
            assert_eq!((answer.status, answer.code()), (503, -32050), "{}: {}", case.name, cut(&answer.body));
            assert_eq!(answer.limit()["limit"], "not-loaded", "{}", case.name);
        } else {
            check(case, &act(&client, &case.act).await);
        }
    }
    neighbour.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_in_a_row_are_followed_by_a_rest() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm' } }");
    let client = host.agent("guests");
    for _ in 0..5 {
        assert_eq!(client.call("panic", json!({})).await.limit()["limit"], "panic");
    }
    let resting = client.call("ok", json!({})).await;
    assert_eq!((resting.status, resting.code()), (503, -32050), "{}", resting.body);
    assert_eq!(resting.limit()["limit"], "quarantine");
    assert!(resting.headers.contains_key("retry-after"));
    let wait = resting.limit()["retryAfterMs"].as_u64().expect("it says when");
    assert!(wait <= 1000, "the first rest is a second, not {wait} ms");
    let rested = async {
        while client.call("ok", json!({})).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), rested).await.expect("the rest ends");
    assert_eq!(client.call("panic", json!({})).await.limit()["limit"], "panic", "a good call forgives everything");
    assert_eq!(host.figures("guests").stopped.values().sum::<u64>(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_input_never_counts_against_an_agent() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm' } }");
    let client = host.agent("guests");
    for _ in 0..10 {
        assert_eq!(client.read("hostile:///no-such-thing").await.code(), -32602);
    }
    assert_eq!(client.call("ok", json!({})).await.status, 200);
}
