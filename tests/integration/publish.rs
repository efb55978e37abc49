//! Publishing: from a push to a call, and from one version to another, without a call that anybody misses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::publisher::{Publisher, stamped};
use stockade_tests::{Client, TestHost, process};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn hello() -> Vec<u8> {
    component("hello")
}

pub fn component(name: &str) -> Vec<u8> {
    std::fs::read(process::component(name).expect("`make test` builds the agents first")).expect("it can be read")
}

pub fn publisher(host: &TestHost) -> Publisher {
    Publisher::new(host.address, &host.operator_token())
}

/// What the agent at this address answers to `greet`, and what version it says it is.
pub async fn greeting(host: &TestHost, address: &str) -> Result<String, String> {
    let answer = host.agent(address).call("greet", json!({ "name": "Ann" })).await;
    match answer.body["result"]["content"][0]["text"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(answer.body.to_string()),
    }
}

/// The version that clients of this address are told.
pub async fn version(host: &TestHost, address: &str) -> String {
    let answer = host.agent(address).request("server/discover", json!({})).await;
    let info = &answer.result()["_meta"]["io.modelcontextprotocol/serverInfo"];
    info["version"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_a_live_agent() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    let client = host.client();
    let said = publisher.publish("demo", "1.0.0", &hello()).await;
    assert_eq!(said.status, 201, "{said:?}");
    let report = &said.body;
    assert_eq!((&report["live"], &report["path"]), (&true.into(), &"/mcp/demo".into()), "{report}");
    assert!(report["memoryPeak"].as_u64() > Some(0) && report["coldStartMs"].as_f64() > Some(0.0), "{report}");
    assert_eq!(greeting(&host, "demo").await.unwrap(), "Hello, Ann!");
    assert_eq!(version(&host, "demo").await, "1.0.0");
    let names = client.list("tools/list", None).await;
    assert!(names.body.to_string().contains("demo__greet"));
    let entry = client.read("urn:mcp:agent/demo").await;
    assert!(entry.body.to_string().contains("sha256:"), "{}", entry.body);

    // Once and for good.
    assert_eq!(publisher.publish("demo", "1.0.0", &hello()).await.status, 201, "the same again is no error");
    let other = publisher.publish("demo", "1.0.0", &stamped(&hello(), "other")).await;
    assert!(other.refusal().starts_with("409 DENIED"), "{}", other.refusal());
    let gone = publisher.ask(reqwest::Method::DELETE, "/v2/demo/manifests/1.0.0", "", "").await;
    assert_eq!(gone.status, 405, "{gone:?}");
    let elsewhere = publisher.publish("team/demo", "2.0.0", &hello()).await;
    assert!(elsewhere.refusal().contains("belongs to the repository `demo`"), "{}", elsewhere.refusal());
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_aliases_yanks_and_rollbacks() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    for number in ["1.0.0", "1.1.0", "1.2.0-rc.1", "1.0.1"] {
        let said = publisher.publish("demo", number, &stamped(&hello(), number)).await;
        assert_eq!(said.status, 201, "{said:?}");
    }
    // What leads up to a release does not take its place, nor does what is older.
    assert_eq!(publisher.live("demo").await.as_deref(), Some("1.1.0"));
    for address in ["demo@1.0.0", "demo@1.1.0", "demo@1.2.0-rc.1", "demo@latest"] {
        assert_eq!(greeting(&host, address).await.unwrap(), "Hello, Ann!", "{address}");
    }
    assert_eq!(version(&host, "demo@1.0.1").await, "1.0.1");

    let manifest = publisher.manifest("demo", &stamped(&hello(), "1.0.0")).await;
    assert_eq!(publisher.put("demo", "stable", &manifest).await.status, 201);
    assert_eq!(version(&host, "demo@stable").await, "1.0.0");
    let plain = publisher.manifest("demo", b"no component at all").await;
    let refused = publisher.put("demo", "stable", &plain).await;
    assert!(
        refused.refusal().contains("can be moved to another version, and to nothing else"),
        "{}",
        refused.refusal()
    );

    assert_eq!(publisher.roll_back("demo").await.status, 200);
    assert_eq!(version(&host, "demo").await, "1.0.0");
    // `latest` is the name of what is served.
    let newest = publisher.manifest("demo", &stamped(&hello(), "1.1.0")).await;
    assert_eq!(publisher.put("demo", "latest", &newest).await.status, 201);
    assert_eq!(version(&host, "demo").await, "1.1.0");

    assert_eq!(publisher.yank("demo", "1.1.0", true).await.status, 200);
    assert_eq!(publisher.live("demo").await.as_deref(), Some("1.0.1"), "the newest release that is left");
    assert_eq!(version(&host, "demo@1.1.0").await, "1.1.0", "who names it gets it");
    let yanked: Vec<Value> = publisher.versions("demo").await.as_array().unwrap().clone();
    let state = |wanted: &str| yanked.iter().find(|it| it["version"] == wanted).unwrap()["state"].clone();
    assert_eq!((state("1.1.0"), state("1.0.0")), ("yanked".into(), "published".into()));
    for number in ["1.0.0", "1.0.1", "1.2.0-rc.1"] {
        publisher.yank("demo", number, true).await;
    }
    assert_eq!(publisher.live("demo").await, None);
    assert!(greeting(&host, "demo").await.unwrap_err().contains("no version of it is served"));
    assert_eq!(greeting(&host, "demo@1.0.0").await.unwrap(), "Hello, Ann!");
    assert_eq!(publisher.yank("demo", "1.0.1", false).await.status, 200);
    assert_eq!(version(&host, "demo").await, "1.0.1");
    assert_eq!(publisher.yank("demo", "7.0.0", true).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_versions_can_be_called_than_the_host_keeps_made() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    let numbers: Vec<String> = (0..12).map(|number| format!("1.0.{number}")).collect();
    for number in &numbers {
        assert_eq!(publisher.publish("demo", number, &stamped(&hello(), number)).await.status, 201);
    }
    for number in numbers.iter().chain(&numbers) {
        assert_eq!(version(&host, &format!("demo@{number}")).await, *number);
        assert_eq!(greeting(&host, &format!("demo@{number}")).await.unwrap(), "Hello, Ann!", "{number}");
    }
    // Going back finds its version, whichever others were asked for meanwhile.
    for served in ["1.0.10", "1.0.11"] {
        assert_eq!(publisher.roll_back("demo").await.status, 200);
        for number in &numbers {
            assert_eq!(version(&host, &format!("demo@{number}")).await, *number);
        }
        assert_eq!(version(&host, "demo").await, served);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_whoever_calls_it_is_rolled_back() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    let good = component("guests");
    assert_eq!(publisher.publish("demo", "1.0.0", &good).await.status, 201);
    assert_eq!(publisher.publish("demo", "1.0.1", &stamped(&good, "bad")).await.status, 201);
    let client = host.agent("demo");
    for _ in 0..5 {
        let answer = client.call("panic", json!({})).await;
        assert!(answer.body.to_string().contains("\"limit\":\"panic\""), "{}", answer.body);
    }
    let began = Instant::now();
    while publisher.live("demo").await.as_deref() != Some("1.0.0") {
        assert!(began.elapsed() < PATIENCE, "{}", publisher.versions("demo").await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What failed is marked so once the other is served.
    let mut versions = publisher.versions("demo").await;
    while versions[0]["state"] != "failed" {
        assert!(began.elapsed() < PATIENCE, "{versions}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        versions = publisher.versions("demo").await;
    }
    assert!(versions[0]["why"].as_str().unwrap().contains("the limit `panic`"), "{versions}");
    assert_eq!(version(&host, "demo").await, "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_while_versions_come_and_go() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    assert_eq!(publisher.publish("demo", "1.0.0", &hello()).await.status, 201);
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (client, done) = (Client::new(host.address, "/mcp/demo"), done.clone());
            tokio::spawn(async move {
                let mut calls = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    let answer = client.call("greet", json!({ "name": "Ann" })).await;
                    assert_eq!(answer.body["result"]["content"][0]["text"], "Hello, Ann!", "{}", answer.body);
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for patch in 1..=20 {
        let number = format!("1.0.{patch}");
        let said = publisher.publish("demo", &number, &stamped(&hello(), &number)).await;
        assert_eq!(said.status, 201, "{said:?}");
        if patch % 5 == 0 {
            assert_eq!(publisher.roll_back("demo").await.status, 200);
        }
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.expect("no call failed") > 0);
    }
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_there_after_a_restart() {
    let mut host = TestHost::start("agents: {}");
    let publisher_before = publisher(&host);
    for number in ["1.0.0", "1.1.0", "2.0.0"] {
        let said = publisher_before.publish("demo", number, &stamped(&hello(), number)).await;
        assert_eq!(said.status, 201, "{said:?}");
    }
    assert_eq!(publisher_before.roll_back("demo").await.status, 200);
    host.stop();
    let host = host.again();
    let publisher = publisher(&host);
    assert_eq!(publisher.live("demo").await.as_deref(), Some("1.1.0"));
    assert_eq!(version(&host, "demo").await, "1.1.0");
    let began = Instant::now();
    while greeting(&host, "demo@2.0.0").await.is_err() {
        assert!(began.elapsed() < PATIENCE, "an older version is tried when somebody asks for it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(publisher.publish("demo", "2.0.1", &stamped(&hello(), "2.0.1")).await.status, 201);
    assert_eq!(version(&host, "demo").await, "2.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agent_goes_with_all_its_versions() {
    let host = TestHost::start("document: { retired: 1s }\nuploads: { grace: 3s }\nagents: {}");
    let publisher = publisher(&host);
    for number in ["1.0.0", "1.1.0"] {
        assert_eq!(publisher.publish("demo", number, &stamped(&hello(), number)).await.status, 201);
    }
    retire(&host, &publisher, "demo").await;
    let began = Instant::now();
    let gone = host.agent("demo").call("greet", json!({ "name": "Ann" })).await;
    assert!(gone.body.to_string().contains("no agent"), "{}", gone.body);
    let blobs = host.data().join("oci/blobs/sha256");
    while std::fs::read_dir(&blobs).unwrap().count() > 0 {
        assert!(began.elapsed() < PATIENCE, "blobs are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The name is free again.
    assert_eq!(publisher.publish("team/demo", "0.1.0", &hello()).await.status, 201);
}

/// Retires an agent, and waits until its versions have gone.
async fn retire(host: &TestHost, publisher: &Publisher, agent: &str) {
    let mut editor = stockade_tests::editor::Editor::connect(host.address, Some(&host.operator_token())).await.unwrap();
    editor.set([(agent, "retired", 1)]).await.unwrap();
    editor.settle().await.unwrap();
    drop(editor);
    let began = Instant::now();
    loop {
        let listed = publisher.ask(reqwest::Method::GET, &format!("/agents/{agent}/versions"), "", "").await;
        if listed.status == 404 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{listed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_stays_for_as_long_as_somebody_runs_it() {
    let host = TestHost::start("document: { retired: 1s }\nuploads: { grace: 1s }\nagents: {}");
    let publisher = publisher(&host);
    for agent in ["demo", "other"] {
        assert_eq!(publisher.publish(agent, "1.0.0", &hello()).await.status, 201);
    }
    // The same manifest as two versions: they go together, and none takes the other with it before.
    assert_eq!(publisher.publish("demo", "1.0.1", &hello()).await.status, 201);
    assert_eq!(version(&host, "demo@1.0.0").await, "1.0.0");
    // By the digest that the name begins with: a better file takes the place of the first one meanwhile.
    let compiled = || -> BTreeSet<String> {
        let files = std::fs::read_dir(host.data().join("compiled")).unwrap();
        files.map(|file| file.unwrap().file_name().to_string_lossy()[..64].to_owned()).collect()
    };
    assert_eq!(compiled().len(), 1, "one component");
    let refused = publisher.publish("demo", "1.1.0", &component("everything")).await;
    assert!(refused.refusal().contains("is gone"), "{}", refused.refusal());
    assert_eq!(compiled().len(), 1, "nothing of what was refused");
    retire(&host, &publisher, "demo").await;
    assert_eq!(compiled().len(), 1, "others run it");
    assert_eq!(greeting(&host, "other").await.unwrap(), "Hello, Ann!");
    retire(&host, &publisher, "other").await;
    // It is listed no more a moment before its code goes.
    let began = Instant::now();
    while !compiled().is_empty() {
        assert!(began.elapsed() < PATIENCE, "nobody runs it: {:?}", compiled());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_pins_is_no_publishers() {
    let host = TestHost::start("agents: {}");
    for number in ["1.0.0", "1.1.0"] {
        assert_eq!(publisher(&host).publish("demo", number, &stamped(&hello(), number)).await.status, 201);
    }
    let host = host.again_on("agents: { demo: { component: '{agents}/everything.wasm' } }");
    host.settle();
    let publisher = publisher(&host);
    let older = publisher.manifest("demo", &stamped(&hello(), "1.0.0")).await;
    for said in [
        publisher.roll_back("demo").await,
        publisher.yank("demo", "1.1.0", true).await,
        publisher.put("demo", "latest", &older).await,
        publisher.publish("demo", "2.0.0", &hello()).await,
    ] {
        assert!(said.refusal().contains("the manifest says which component `demo` is"), "{said:?}");
    }
    let answer = host.agent("demo").call("echo", json!({ "text": "still here" })).await;
    assert!(answer.text().contains("still here"), "{}", answer.body);
    // What was published is served again once the manifest says nothing of it.
    let host = host.again_on("agents: {}");
    host.settle();
    assert_eq!(version(&host, "demo").await, "1.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_come_at_once_have_one_entry() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    let [one, other] = ["1.0.0", "1.0.1"].map(|number| (number, stamped(&hello(), number)));
    let (said, too) =
        tokio::join!(publisher.publish("demo", one.0, &one.1), publisher.publish("demo", other.0, &other.1));
    assert_eq!((said.status, too.status), (201, 201), "{said:?} {too:?}");
    let mut editor = stockade_tests::editor::Editor::connect(host.address, Some(&host.operator_token())).await.unwrap();
    editor.set([("demo", "retired", 1)]).await.unwrap();
    editor.settle().await.unwrap();
    for address in ["demo", "demo@1.0.0", "demo@1.0.1"] {
        let began = Instant::now();
        while greeting(&host, address).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "{address} is served");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_left_of_many_versions() {
    let figures = super::load::load("publish count=20 clients=8").await;
    assert_eq!(figures["calls that failed"], 0.0, "{figures}");
    assert_eq!(figures["lent in the end"], 0.0, "{figures}");
    assert_eq!(figures["blobs and code left on disk"], 0.0, "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_has_whole_versions_or_none() {
    let figures = super::load::load("publish-crash rounds=6").await;
    assert_eq!(figures["acknowledged and lost"], 0.0, "{figures}");
    assert_eq!(figures["there by halves"], 0.0, "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_goes_away_leaves_no_half_a_version() {
    let host = TestHost::start("agents: {}");
    let publisher = publisher(&host);
    let mut manifests = Vec::new();
    for number in 0..12 {
        manifests.push(publisher.manifest("demo", &stamped(&hello(), &number.to_string())).await);
    }
    // Gone at moments from before the trial to after the answer.
    for (number, manifest) in manifests.iter().enumerate() {
        let version = format!("1.0.{number}");
        let put = publisher.put("demo", &version, manifest);
        let _ = tokio::time::timeout(Duration::from_millis(10 * number as u64), put).await;
    }
    let began = Instant::now();
    for (number, manifest) in manifests.iter().enumerate() {
        // Whoever comes back hears that it is there, or publishes it now; and then it can be called.
        let said = publisher.put("demo", &format!("1.0.{number}"), manifest).await;
        assert_eq!(said.status, 201, "{said:?}");
        assert_eq!(
            greeting(&host, &format!("demo@1.0.{number}")).await.unwrap(),
            "Hello, Ann!",
            "{:?}",
            began.elapsed()
        );
    }
    let versions = publisher.versions("demo").await;
    let states: Vec<&Value> = versions.as_array().unwrap().iter().map(|version| &version["state"]).collect();
    assert!(states.len() == 12 && states.iter().all(|state| **state == "published"), "{versions}");
    host.assert_nothing_remains().await;
}
