//! The ladder of answers to memory pressure, climbed and left again by memory that guests really hold; and what operators
//! see of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::process::{Process, component};
use stockade_tests::{Answer, Client};
use tokio::task::JoinHandle;

const MIB: u64 = 1 << 20;

/// How long the host may take to see what has changed: it looks four times a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host as a process of its own: what it measures is its own memory.
struct Host {
    process: Process,
    dir: tempfile::TempDir,
}

impl Host {
    async fn start(manifest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut text = manifest.to_owned();
        for agent in ["guests", "hello", "everything"] {
            let path = component(agent).expect("`make test` builds the agents first");
            text = text.replace(&format!("{{{agent}}}"), &path.display().to_string());
        }
        let path = dir.path().join("manifest.yaml");
        std::fs::write(&path, text).expect("a manifest");
        let process = Process::stockade(&path, &dir.path().join("data")).await.expect("the host starts");
        process.ready().await.expect("its agents load");
        Self { process, dir }
    }

    fn agent(&self, name: &str) -> Client {
        let address = self.process.url().strip_prefix("http://").expect("it speaks http").parse().expect("an address");
        Client::new(address, &format!("/mcp/{name}"))
    }

    async fn page(&self, path: &str) -> (u16, String) {
        let page = reqwest::get(format!("{}{path}", self.process.admin().expect("an admin"))).await.expect("an answer");
        (page.status().as_u16(), page.text().await.expect("a body"))
    }

    async fn health(&self) -> Value {
        serde_json::from_str(&self.page("/healthz").await.1).expect("JSON")
    }

    /// Waits until health has this word, and says what else it says then.
    async fn eventually(&self, status: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let health = self.health().await;
            if health["status"] == status {
                return health;
            }
            assert!(Instant::now() < deadline, "not {status}: {health}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins a call that holds memory until it is stopped.
    fn hold(&self, tool: &'static str) -> JoinHandle<Answer> {
        let client = self.agent("guests");
        tokio::spawn(async move { client.call(tool, json!({})).await })
    }
}

/// Thresholds so many MiB above what a host has lent at rest.
async fn manifest(above: [u64; 3]) -> String {
    let agents = "agents: { guests: { component: '{guests}', deadline: 60s }, hello: { component: '{hello}' } }";
    let rests = Host::start(&format!("memory: 256M\n{agents}")).await;
    // Live, where the figures of memory are those of the last look, when a compiler may still have run.
    let accounts = rests.health().await["accounts"].clone();
    let lent = |account: &Value| account["used"].as_u64().max(account["floor"].as_u64()).expect("bytes");
    let rest: u64 = accounts.as_object().expect("accounts").values().map(lent).sum();
    let [warning, critical, maximum] = above.map(|mib| rest + mib * MIB);
    format!("memory: 256M\npressure: {{ warning: {warning}, critical: {critical}, maximum: {maximum} }}\n{agents}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_is_reached_and_left_by_memory_that_is_really_held() {
    // A call takes 2 MiB for copies besides. The last one leaves too little for another.
    let host = Host::start(&manifest([20, 40, 64]).await).await;
    let calm = host.eventually("healthy").await;
    assert_eq!((calm["reasons"].clone(), calm["memory"]["drift"].clone()), (json!([]), json!(0)));

    let held = host.hold("hold-24m");
    let warned = host.eventually("warning").await;
    assert!(warned["accounts"]["guests"]["used"].as_u64().expect("bytes") >= 24 * MIB, "{warned}");
    assert!(warned["reasons"][0].as_str().is_some_and(|reason| reason.contains("bytes are lent")), "{warned}");
    held.abort();
    host.eventually("healthy").await;

    let held = host.hold("hold-50m");
    let critical = host.eventually("critical").await;
    let touched = critical["memory"]["measured"].as_u64().expect("it is measured");
    assert!(touched >= 50 * MIB, "the kernel sees it too: {critical}");
    assert_eq!(host.agent("hello").call("greet", json!({ "name": "Ann" })).await.text(), "Hello, Ann!");
    held.abort();
    host.eventually("healthy").await;

    let held = host.hold("hold-60m");
    let full = host.eventually("max").await;
    assert!(!full["reasons"].as_array().expect("reasons").is_empty());
    let stopped = held.await.expect("no panic");
    let limit = stopped.limit();
    assert_eq!(limit["limit"], "host-full", "{}", stopped.body);
    assert!(stopped.text().contains("furthest beyond its reserve"), "{}", stopped.body);
    host.eventually("healthy").await;

    let log = host.process.log().expect("a log");
    assert!(!log.contains("allocator"), "it gives pages back as it was told to:\n{log}");
    let words = [
        "WARNING: High memory usage detected",
        "CRITICAL: Memory usage approaching maximum",
        "CRITICAL: Memory usage at maximum threshold",
        "Memory usage normal",
    ];
    for words in words {
        assert!(log.contains(words), "{words} is missing in\n{log}");
    }
    drop(host.dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_maximum_each_agent_still_has_its_own_call() {
    let host = Host::start(&manifest([20, 40, 64]).await).await;
    // One after the other is stopped and begun again: memory stays at its end.
    let hog = host.agent("guests");
    let hogs = tokio::spawn(async move {
        loop {
            hog.call("hold-60m", json!({})).await;
        }
    });
    host.eventually("max").await;
    for _ in 0..50 {
        let greeted = host.agent("hello").call("greet", json!({ "name": "Ann" })).await;
        assert_eq!((greeted.status, greeted.text()), (200, "Hello, Ann!"), "{}", greeted.body);
    }
    hogs.abort();
    host.eventually("healthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_memory_accounts_and_calls() {
    let host =
        Host::start("memory: 256M\nagents: { hello: { component: '{hello}' }, guests: { component: '{guests}' } }")
            .await;
    assert_eq!(host.agent("hello").call("greet", json!({ "name": "Ann" })).await.status, 200);
    let bomb = host.agent("guests").call("leak-small", json!({})).await;
    assert_eq!(bomb.limit()["limit"], "memory");
    host.eventually("healthy").await;
    let (status, text) = host.page("/metrics").await;
    assert_eq!(status, 200, "{text}");
    let value = |line: &str| -> f64 {
        let found = text.lines().find_map(|each| each.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{line} is missing in\n{text}")).parse().expect("a number")
    };
    assert_eq!(value("stockade_memory_limit_bytes"), 256.0 * MIB as f64);
    assert_eq!(value("stockade_memory_level{level=\"normal\"}"), 1.0);
    assert!(value("stockade_memory_measured_bytes") > 1e6 && value("stockade_heap_allocated_bytes") > 1e5);
    assert_eq!(value("stockade_account_used_bytes{account=\"guests\"}"), 0.0);
    assert!(value("stockade_account_peak_bytes{account=\"guests\"}") >= 60.0 * MIB as f64);
    let hello = "agent=\"hello\",version=\"0.1.0\",function=\"tools.call\"";
    assert_eq!(value(&format!("stockade_agent_calls_total{{{hello},outcome=\"ok\"}}")), 1.0);
    let guests = hello.replace("hello", "guests");
    assert_eq!(value(&format!("stockade_agent_calls_total{{{guests},outcome=\"memory\"}}")), 1.0);
    assert_eq!(value(&format!("stockade_agent_call_duration_seconds_count{{{hello}}}")), 1.0);
    assert_eq!(value(&format!("stockade_agent_call_memory_bytes_bucket{{{guests},le=\"6.7108864e+07\"}}")), 1.0);
    assert!(value("stockade_agent_queue_wait_seconds_count{agent=\"hello\",version=\"0.1.0\"}") >= 1.0);
    assert!(value("stockade_traffic_bytes_total{direction=\"sent\"}") > 100.0);
    assert!(value("stockade_epoch_lateness_seconds_count") > 10.0);
    assert_eq!(value("stockade_document_refused_total{reason=\"pace\"}"), 0.0);
    assert_eq!(host.page("/metrics?x=1").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_observers_see_is_not_for_strangers() {
    let host = Host::start("memory: 256M\nagents: { hello: { component: '{hello}' } }").await;
    let admin = host.process.admin().expect("an admin");
    let asked = |path: &str| reqwest::Client::new().get(format!("{admin}{path}"));
    for path in ["/metrics", "/healthz"] {
        for (header, value) in
            [("host", "evil.example"), ("origin", "https://evil.example"), ("authorization", "Bearer wrong")]
        {
            let refused = asked(path).header(header, value).send().await.expect("an answer").status().as_u16();
            assert!([401, 403].contains(&refused), "{path} with {header}: {refused}");
        }
    }
    let public = reqwest::get(format!("{}/healthz", host.process.url())).await.expect("an answer");
    assert_eq!(public.text().await.expect("a body"), r#"{"status":"healthy"}"#);
    let hidden = reqwest::get(format!("{}/metrics", host.process.url())).await.expect("an answer");
    assert_eq!(hidden.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_fuse_is_armed_where_it_is_wanted() {
    let limit = |host: &Host| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.process.pid().expect("it runs")));
        let limits = limits.expect("the kernel says");
        let line = limits.lines().find(|line| line.starts_with("Max data size")).expect("a line").to_owned();
        line.split_whitespace().nth(3).expect("a limit").parse::<u64>().ok()
    };
    let agents = "agents: { hello: { component: '{hello}', concurrency: 2 } }";
    let off = Host::start(&format!("memory: 256M\nfuse: off\n{agents}")).await;
    let on = Host::start(&format!("memory: 256M\nfuse: on\n{agents}")).await;
    let (off, armed) = (limit(&off), limit(&on).expect("a number"));
    assert!(off.is_none_or(|off| off > armed), "{off:?}");
    // Two instances of at most four memories of 64 MiB, 64 such that stay warm, and the stacks of the threads there may be.
    assert!(armed > 256 * MIB && armed < 8192 * MIB, "{armed}");
    assert_eq!(on.agent("hello").call("greet", json!({ "name": "Ann" })).await.text(), "Hello, Ann!");
}
