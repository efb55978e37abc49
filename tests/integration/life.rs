//! The life of the process: start, answers about itself, stop.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use stockade_tests::process::{Process, component, stockade_binary};
use stockade_tests::{Client, TestHost};
use tokio::process::Command;

async fn get(url: &str) -> (u16, String) {
    let reply = reqwest::get(url).await.expect("the host answers");
    (reply.status().as_u16(), reply.text().await.expect("a body"))
}

fn signal(process: &Process, name: &str) {
    let pid = process.pid().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
    assert!(sent.success());
}

fn manifest(dir: &Path, agents: &str) -> std::path::PathBuf {
    let path = dir.join("manifest.yaml");
    let folder = component("hello").expect("built").parent().expect("a folder").display().to_string();
    std::fs::write(&path, agents.replace("{agents}", &folder)).expect("a manifest");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn livez_answers_while_every_core_spins() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm' } }");
    let client = host.agent("guests");
    let spinners: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call("spin", json!({})).await })
        })
        .collect();
    assert!(stockade_tests::eventually(|| host.used("guests") >= 8 * (2 << 20)), "all of them run");
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(get(&host.url("/livez")).await.0, 200);
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of 20 /livez while 8 guests spin on every core: {slowest:?}");
    assert!(host.used("guests") > 0, "they still spin");
    for spinner in spinners {
        let limit = spinner.await.expect("no panic").limit()["limit"].clone();
        assert!(limit == "cpu" || limit == "deadline", "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_waits_for_the_agents() {
    let host = TestHost::start("agents: { hello: { component: '{agents}/hello.wasm' } }");
    assert_eq!(get(&host.url("/readyz")).await.0, 200);
    assert_eq!(get(&format!("http://{}/readyz", host.admin)).await.0, 200);
    assert_eq!(get(&host.url("/nothing-here")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_running_calls() {
    for name in ["TERM", "INT"] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = manifest(
            dir.path(),
            "agents: { guests: { component: '{agents}/guests.wasm', deadline: 3s, concurrency: 1, queue_wait: 200ms } }",
        );
        let mut host = Process::stockade(&path, &dir.path().join("data")).await.expect("it starts");
        let address = host.url().strip_prefix("http://").expect("http").parse().expect("an address");
        let client = Client::new(address, "/mcp/guests");
        host.ready().await.expect("the agents load");
        let running = tokio::spawn({
            let client = client.clone();
            async move { client.call("sleep", json!({})).await }
        });
        // The agent runs one call at a time: once another is told that it is busy, the sleeper is running.
        let busy = async { while client.call("ok", json!({})).await.status != 503 {} };
        tokio::time::timeout(Duration::from_secs(20), busy).await.expect("the sleeper begins");
        signal(&host, name);
        assert_eq!(
            running.await.expect("no panic").limit()["limit"],
            "deadline",
            "{name}: the running call ends by itself"
        );
        let status =
            tokio::time::timeout(Duration::from_secs(20), host.exited()).await.expect("in time").expect("a status");
        assert_eq!(status.code(), Some(0), "{name}: {}", host.log_tail().unwrap_or_default());
    }
}

async fn stockade(arguments: &[&str], dir: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(stockade_binary().expect("built"));
    let output = command.args(arguments).current_dir(dir).env_remove("PORT").stdin(Stdio::null()).output().await;
    let output = output.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_wrong_manifest_is_exit_code_2_with_file_line_and_suggestion() {
    let dir = tempfile::tempdir().expect("a folder");
    manifest(dir.path(), "memory: 512M\nagnets: {}\n");
    for command in ["check", "serve"] {
        let (code, _, errors) = stockade(&[command], dir.path()).await;
        assert_eq!(code, Some(2), "{command}: {errors}");
        assert!(errors.contains("manifest.yaml:2:1") && errors.contains("agents"), "{command}: {errors}");
    }
}

#[tokio::test]
async fn check_precompiles_and_the_next_start_finds_it() {
    let dir = tempfile::tempdir().expect("a folder");
    manifest(dir.path(), "agents: { hello: { component: '{agents}/hello.wasm' } }");
    let (code, said, errors) = stockade(&["check", "--precompile"], dir.path()).await;
    assert_eq!(code, Some(0), "{said}{errors}");
    let compiled = std::fs::read_dir(dir.path().join("data/compiled")).expect("compiled code is kept").count();
    assert_eq!(compiled, 1, "one component, one file, no drafts");
}

#[tokio::test]
async fn check_says_what_can_be_no_component() {
    let dir = tempfile::tempdir().expect("a folder");
    for (file, bytes) in [("text.wasm", &b"no code"[..]), ("module.wasm", b"\0asm\x01\0\0\0")] {
        std::fs::write(dir.path().join(file), bytes).expect("writable");
    }
    let agents = "agents: { hello: { component: '{agents}/hello.wasm' }, text: { component: text.wasm }, \
                  module: { component: module.wasm } }";
    manifest(dir.path(), agents);
    let (code, said, errors) = stockade(&["check"], dir.path()).await;
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!(errors.contains("2 of 3 agents cannot be served"), "{errors}");
    for (agent, reason) in [("text", "it is no WebAssembly"), ("module", "it is a core module")] {
        let line = said.lines().find(|line| line.starts_with(&format!("{agent} cannot be served")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{agent}: {said}");
    }
}

#[tokio::test]
async fn help_and_version_teach() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, said, _) = stockade(&["--help"], dir.path()).await;
    assert_eq!(code, Some(0));
    for word in ["serve", "check", "manifest.yaml", "exit codes"] {
        assert!(said.to_lowercase().contains(word), "--help does not mention {word}:\n{said}");
    }
    assert!(!said.contains("compile-child"), "an internal command is shown");
    let (code, said, _) = stockade(&["--version"], dir.path()).await;
    assert_eq!((code, said.trim()), (Some(0), concat!("stockade ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(stockade(&["sevre"], dir.path()).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_compiled_once_for_all_agents_that_have_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let agents: String = (0..5).map(|n| format!("  a{n}: {{ component: '{{agents}}/hello.wasm' }}\n")).collect();
    let path = manifest(dir.path(), &format!("memory: 256M\nagents:\n{agents}"));
    let process = Process::stockade(&path, &dir.path().join("data")).await.expect("it starts");
    process.ready().await.expect("its agents load");
    let log = process.log().expect("a log");
    assert_eq!(log.matches(" compiled ").count(), 1, "{log}");
    assert_eq!(log.matches(" agent loaded ").count(), 5, "{log}");
}
