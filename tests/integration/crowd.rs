//! Many hostile calls at once, on the real executable: its memory stays in bounds, and a neighbour is served throughout.

use serde_json::json;
use stockade_tests::Client;
use stockade_tests::load::{Load, Report, tool_call};
use stockade_tests::process::{Process, component};

/// Resident memory that a host of `memory: 512M` stays under.
const RESIDENT_MAX: u64 = 400 << 20;

/// Resident memory that may stay above the idle host's once all calls have ended: warm slots and stacks of the pool, and
/// what the allocator keeps.
const SLACK: u64 = 48 << 20;

/// Hostile agents, and calls of each at once. Five bad ends put an agent to rest: with five calls each, all of them run.
const AGENTS: usize = 6;
const CALLS_EACH: usize = 5;

/// What they do, in turn, and the limits that may end it. Guest memory may run out for all before one reaches its own cap.
const TRICKS: [(&str, &[&str]); 10] = [
    ("leak-small", &["memory", "host-full"]),
    ("grow-loop", &["memory", "host-full"]),
    ("giant-list", &["copies", "host-full"]),
    ("many-strings", &["copies", "host-full"]),
    ("giant-vec", &["memory", "host-full"]),
    ("spin", &["cpu", "deadline"]),
    ("handles", &["handles"]),
    ("recurse-stack", &["stack"]),
    ("stdout-flood", &["output"]),
    ("panic", &["panic"]),
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
    let mut manifest = format!("memory: 512M\nagents:\n  hello: {{ component: '{}' }}\n", hello.display());
    for agent in 0..AGENTS {
        manifest += &format!("  guests-{agent}: {{ component: '{}' }}\n", guests.display());
    }
    let path = dir.path().join("manifest.yaml");
    std::fs::write(&path, manifest).expect("a manifest");
    let host = Process::stockade(&path, &dir.path().join("data")).await.expect("the host starts");
    let address = host.url().strip_prefix("http://").expect("http").parse().expect("an address");
    host.ready().await.expect("the agents load");

    let quiet = neighbour(&host).await;
    let idle = host.resident().expect("it runs");
    let attack = async {
        let calls = (0..AGENTS * CALLS_EACH).map(|n| {
            let client = Client::new(address, &format!("/mcp/guests-{}", n % AGENTS));
            let (trick, expected) = TRICKS[n % TRICKS.len()];
            let call = tokio::spawn(async move { client.call(trick, json!({})).await });
            (trick, expected, call)
        });
        for (trick, expected, call) in calls.collect::<Vec<_>>() {
            let answer = call.await.expect("the client does not panic");
            let limit = answer.limit()["limit"].as_str().unwrap_or("none");
            assert!(expected.contains(&limit), "{trick}: {limit}: {}", answer.body);
        }
    };
    let ((), attacked) = tokio::join!(attack, neighbour(&host));
    let resident = host.resident().expect("it still runs");
    let given_back = || host.resident().is_ok_and(|now| now.bytes < idle.bytes + SLACK);
    assert!(stockade_tests::eventually(given_back), "memory of ended calls stays: {:?}", host.resident());

    quiet.all_succeeded().expect("quiet calls");
    attacked.all_succeeded().expect("a neighbour's calls under attack");
    assert!(resident.peak_bytes < RESIDENT_MAX, "peak of {} bytes", resident.peak_bytes);
    let (before, during) = (quiet.quantile(0.99), attacked.quantile(0.99));
    println!(
        "{} hostile calls: peak RSS {} MiB (idle {}, after {}), neighbour p99 {before:?} quiet, {during:?} attacked, ratio {:.1}",
        AGENTS * CALLS_EACH,
        resident.peak_bytes >> 20,
        idle.bytes >> 20,
        host.resident().expect("it still runs").bytes >> 20,
        during.as_secs_f64() / before.as_secs_f64()
    );
}
