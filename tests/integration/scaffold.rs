//! The way of a publisher: an agent is begun, tested, built, looked at and served; and what is no agent is refused by name.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use stockade_tests::Client;
use stockade_tests::guests::{Source, case};
use stockade_tests::load::host::Host;
use stockade_tests::process::{Process, component, stockade_binary};
use tokio::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A command that finds nothing of who runs the tests; what it builds stays below the target directory, for the next time.
fn command(program: impl AsRef<std::ffi::OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let target = component("hello").expect("built").ancestors().nth(3).expect("a target directory").join("scaffold");
    command.current_dir(dir).env("CARGO_TARGET_DIR", target).env_remove("PORT").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn end(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().await.expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}

async fn stockade(arguments: &[&str], dir: &Path) -> Ended {
    let mut command = command(stockade_binary().expect("built"), dir);
    command.args(arguments);
    end(command).await
}

fn address(url: &str) -> std::net::SocketAddr {
    url.strip_prefix("http://").expect("http").split('/').next().expect("an address").parse().expect("an address")
}

/// Starts `stockade run` on a free port. Its temporary data goes where the test can see it.
async fn run(agent: &str, more: &[&str], dir: &Path) -> anyhow::Result<Process> {
    let mut command = command(stockade_binary()?, dir);
    command.args(["run", agent, "--listen", "127.0.0.1:0"]).args(more).env("TMPDIR", temporary(dir));
    Process::spawn(command).await
}

fn temporary(dir: &Path) -> PathBuf {
    let path = dir.join("temporary");
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

fn left_in(dir: &Path) -> usize {
    std::fs::read_dir(temporary(dir)).expect("a folder").count()
}

async fn interrupt(mut process: Process) {
    let pid = process.pid().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status().await.expect("kill runs");
    assert!(sent.success());
    let ended = tokio::time::timeout(Duration::from_secs(20), process.exited()).await.expect("in time");
    assert_eq!(ended.expect("a status").code(), Some(0), "{}", process.log_tail().unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_begun_tested_built_and_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let made = stockade(&["new", "price-list"], dir).await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.out.contains("stockade build"), "{}", made.out);
    let agent = dir.join("price-list");
    // The same versions as here, which cargo has already fetched.
    std::fs::copy(root().join("Cargo.lock"), agent.join("Cargo.lock")).expect("a lock file");

    let mut test = command("cargo", &agent);
    test.args(["test", "--quiet"]);
    let tested = end(test).await;
    assert_eq!(tested.code, Some(0), "{}{}", tested.out, tested.err);
    assert!(tested.out.contains("3 passed"), "{}", tested.out);

    let built = stockade(&["build", "price-list", "--json"], dir).await;
    assert_eq!(built.code, Some(0), "{}", built.err);
    let built: Value = serde_json::from_str(&built.out).expect("JSON alone");
    let file = built["component"].as_str().expect("a path");
    assert_eq!(built["bytes"].as_u64(), Some(std::fs::metadata(file).expect("it is there").len()));
    assert!(built["bytes"].as_u64() < Some(300 << 10), "it is small: {built}");
    let again = stockade(&["build"], &agent).await;
    assert!(again.out.contains("fits the contract: price-list 0.1.0, 1 tool, 1 resource"), "{again:?}");

    let inspected = stockade(&["inspect", file, "--json"], dir).await;
    assert_eq!(inspected.code, Some(0), "{}", inspected.err);
    let inspected: Value = serde_json::from_str(&inspected.out).expect("JSON alone");
    assert_eq!((&inspected["digest"], &inspected["fits"]), (&built["digest"], &json!(true)));
    assert_eq!(inspected["agent"]["tools"][0]["name"], "greet");
    assert_eq!(inspected["agent"]["tools"][0]["inputSchema"]["required"], json!(["name"]));
    assert_eq!(inspected["agent"]["resources"][0]["uri"], "price-list:///hours");

    let process = run("price-list", &["--memory", "8M"], dir).await.expect("it serves");
    assert!(process.url().ends_with("/mcp/price-list"), "{}", process.url());
    let client = Client::new(address(process.url()), "/mcp/price-list");
    assert_eq!(client.call("greet", json!({ "name": "Ada" })).await.text(), "Hello, Ada!");
    let read = client.read("price-list:///hours").await;
    assert!(read.result()["contents"][0]["text"].as_str().is_some_and(|text| text.contains("Grüße")), "{}", read.body);
    assert_eq!(left_in(dir), 1, "the host's data lies there while it runs");
    interrupt(process).await;
    assert_eq!(left_in(dir), 0, "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_begun_and_published_in_three_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::start(tempfile::tempdir().expect("a folder"), "agents: {}\n").await.expect("a host");
    let token = std::fs::read_to_string(host.dir.path().join("data/operator.token")).expect("the host wrote it");
    let publish = async |dir: &Path, arguments: &[&str]| {
        let mut command = command(stockade_binary().expect("built"), dir);
        command.args(arguments).env("STOCKADE_HOST", host.process.url()).env("STOCKADE_TOKEN", token.trim());
        end(command).await
    };
    assert_eq!(stockade(&["new", "demo"], folder.path()).await.code, Some(0));
    let agent = folder.path().join("demo");
    std::fs::copy(root().join("Cargo.lock"), agent.join("Cargo.lock")).expect("a lock file");
    assert_eq!(stockade(&["build"], &agent).await.code, Some(0));
    let began = std::time::Instant::now();
    let published = publish(&agent, &["publish"]).await;
    assert_eq!(published.code, Some(0), "{}", published.err);
    println!("stockade publish: {:.2} s\n{}", began.elapsed().as_secs_f64(), published.out);
    assert!(published.out.contains("demo 0.1.0 is live at http://"), "{}", published.out);
    assert!(published.out.contains("should do"), "{}", published.out);
    let url = format!("{}/mcp/demo", host.process.url());
    let seen = stockade_tests::interop::python_greeting(&url).await.expect("the Python client calls it");
    assert_eq!(seen["text"], "Hello, Ada!", "{seen}");
    let again = publish(&agent, &["publish"]).await;
    assert!(again.out.contains("was there already"), "{again:?}");

    let file = component("hello").expect("built").display().to_string();
    let other = publish(folder.path(), &["publish", &file, "--name", "demo", "--version", "0.1.0"]).await;
    assert!(other.code == Some(1) && other.err.contains("a version is published once"), "{other:?}");
    let next = publish(folder.path(), &["publish", &file, "--name", "demo", "--version", "0.2.0", "--json"]).await;
    let report: Value = serde_json::from_str(&next.out).unwrap_or_else(|_| panic!("{next:?}"));
    assert_eq!(report["live"], true, "{report}");
    let listed = publish(folder.path(), &["versions", "demo"]).await;
    assert!(listed.out.contains("0.2.0") && listed.out.contains("live"), "{}", listed.out);
    let named = publish(folder.path(), &["alias", "demo", "stable", "0.1.0"]).await;
    assert!(named.out.contains("demo@stable is 0.1.0 now"), "{named:?}");
    let back = publish(folder.path(), &["rollback", "demo"]).await;
    assert!(back.out.lines().any(|line| line.starts_with("0.1.0") && line.contains("live")), "{back:?}");
    let yanked = publish(folder.path(), &["yank", "demo", "0.2.0", "--json"]).await;
    let yanked: Value = serde_json::from_str(&yanked.out).unwrap_or_else(|_| panic!("{yanked:?}"));
    assert_eq!(yanked["versions"][0]["state"], "yanked", "{yanked}");
    let gone = publish(folder.path(), &["alias", "demo", "stable", "--delete"]).await;
    assert_eq!(gone.code, Some(0), "{}", gone.err);

    let digest = stockade_tests::publisher::Publisher::new(host.address, token.trim());
    let digest = digest.send(reqwest::Method::HEAD, "/v2/demo/manifests/0.1.0", "", "").await;
    let digest = digest.headers()["docker-content-digest"].to_str().expect("a digest").to_owned();
    let from = format!("oci://{}/demo:0.1.0@{digest}", host.address);
    let copied = publish(folder.path(), &["publish", "--from", &from, "--name", "copy", "--version", "3.0.0"]).await;
    assert!(copied.out.contains("copy 3.0.0 is live at"), "{copied:?}");
    let unnamed = publish(folder.path(), &["publish", "--from", &from, "--version", "0.0.1"]).await;
    assert!(unnamed.out.contains("demo 0.0.1 is there at"), "it is called as there: {unnamed:?}");
    let wrong = format!("oci://{}/demo:0.1.0@sha256:{}", host.address, "0".repeat(64));
    let wrong = publish(folder.path(), &["publish", "--from", &wrong, "--name", "copy", "--version", "3.0.1"]).await;
    assert!(wrong.code == Some(1) && wrong.err.contains("404"), "{wrong:?}");

    // Refused before its body is sent, however fast the host closes.
    for _ in 0..20 {
        let mut stranger = command(stockade_binary().expect("built"), folder.path());
        stranger.args(["publish", &file, "--name", "demo", "--version", "0.1.0"]);
        stranger.env("STOCKADE_HOST", host.process.url()).env_remove("STOCKADE_TOKEN");
        let stranger = end(stranger).await;
        assert!(stranger.err.contains("put a publisher's token in $STOCKADE_TOKEN"), "{stranger:?}");
    }
    let mut nobody = command(stockade_binary().expect("built"), &agent);
    nobody.args(["publish"]).env("STOCKADE_HOST", "http://127.0.0.1:9");
    assert!(end(nobody).await.err.contains("nobody answers at http://127.0.0.1:9"));
    host.process.end().await.expect("it ends");
}

#[tokio::test]
async fn an_agent_is_not_begun_where_something_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    std::fs::create_dir(dir.join("taken")).expect("writable");
    std::fs::write(dir.join("file"), "mine").expect("writable");
    for (arguments, code, expected) in [
        (&["new", "taken"][..], 1, "taken is there already"),
        (&["new", "other", "--path", "file"], 1, "file is there already"),
        (&["new", "other", "--path", "file/below"], 1, "cannot make file/below"),
        (&["new", "Price_List"], 2, "`price-list` would do"),
        (&["new", "3d-print"], 2, "`d-print` would do"),
        (&["new", "../escape"], 2, "`escape` would do"),
        (&["new", "ä"], 2, "choose a name such as"),
        (&["new", ""], 2, "choose a name such as"),
        (&["new", &"a".repeat(33)], 2, &format!("`{}` would do", "a".repeat(32))),
    ] {
        let ended = stockade(arguments, dir).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(std::fs::read_dir(dir).expect("a folder").count(), 2, "nothing was made");
    assert_eq!(std::fs::read_dir(dir.join("taken")).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_is_no_agent_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    for (name, expected) in [
        ("core-module", "it is a core module"),
        ("noise", "it is no WebAssembly"),
        ("empty-file", "it is no WebAssembly"),
        ("truncated", "not a component"),
        ("missing-describe", "does not export: stockade:agent/describe@0.1.0"),
        ("other-contract", "other:thing/api@1.0.0"),
        ("unknown-import", "stockade:agent/teleport@0.1.0"),
        ("wrong-signature", "does not have the contract's types"),
    ] {
        let Source::Made(make) = case(name).source else { panic!("{name} is made") };
        let file = format!("{name}.wasm");
        std::fs::write(dir.join(&file), make()).expect("writable");
        let ended = stockade(&["inspect", &file, "--json"], dir).await;
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.err);
        assert!(ended.err.contains(expected), "{name}: {}", ended.err);
        let said: Value = serde_json::from_str(&ended.out).expect("JSON alone");
        assert_eq!(said["fits"], false, "{name}: {said}");
        assert!(said["reason"].as_str().is_some_and(|reason| reason.contains(expected)), "{name}: {said}");
        assert_eq!(said["exports"].is_array(), said["imports"].is_array(), "{name}: {said}");
    }
    let ended = stockade(&["run", "missing-describe.wasm", "--listen", "127.0.0.1:0"], dir).await;
    assert_eq!((ended.code, &*ended.out), (Some(1), ""));
    assert!(ended.err.contains("missing-describe cannot be served: not an agent"), "{}", ended.err);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    std::fs::create_dir_all(dir.join("empty")).expect("writable");
    let hello = component("hello").expect("built").display().to_string();
    for (arguments, code, expected) in [
        (&["inspect", "none.wasm"][..], 1, "cannot read none.wasm"),
        (&["inspect", "empty"], 1, "is not a file"),
        (&["inspect", "/dev/null"], 1, "is not a file"),
        (&["build", "empty"], 1, "`stockade new NAME` makes one"),
        (&["build", "none"], 1, "no agent in none"),
        (&["run", "empty"], 1, "`stockade new NAME` makes one"),
        (&["run", "none.wasm"], 1, "cannot read none.wasm"),
        (&["run", &hello, "--dir", "docs"], 2, "a grant is GUEST=HOST"),
        (&["run", &hello, "--dir", "/docs=none"], 2, "the directory `none` cannot be found"),
        (&["run", &hello, "--dir", "docs=."], 2, "is not absolute"),
        (&["run", &hello, "--listen", "0.0.0.0:0"], 2, "tokens"),
        (&["run", &hello, "--memory", "lots"], 2, "a size is a number of bytes"),
        (&["run", &hello, "--memory", "64K", "--listen", "127.0.0.1:0"], 2, "reserve"),
    ] {
        let ended = stockade(arguments, dir).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_runs_with_a_directory_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    std::fs::create_dir(dir.join("docs")).expect("writable");
    std::fs::write(dir.join("docs/inside.txt"), "inside").expect("writable");
    let files = component("files").expect("built").display().to_string();
    let process = run(&files, &["--dir", "/docs=docs"], dir).await.expect("it serves");
    let client = Client::new(address(process.url()), "/mcp/files");
    let read = client.read("file:///docs/inside.txt").await;
    assert_eq!(read.result()["contents"][0]["text"], "inside", "{}", read.body);
    interrupt(process).await;
    assert_eq!(left_in(dir), 0, "nothing is kept");
}

#[tokio::test]
async fn an_inspection_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let Source::Made(make) = case("compile-bomb-time").source else { panic!("it is made") };
    std::fs::write(dir.join("bomb.wasm"), make()).expect("writable");
    let mut inspect = command(stockade_binary().expect("built"), dir);
    inspect.args(["inspect", "bomb.wasm"]).env("TMPDIR", temporary(dir)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = inspect.spawn().expect("it runs");
    assert!(stockade_tests::eventually(|| left_in(dir) == 1), "it begins");
    let pid = child.id().expect("it runs").to_string();
    Command::new("kill").args(["-s", "INT", &pid]).status().await.expect("kill runs");
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("in time");
    assert_eq!((ended.expect("a status").code(), left_in(dir)), (Some(1), 0));
}
