//! Who may call: tokens, callers without one, the operator's own token, and what an operator sees.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use stockade::access::Token;
use stockade_tests::process::{Process, component, stockade_binary};
use stockade_tests::{Client, TestHost};

/// A manifest's table of tokens.
pub fn tokens(named: &[(&str, &Token, &str)]) -> String {
    let line = |(name, token, role): &(&str, &Token, &str)| {
        let sha256: String = token.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("  {name}: {{ sha256: {sha256}, role: {role} }}\n")
    };
    format!("tokens:\n{}", named.iter().map(line).collect::<String>())
}

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

/// Who the agent is told is calling.
async fn principal(client: &Client) -> Value {
    client.call("whoami", json!({})).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_calls_and_a_wrong_one_is_refused() {
    let [ann, stranger] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let host = TestHost::start(&format!("{}{EVERYTHING}", tokens(&[("ann", &ann, "reader")])));
    let client = host.agent("everything");
    let as_ann = client.clone().with_token(ann.reveal());
    assert!(principal(&as_ann).await.to_string().contains("\"ann\""), "{}", principal(&as_ann).await);
    assert!(principal(&client).await.to_string().contains("\"anonymous\""), "on loopback nobody needs a token");

    let refused = client.clone().with_token(stranger.reveal()).call("whoami", json!({})).await;
    assert_eq!((refused.status, refused.headers["connection"] == "close"), (401, true), "{}", refused.body);
    assert_eq!(refused.headers["www-authenticate"], r#"Bearer realm="stockade", error="invalid_token""#);
    assert!(refused.body.get("id").is_none() && refused.message().contains("not known"), "{}", refused.body);
    assert!(!refused.body.to_string().contains(stranger.reveal()), "a token is not repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_comes_in_from_elsewhere() {
    let ann = Token::fresh().expect("random bytes");
    let host =
        TestHost::start(&format!("hosts: [mcp.example.org]\n{}{EVERYTHING}", tokens(&[("ann", &ann, "reader")])));
    let client = host.agent("everything");
    let bearer = format!("Bearer {}", ann.reveal());
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for elsewhere in [("host", "mcp.example.org"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")] {
        let headers = [("content-type", "application/json"), elsewhere];
        let refused = client.raw(&headers, ping.clone()).await.expect("an answer");
        assert_eq!(refused.status, 401, "{elsewhere:?}: {}", refused.body);
        assert_eq!(refused.headers["www-authenticate"], r#"Bearer realm="stockade""#);
        let headers = [headers[0], elsewhere, ("authorization", &bearer)];
        assert_eq!(client.raw(&headers, ping.clone()).await.expect("an answer").status, 200, "{elsewhere:?}");
    }
}

async fn status(host: &TestHost, token: Option<&str>) -> (u16, Value) {
    let mut request = reqwest::Client::new().get(format!("http://{}/status", host.admin));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let reply = request.send().await.expect("the host answers");
    let status = reply.status().as_u16();
    (status, serde_json::from_str(&reply.text().await.expect("a body")).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_sees_the_status() {
    let [ann, boss] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let known = tokens(&[("ann", &ann, "reader"), ("boss", &boss, "operator")]);
    let host = TestHost::start(&format!("{known}{EVERYTHING}"));
    host.agent("everything").call("echo", json!({ "text": "a" })).await;
    for (token, expected) in [(None, 401), (Some("wrong"), 401), (Some(ann.reveal()), 403)] {
        let (code, said) = status(&host, token).await;
        assert_eq!((code, said["jsonrpc"].as_str()), (expected, Some("2.0")), "{token:?}: {said}");
    }
    host.eventually_idle().await;
    for token in [boss.reveal(), &host.operator_token()] {
        let (code, said) = status(&host, Some(token)).await;
        let agent = &said["agents"][0];
        assert_eq!((code, &agent["name"], &agent["standing"]), (200, &json!("everything"), &json!("ready")), "{said}");
        let guests = &said["accounts"]["guests"];
        assert!(guests["peak"].as_u64() > Some(0) && guests["ceiling"].as_u64() > guests["peak"].as_u64(), "{said}");
        assert_eq!((&guests["refusals"], &said["inFlight"]), (&json!(0), &json!(0)), "{said}");
        assert!(agent["calls"].as_u64() > Some(0) && agent["memoryPeakBytes"].as_u64() > Some(0), "{said}");
    }
    assert_eq!(reqwest::get(host.url("/status")).await.expect("an answer").status(), 404, "not for clients");
}

async fn stockade(arguments: &[&str], dir: &Path) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(stockade_binary().expect("built"));
    let output = command.args(arguments).current_dir(dir).env_remove("PORT").stdin(Stdio::null()).output().await;
    let output = output.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_token_outlives_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let component = component("hello").expect("built").display().to_string();
    let manifest = dir.path().join("manifest.yaml");
    std::fs::write(&manifest, format!("agents: {{ hello: {{ component: '{component}' }} }}")).expect("a manifest");
    let (data, mut before) = (dir.path().join("data"), None);
    for _ in 0..2 {
        let host = Process::stockade(&manifest, &data).await.expect("it starts");
        host.ready().await.expect("the agents load");
        let file = data.join("operator.token");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&data)), (0o600, 0o700));
        let token = std::fs::read_to_string(&file).expect("readable");
        assert_eq!(before.get_or_insert(token.clone()), &token);

        let admin = host.admin().and_then(|admin| admin.strip_prefix("http://")).expect("an address").to_owned();
        let (code, table, errors) = stockade(&["status", "--admin", &admin], dir.path()).await;
        assert_eq!(code, Some(0), "{errors}");
        assert!(table.contains("hello") && table.contains("ready"), "{table}");
        let (_, said, _) = stockade(&["status", "--admin", &admin, "--json"], dir.path()).await;
        assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["agents"][0]["name"], "hello");
        let public = host.url().strip_prefix("http://").expect("an address");
        let (code, _, errors) = stockade(&["status", "--admin", public], dir.path()).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("perhaps clients") && errors.contains("--admin"), "{errors}");
        let log = host.log_tail().unwrap_or_default();
        assert!(!table.contains(token.trim()) && !log.contains(token.trim()), "a token is never shown");
    }
    let (code, _, errors) = stockade(&["status", "--admin", "127.0.0.1:1", "--data", "."], dir.path()).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("--data DIR") && errors.contains("`stockade serve` writes it"), "{errors}");
    let (code, token, lines) = stockade(&["token", "ann"], dir.path()).await;
    assert_eq!((code, token.len(), token.lines().count()), (Some(0), 48, 1), "{token}");
    assert!(lines.contains("ann: { sha256: ") && !lines.contains(token.trim()), "{lines}");
}

#[tokio::test]
async fn an_open_address_needs_tokens_and_hosts() {
    let dir = tempfile::tempdir().expect("a folder");
    let token = Token::fresh().expect("random bytes");
    let hosts = "hosts: [mcp.example.org]\n".to_owned();
    for (given, missing) in [
        (String::new(), "`hosts` and `tokens` are empty"),
        (hosts.clone(), "`tokens` is empty"),
        (tokens(&[("ann", &token, "reader")]), "`hosts` is empty"),
    ] {
        std::fs::write(dir.path().join("manifest.yaml"), format!("memory: 512M\n{given}")).expect("a manifest");
        for address in ["--listen", "--admin"] {
            let (code, _, errors) = stockade(&["serve", address, "0.0.0.0:0"], dir.path()).await;
            assert_eq!(code, Some(2), "{errors}");
            let expected = format!("{address} 0.0.0.0:0 can be reached from other machines, and {missing}");
            assert!(errors.contains(&expected), "{expected:?} is not in:\n{errors}");
        }
    }
}
