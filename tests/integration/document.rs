//! The registry's document, with stock Yjs clients, against a host that is a process of its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::editor::{Closed, Editor};
use stockade_tests::interop::document_clients;
use stockade_tests::load::host::Host;
use stockade_tests::{Answer, Client, TestHost};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::load;

const MANIFEST: &str = "memory: 256M\nagents: { hello: { component: '{hello}', memory: 16M }, everything: { component: \
                        '{everything}', memory: 16M } }";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn host(manifest: &str) -> Host {
    Host::start(tempfile::tempdir().expect("a folder"), manifest).await.expect("the host starts")
}

fn token(host: &Host) -> String {
    let token = std::fs::read_to_string(host.dir.path().join("data/operator.token")).expect("the operator's token");
    token.trim().to_owned()
}

async fn clients(host: &Host, script: &str, options: &[&str]) -> Value {
    let url = format!("ws://{}", host.address);
    document_clients(script, &url, &token(host), options).await.unwrap_or_else(|error| panic!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_yjs_clients_edit_the_registry_together() {
    let host = host(MANIFEST).await;
    let seen = clients(&host, "document.mjs", &[]).await;
    assert_eq!(seen["agents"], json!(["everything", "hello"]), "{seen}");
    for what in ["edits", "offline", "late", "awareness", "corrected"] {
        assert_eq!(seen[what], true, "{what}: {seen}");
    }
    assert_eq!(seen["crowd"], 24, "{seen}");
    // Forbidden is 4403, what no client of this document sends 4400; y-websocket comes back after neither.
    let refusals = json!({ "reader": 4403, "name": 4403, "unknown": 4403, "create": 4403, "remove": 4403, "text": 4400,
                           "root": 4400, "list": 4400 });
    assert_eq!(seen["refusals"], refusals, "{seen}");
    assert!(seen["converged"].as_u64() >= Some(1_000) && seen["pending"] == 0, "{seen}");
    // Others, by another library, on what those have left.
    let seen = clients(&host, "document.py", &[]).await;
    assert!(seen["edits"] == true && seen["late"] == true && seen["converged"] == 400, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_client_is_not_dropped() {
    let host = host(MANIFEST).await;
    let seen = clients(&host, "document.mjs", &["--idle=75"]).await;
    assert_eq!(seen["drops"], 0, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_other_documents_are_turned_away() {
    let host = host(MANIFEST).await;
    let at = |path: &str| format!("http://{}{path}", host.address);
    let plain = reqwest::get(at("/yjs/@mcp.registry")).await.expect("an answer");
    assert_eq!(plain.status(), 426, "{}", plain.text().await.expect("a body"));
    let client = reqwest::Client::new();
    let upgrade = |token: &str| {
        let request =
            client.get(at("/yjs/@mcp.registry")).header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        request.bearer_auth(token).send()
    };
    let refused = Editor::connect(host.address, Some("wrong")).await.err().expect("nobody's token");
    let Closed { code, reason } = refused.downcast().expect("it says why");
    assert_eq!((code, &*reason), (4401, "it takes a token that this host knows"));
    assert_eq!(upgrade(&token(&host)).await.expect("an answer").status(), 101);
    let stranger = client.get(at("/yjs/@mcp.registry")).bearer_auth("wrong");
    assert_eq!(stranger.send().await.expect("an answer").status(), 401);
    let foreign = client.get(at("/yjs/@mcp.registry")).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.expect("an answer").status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_finds_the_data_directory_taken() {
    let first = host(MANIFEST).await;
    let path = first.dir.path().join("manifest.yaml");
    let mut command = tokio::process::Command::new(stockade_tests::process::stockade_binary().expect("a binary"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--manifest"]).arg(path);
    command.arg("--data").arg(first.dir.path().join("data")).kill_on_drop(true);
    let ended =
        tokio::time::timeout(Duration::from_secs(20), command.output()).await.expect("in time").expect("it runs");
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && complaint.contains("another stockade uses the data directory"), "{complaint}");
}

#[tokio::test]
async fn what_is_acknowledged_outlives_a_kill() {
    let figures = load("crash rounds=10").await;
    assert_eq!(
        (&figures["acknowledged and lost"], &figures["stored by halves"]),
        (&json!(0.0), &json!(0.0)),
        "{figures}"
    );
    assert!(figures["edits acknowledged"].as_f64() > Some(10.0), "{figures}");
}

#[tokio::test]
async fn an_edited_cap_governs_the_next_call() {
    let figures = load("caps edits=20").await;
    assert_eq!(figures["edits"], 20.0, "{figures}");
}

#[tokio::test]
async fn sockets_cost_little() {
    let figures = load("sockets count=100").await;
    assert!(figures["growth"].as_f64() < Some(8.0), "{figures}");
}

#[tokio::test]
async fn known_agents_are_served_without_being_loaded() {
    let figures = load("many agents=200").await;
    assert_eq!(figures["agents"], 200.0, "{figures}");
}

#[tokio::test]
async fn nothing_remains_of_agents_that_came_and_went() {
    let figures = load("waves agents=200 waves=3").await;
    assert!(figures["document, growth in the end"].as_f64() <= Some(1.0), "{figures}");
}

#[tokio::test]
async fn edits_do_not_add_up() {
    let figures = load("churn agents=20 edits=20000").await;
    assert!(figures["epochs"].as_f64() >= Some(1.0), "{figures}");
}

#[tokio::test]
async fn what_the_gate_lets_through_does_no_harm() {
    let figures = load("gate runs=20000").await;
    for count in ["updates let through", "updates refused"] {
        assert!(figures[count].as_f64() >= Some(20_000.0), "{figures}");
    }
}

/// Runs a command of the binary against a host; what it printed, and whether it went well.
async fn stockade(host: &Host, arguments: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(stockade_tests::process::stockade_binary().expect("a binary"));
    let admin = host.process.admin().and_then(|url| url.strip_prefix("http://")).expect("an admin");
    command.args(arguments).args(["--admin", admin, "--data"]).arg(host.dir.path().join("data")).kill_on_drop(true);
    let ended = command.output().await.expect("it runs");
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Calls until the answer is as it should be: soon, which `load caps` measures; here there is a bound, and no more.
async fn greeted(host: &Host, expected: impl Fn(&Answer) -> bool) {
    let (client, began) = (Client::new(host.address, "/mcp/hello"), Instant::now());
    loop {
        let answer = client.call("greet", json!({ "name": "Ann" })).await;
        if expected(&answer) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_served(answer: &Answer) -> bool {
    answer.status == 200 && answer.body.to_string().contains("Hello, Ann!")
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_change_entries_from_the_command_line() {
    let host = host(MANIFEST).await;
    let (done, table) = stockade(&host, &["agents"]).await;
    assert!(done && table.contains("hello") && table.contains("everything") && table.contains("epoch 1"), "{table}");
    let (done, entry) = stockade(&host, &["set", "hello", "memory=64K", "deadline=2s", "title=Hello there"]).await;
    assert!(done && entry.contains("64K") && entry.contains("2s") && entry.contains("Hello there"), "{entry}");
    greeted(&host, |answer| {
        let limit = &answer.body["result"]["_meta"]["stockade/limit"];
        limit["limit"] == "memory" && limit["cap"] == 65_536
    })
    .await;
    let (done, entry) = stockade(&host, &["set", "hello", "memory=", "deadline=", "title="]).await;
    assert!(done && !entry.contains("64K"), "{entry}");
    greeted(&host, is_served).await;

    for (arguments, expected) in [
        (
            ["set", "hello", "memory=64M"].as_slice(),
            "`memory: 67108864` of agent `hello` is more than the manifest's 16777216",
        ),
        (&["set", "hello", "memory=lots"], "`lots` is no size, such as 32M"),
        (&["set", "hello", "version=9"], "`version` of agent `hello` may not be written by `operator`"),
        (&["set", "hello", "colour=red"], "there is no field `colour`; there are name, title"),
        (&["set", "nobody", "enabled=false"], "there is no agent `nobody`; `stockade agents` lists all"),
        (&["set", "hello", "memory"], "`memory` is no FIELD=VALUE"),
        (&["agent", "nobody"], "no agent is called nobody"),
    ] {
        let (done, said) = stockade(&host, arguments).await;
        assert!(!done && said.contains(expected), "{arguments:?}: {said}");
    }
    // What is not said is said by the nearest manifest.
    let below = host.dir.path().join("below");
    std::fs::create_dir(&below).expect("a folder");
    let mut command = tokio::process::Command::new(stockade_tests::process::stockade_binary().expect("a binary"));
    let admin = host.process.admin().and_then(|url| url.strip_prefix("http://")).expect("an admin");
    let ended = command.args(["status", "--admin", admin]).current_dir(&below).output().await.expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    let (done, entry) = stockade(&host, &["agent", "hello", "--json"]).await;
    let entry: Value = serde_json::from_str(&entry).unwrap_or_else(|error| panic!("{error}: {entry}"));
    assert!(
        done && entry["name"] == "hello"
            && entry["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_agents_than_one_answer_has_are_all_shown() {
    let names: Vec<String> = (0..1_100).map(|number| format!("agent-{number:04}")).collect();
    let agents: String = names.iter().map(|name| format!("  {name}: {{ component: published }}\n")).collect();
    let host = host(&format!("agents:\n{agents}")).await;
    for command in ["status", "agents"] {
        let (done, said) = stockade(&host, &[command, "--json"]).await;
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{done} {error}: {said}"));
        let shown: Vec<String> = match &said["agents"] {
            Value::Array(rows) => rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect(),
            rows => rows.as_object().expect("entries").keys().cloned().collect(),
        };
        assert!(done && shown == names && said["next"].is_null(), "{command}: {} agents", shown.len());
    }
    let (_, table) = stockade(&host, &["agents"]).await;
    assert_eq!(table.matches("refused").count(), names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_disabled_is_not_served_until_it_is_enabled() {
    let host = host(MANIFEST).await;
    for (off, on) in [("disable", "enable"), ("retire", "enable")] {
        let (done, said) = stockade(&host, &[off, "hello"]).await;
        assert!(done, "{said}");
        greeted(&host, |answer| answer.body["error"]["data"]["limit"] == "disabled").await;
        let listed = Client::new(host.address, "/mcp").list("tools/list", None).await;
        assert!(!listed.body.to_string().contains("hello__greet"), "{}", listed.body);
        let (_, table) = stockade(&host, &["agents"]).await;
        let state = if off == "retire" { "retired" } else { "disabled" };
        assert!(table.lines().any(|line| line.starts_with("hello") && line.contains(state)), "{table}");
        let (done, said) = stockade(&host, &[on, "hello"]).await;
        assert!(done, "{said}");
        greeted(&host, is_served).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_disabled_is_refused_from_the_first_moment_of_a_start() {
    let manifest = "agents: { hello: { component: '{agents}/hello.wasm' } }";
    let host = TestHost::start(manifest);
    assert!(is_served(&host.agent("hello").call("greet", json!({ "name": "Ann" })).await));
    let mut editor = Editor::connect(host.address, Some(&host.operator_token())).await.expect("served");
    editor.set([("hello", "enabled", false)]).await.expect("sent");
    editor.settle().await.expect("taken");
    drop(editor);
    let host = host.again_loading_on(manifest);
    let (mut settled, mut calls) = (false, 0);
    while !settled || calls < 20 {
        settled = host.is_settled();
        let answer = host.agent("hello").call("greet", json!({ "name": "Ann" })).await;
        let limit = answer.body["error"]["data"]["limit"].as_str().unwrap_or_default().to_owned();
        assert!(["disabled", "not-loaded"].contains(&&*limit), "{}", answer.body);
        assert!(!settled || limit == "disabled", "{}", answer.body);
        calls += 1;
    }
}

/// The beginning of a frame of 1 MiB, and the first part of a message, whole (RFC 6455, 5.2 and 5.4).
fn begun_messages() -> [Vec<u8>; 2] {
    let part = |head: &[u8]| [head, &[1, 2, 3, 4], &[0; 100_000]].concat();
    [part(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0]), part(&[0x02, 0xff, 0, 0, 0, 0, 0, 0x01, 0x86, 0xa0])]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_end_is_not_waited_for() {
    for begun in begun_messages() {
        is_not_waited_for(begun).await;
    }
}

async fn is_not_waited_for(begun: Vec<u8>) {
    let host = TestHost::start(
        "memory: 256M\nhttp: { body_wait: 300ms }\nagents: { hello: { component: '{agents}/hello.wasm' } }",
    );
    let before = host.used("requests");
    let mut socket = TcpStream::connect(host.address).await.expect("it listens");
    let request = "GET /yjs/@mcp.registry HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(request.as_bytes()).await.expect("sent");
    let (mut reading, mut writing) = socket.into_split();
    writing.write_all(&begun).await.expect("sent");
    assert!(stockade_tests::eventually(|| host.used("requests") > before + 90_000), "what has come is paid for");
    let pinging = tokio::spawn(async move {
        // A client that is there all the time.
        while writing.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut told = Vec::new();
    // It ends by a reset where pings are still on their way.
    let _ = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut told)).await.expect("in time");
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("longer than the limit `http.body_wait` of 300 ms"), "{told}");
    drop(reading);
    pinging.await.expect("it ends with the connection");
    assert!(stockade_tests::eventually(|| host.used("requests") == before), "and given back");
}
