//! Many hostile calls at once, on the real executable: its memory stays in bounds, and a neighbour is served throughout.

use serde_json::json;
use stockade_tests::Client;
use stockade_tests::load::{Load, Report, tool_call};
use stockade_tests::process::{Process, component};

/// Resident memory that a host of `memory: 512M` stays under.
const RESIDENT_MAX: u64 = 400 << 20;

/// Hostile calls at once.
const HOSTILE_CALLS: usize = 30;

/// What they do, in turn.
const TRICKS: [&str; 10] = [
    "leak-small",
    "grow-loop",
    "giant-list",
    "many-strings",
    "giant-vec",
    "spin",
    "handles",
    "recurse-stack",
    "stdout-flood",
    "panic",
];

const NEIGHBOUR: Load = Load { connections: 2, requests: 2000 };

async fn neighbour(host: &Process) -> Report {
    let (url, request) = (format!("{}/mcp/hello", host.url()), r#"{"name":"neighbour"}"#);
    let (address, _) = stockade_tests::load::split(&url).expect("an address");
    let address = address.to_owned();
    let make = move |id| tool_call(&url, id, "greet", request).expect("a request");
    NEIGHBOUR.run(&address, make).await
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_hostile_calls_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (guests, hello) = (component("guests").expect("built"), component("hello").expect("built"));
    let manifest = format!(
        "memory: 512M\nagents:\n  guests: {{ component: '{}', concurrency: 30 }}\n  hello: {{ component: '{}' }}\n",
        guests.display(),
        hello.display()
    );
    let path = dir.path().join("manifest.yaml");
    std::fs::write(&path, manifest).expect("a manifest");
    let host = Process::stockade(&path, &dir.path().join("data")).await.expect("the host starts");
    let address = host.url().strip_prefix("http://").expect("http").parse().expect("an address");
    let client = Client::new(address, "/mcp/guests");
    host.ready().await.expect("the agents load");

    let quiet = neighbour(&host).await;
    let idle = host.resident().expect("it runs");
    let attack = async {
        let calls = (0..HOSTILE_CALLS).map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call(TRICKS[n % TRICKS.len()], json!({})).await })
        });
        let mut limits: Vec<String> = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            let answer = call.await.expect("the client does not panic");
            limits.push(answer.limit()["limit"].as_str().unwrap_or("none").to_owned());
        }
        limits
    };
    let (limits, attacked) = tokio::join!(attack, neighbour(&host));
    let resident = host.resident().expect("it still runs");

    quiet.all_succeeded().expect("quiet calls");
    attacked.all_succeeded().expect("a neighbour's calls under attack");
    assert!(limits.iter().all(|limit| limit != "none"), "a hostile call was served: {limits:?}");
    assert!(resident.peak_bytes < RESIDENT_MAX, "peak of {} bytes", resident.peak_bytes);
    let (before, during) = (quiet.quantile(0.99), attacked.quantile(0.99));
    println!(
        "{HOSTILE_CALLS} hostile calls: peak RSS {} MiB (idle {}), neighbour p99 {before:?} quiet, {during:?} attacked, ratio {:.1}",
        resident.peak_bytes >> 20,
        idle.bytes >> 20,
        during.as_secs_f64() / before.as_secs_f64()
    );
}
