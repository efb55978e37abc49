//! Results that are kept for whoever asks next: the agent is asked once, and nobody sees what is another's or out of date.

use serde_json::json;
use stockade::access::Token;
use stockade_tests::{Client, TestHost};

use crate::access::tokens;

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

/// How often the agent has run this function.
fn ran(host: &TestHost, function: &str) -> u64 {
    host.figures("everything").functions.get(function).map_or(0, |function| function.wall.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_calls_fresh_is_asked_for_once() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let before = ran(&host, "resources.read");
    let [first, second] = [client.read("test://static-text").await, client.read("test://static-text").await];
    assert_eq!(first.result()["contents"], second.result()["contents"]);
    assert_eq!(first.result()["cacheScope"], "public");
    let ttl = |answer: &stockade_tests::Answer| answer.result()["ttlMs"].as_u64().expect("a time");
    assert!(ttl(&second) <= ttl(&first) && ttl(&second) > 0, "{} after {}", ttl(&second), ttl(&first));
    assert_eq!(ran(&host, "resources.read") - before, 1);
    assert!(host.used("cache") > 0);
    // A name of its own on the common endpoint, and so a reply of its own.
    let common = host.client().read("everything+test://static-text").await;
    assert_eq!(common.result()["contents"][0]["uri"], "everything+test://static-text", "{}", common.body);
    assert_eq!(ran(&host, "resources.read") - before, 2);
    // Without a hint nothing is kept.
    for _ in 0..2 {
        client.read("test://watched-resource").await;
    }
    assert_eq!(ran(&host, "resources.read") - before, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_kept_until_something_changes() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let list = || async { client.list("resources/templates/list", None).await.result()["resourceTemplates"].clone() };
    let first = list().await;
    let before = ran(&host, "resources.list-templates");
    assert_eq!((list().await, ran(&host, "resources.list-templates")), (first.clone(), before));
    let announced = client.call("test_trigger_tool_change", json!({})).await;
    assert_eq!(announced.status, 200, "{}", announced.body);
    assert_eq!((list().await, ran(&host, "resources.list-templates")), (first, before + 1));
    // Pages, one by one, of two agents' worth of lists.
    let whole =
        |endpoint: Client| async move { endpoint.list("resources/list", None).await.result()["resources"].clone() };
    let [fetched, kept] = [whole(host.client()).await, whole(host.client()).await];
    assert!(fetched.as_array().is_some_and(|all| all.len() > 10) && fetched == kept, "{fetched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_private_is_for_whoever_asked() {
    let [ann, bob] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let known = tokens(&[("ann", &ann, "reader"), ("bob", &bob, "reader")]);
    let host = TestHost::start(&format!("{known}{EVERYTHING}"));
    for _ in 0..2 {
        for (token, name) in [(&ann, "ann"), (&bob, "bob")] {
            let client = host.agent("everything").with_token(token.reveal());
            let answer = client.read("test://whoami").await;
            assert_eq!(answer.result()["cacheScope"], "private");
            let text = answer.result()["contents"][0]["text"].as_str().expect("a text");
            assert!(text.contains(&format!("\"{name}\"")), "{name} sees {text}");
        }
    }
    assert_eq!(ran(&host, "resources.read"), 2, "each asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_switched_off() {
    let host = TestHost::start(&format!("http: {{ kept: 0 }}\n{EVERYTHING}"));
    let client = host.agent("everything");
    for _ in 0..2 {
        client.read("test://static-text").await;
    }
    assert_eq!((ran(&host, "resources.read"), host.used("cache")), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_in_a_circle_cost_no_more_than_other_pages() {
    use std::time::{Duration, Instant};
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm' } }");
    let client = host.agent("guests");
    let circle = stockade_tests::client::resources_cursor("guests", "circle");
    for _ in 0..3 {
        let began = Instant::now();
        let page = client.list("resources/list", Some(&circle)).await;
        assert!(page.result()["nextCursor"].is_string(), "{}", page.body);
        // A reply stops after some pages: five seconds would be its time.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
