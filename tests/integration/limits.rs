//! Limits of the host's own, tripped one by one.

use serde_json::{Value, json};
use stockade_tests::{Client, TestHost};

/// Bytes that the code of either of two small agents is charged, at most.
const CODE_OF_ONE_MAX: u64 = 200 << 10;

fn names(list: &Value, key: &str) -> Vec<String> {
    let entries = list[key].as_array().expect("a list");
    entries.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_and_queue() {
    let host = TestHost::start(
        "agents: { guests: { component: '{agents}/guests.wasm', concurrency: 1, queue: 1, queue_wait: 500ms, deadline: 3s } }",
    );
    let client = host.agent("guests");
    let sleeper = tokio::spawn({
        let client = client.clone();
        async move { client.call("sleep", json!({})).await }
    });
    assert!(stockade_tests::eventually(|| host.used("guests") > 0), "the sleeper runs");
    let waiter = tokio::spawn({
        let client = client.clone();
        async move { client.call("ok", json!({})).await }
    });
    assert!(stockade_tests::eventually(|| host.used("queues") > 0), "the second waits");
    let turned_away = client.call("ok", json!({})).await;
    assert_eq!((turned_away.status, &turned_away.limit()["limit"]), (503, &json!("busy")), "{}", turned_away.body);
    assert_eq!(
        (&turned_away.limit()["cap"], &turned_away.limit()["used"]),
        (&json!(2), &json!(2)),
        "one runs, one waits"
    );
    let waited = waiter.await.expect("no panic");
    assert_eq!((waited.status, waited.code()), (503, -32050), "{}", waited.body);
    assert_eq!(waited.limit()["limit"], "busy");
    assert_eq!(waited.headers["retry-after"], "1");
    assert_eq!(sleeper.await.expect("no panic").limit()["limit"], "deadline");
    assert_eq!(client.call("ok", json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_and_wall_clock_are_two_limits() {
    let host = TestHost::start(
        "agents: { guests: { component: '{agents}/guests.wasm', cpu: 200ms, deadline: 60s }, \
                   other: { component: '{agents}/guests.wasm', cpu: 200ms, deadline: 300ms } }",
    );
    let spun = host.agent("guests").call("spin", json!({})).await;
    assert_eq!((&spun.limit()["limit"], &spun.limit()["cap"]), (&json!("cpu"), &json!(200)), "{}", spun.body);
    assert!(host.figures("guests").cpu_longest < std::time::Duration::from_millis(400), "ended soon after its limit");
    let slept = host.agent("other").call("sleep", json!({})).await;
    assert_eq!((&slept.limit()["limit"], &slept.limit()["cap"]), (&json!("deadline"), &json!(300)), "{}", slept.body);
    assert!(host.figures("other").cpu_longest < std::time::Duration::from_millis(200), "sleep is not billed as CPU");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_component_declares_is_reserved_before_it_runs() {
    use stockade_tests::guests::{Source, case};
    let Source::Made(make) = case("large-initial-memory").source else { panic!("it is made") };
    let setup = stockade_tests::Setup::default();
    setup.file("large.wasm", &make());
    let manifest = "agents: { large: { component: large.wasm }, small: { component: large.wasm, reserve: 1M } }";
    let host = setup.start(manifest);
    for agent in ["large", "small"] {
        let answer = host.agent(agent).list("tools/list", None).await;
        assert!(answer.body["result"].is_object(), "{}", answer.body);
        assert!(host.figures(agent).memory_peak >= 10 << 20);
    }
    assert_eq!(host.peak("guests/shared/large"), 0, "nothing was left to be charged as growth");
    assert!(
        host.peak("guests/shared/small") >= 9 << 20,
        "a reserve of the manifest's own goes before what is declared"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn host_memory_is_not_the_agents_cap() {
    // Half of the guests' share (70 % of 512M) is less than the agent's own cap: the host is full first.
    let host = TestHost::start("memory: 512M\nagents: { guests: { component: '{agents}/guests.wasm', memory: 300M } }");
    let answer = host.agent("guests").call("leak-small", json!({})).await;
    assert_eq!(answer.limit()["limit"], "host-full", "{}", answer.body);
    assert_eq!(host.agent("guests").call("ok", json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies() {
    let agents = "agents: { everything: { component: '{agents}/everything.wasm', copies: 512K } }";
    let host = TestHost::start(agents);
    let long = "x".repeat(600 << 10);
    let answer = host.agent("everything").call("echo", json!({ "text": long })).await;
    assert_eq!(answer.limit()["limit"], "copies", "{}", answer.body.to_string().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_larger_than_it_may_be() {
    let host =
        TestHost::start("http: { reply: 1M }\nagents: { everything: { component: '{agents}/everything.wasm' } }");
    let client = host.agent("everything");
    let small = client.call("echo", json!({ "text": "x".repeat(100_000) })).await;
    assert_eq!((small.status, small.result()["isError"].as_bool()), (200, Some(false)));
    let large = client.call("echo", json!({ "text": "x".repeat(700_000) })).await;
    assert_eq!(large.limit()["limit"], "reply", "twice 700 KB in a reply of 1 MiB: {}", large.message());
    assert_eq!(client.read("test://large/3000000").await.status, 200, "a resource is not collected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_longer_than_a_stream_may_be() {
    let host = TestHost::start(
        "http: { stream_bytes_max: 1M }\nagents: { everything: { component: '{agents}/everything.wasm' } }",
    );
    let client = host.agent("everything");
    assert_eq!(client.read("test://large/1000000").await.status, 200);
    let large = client.read("test://large/3000000").await;
    assert_eq!((large.code(), &large.limit()["limit"]), (-32051, &json!("stream")), "{}", large.message());
    assert_eq!((&large.limit()["cap"], &large.limit()["wanted"]), (&json!(1 << 20), &json!(3_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_larger_than_it_may_be() {
    let host = TestHost::start("http: { body: 64K }\nagents: { hello: { component: '{agents}/hello.wasm' } }");
    let answer = host.agent("hello").call("greet", json!({ "name": "x".repeat(70_000) })).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert!(answer.message().contains("65536") || answer.message().contains("64"), "{}", answer.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn few_components_loaded_at_once() {
    let host = TestHost::start(
        "compile: { loaded: 1 }\nagents: { hello: { component: '{agents}/hello.wasm' }, guests: { component: '{agents}/guests.wasm' } }",
    );
    let (hello, guests) = (host.agent("hello"), host.agent("guests"));
    for _ in 0..3 {
        assert_eq!(hello.call("greet", json!({ "name": "a" })).await.text(), "Hello, a!");
        assert_eq!(guests.call("ok", json!({})).await.status, 200);
    }
    assert!(host.used("code") < 2 * CODE_OF_ONE_MAX, "one leaves when the other comes: {}", host.used("code"));
    // In use at the same time, both stay.
    let (greeted, served) = tokio::join!(hello.call("greet", json!({ "name": "b" })), guests.call("ok", json!({})));
    assert_eq!((greeted.text(), served.status), ("Hello, b!", 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_component_is_loaded_once_for_all_its_agents() {
    let agents: Vec<String> =
        (0..8).map(|number| format!("a{number}: {{ component: '{{agents}}/hello.wasm' }}")).collect();
    let host = TestHost::start(&format!("agents: {{ {} }}", agents.join(", ")));
    for number in 0..8 {
        let greeted = host.agent(&format!("a{number}")).call("greet", json!({ "name": "a" })).await;
        assert_eq!(greeted.text(), "Hello, a!");
    }
    assert!(host.used("code") < 2 * CODE_OF_ONE_MAX, "{}", host.used("code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_say_of_themselves_takes_a_part_of_what_is_there_for_code() {
    use stockade_tests::guests::{Source, case};
    let Source::Made(make) = case("wordy").source else { panic!("it is made") };
    let setup = stockade_tests::Setup::default();
    setup.file("wordy.wasm", &make());
    // A quarter of 32 MiB, for 64 KiB of each.
    let agents: Vec<String> = (100..240).map(|number| format!("a{number}: {{ component: wordy.wasm }}")).collect();
    let host = setup.start(&format!("memory: 128M\nagents: {{ {} }}", agents.join(", ")));
    assert_eq!(host.agent("a100").call("tool", json!({})).await.text(), "well");
    let refused: Vec<String> = (100..240)
        .filter_map(|number| host.handle(&format!("a{number}")).offer().err().map(|failure| failure.to_string()))
        .collect();
    assert!((8..16).contains(&refused.len()), "{refused:?}");
    assert!(
        refused.iter().all(|reason| reason.contains("descriptions` is full") && reason.contains("of 8388")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiler_needs_memory_that_is_there() {
    let host = TestHost::start("compile: { memory: 16M }\nagents: { hello: { component: '{agents}/hello.wasm' } }");
    let reason = host.refusal("hello");
    assert!(reason.contains("compiling needs") && reason.contains("are free"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_all_agents_on_one_endpoint() {
    let host = TestHost::start(
        "agents: { hello: { component: '{agents}/hello.wasm' }, other: { component: '{agents}/hello.wasm' } }",
    );
    let client: Client = host.client();
    let list = client.list("tools/list", None).await;
    let own = ["list", "info", "details", "search"];
    assert_eq!(names(list.result(), "tools"), [&own[..], &["hello__greet", "other__greet"]].concat());
    assert_eq!(client.call("other__greet", json!({ "name": "b" })).await.text(), "Hello, b!");
    let unknown = client.call("nobody__greet", json!({})).await;
    assert_eq!(unknown.code(), -32602, "{}", unknown.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiler_has_limits_of_its_own() {
    use stockade_tests::guests::{Source, case};
    let Source::Made(make) = case("compile-bomb-memory").source else { panic!("it is made") };
    let refused = |compile: &str, component: &[u8]| {
        let setup = stockade_tests::Setup::default();
        setup.file("it.wasm", component);
        let host = setup.start(&format!("compile: {{ {compile} }}\nagents: {{ it: {{ component: it.wasm }} }}"));
        host.refusal("it")
    };
    let bomb = make();
    let tables = std::fs::read(stockade_tests::process::component("tables").expect("built")).expect("readable");
    let cases: [(&str, &[u8], &str); 2] = [
        ("cpu: 1s", &bomb, "more than 1 s of CPU time (`compile.cpu`)"),
        ("output: 1M", &tables, "more than 1048576 bytes of compiled code (`compile.output`)"),
    ];
    for (compile, component, reason) in cases {
        let refusal = refused(compile, component);
        assert!(refusal.contains(reason), "{compile}: {refusal}");
    }
}
