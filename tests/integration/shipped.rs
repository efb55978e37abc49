//! The agents we ship, as the shipped manifest serves them, and what they must not give away.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use stockade_tests::{Client, Setup, TestHost};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// A host on the shipped manifest, with ports and data of its own.
fn shipped() -> TestHost {
    Setup::default().start_file(&root().join("manifest.yaml"))
}

async fn uris(client: &Client) -> Vec<String> {
    let list = client.list("resources/list", None).await;
    let resources = list.result()["resources"].as_array().expect("a list").clone();
    resources.iter().map(|resource| resource["uri"].as_str().expect("a URI").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_lists_reads_and_searches() {
    let host = shipped();
    let client = host.agent("files");
    let uris = uris(&client).await;
    let folder = root().join("plugins/files/sample");
    for (uri, name) in
        [("file:///docs/welcome.md", "welcome.md"), ("file:///docs/Schlie%C3%9Fzeiten.txt", "Schließzeiten.txt")]
    {
        assert!(uris.contains(&uri.to_owned()), "{uris:?}");
        let read = client.read(uri).await;
        let on_disk = std::fs::read_to_string(folder.join(name)).expect("a sample");
        assert_eq!(read.result()["contents"][0]["text"], on_disk);
    }
    let picture = client.read("file:///docs/stamp.png").await;
    let content = &picture.result()["contents"][0];
    let bytes = BASE64_STANDARD.decode(content["blob"].as_str().expect("a blob")).expect("base64");
    assert_eq!(
        (&content["mimeType"], bytes),
        (&json!("image/png"), std::fs::read(folder.join("stamp.png")).expect("a sample"))
    );

    let found = client.call("search", json!({ "name": "*.md" })).await;
    let hits = found.result()["structuredContent"]["hits"].as_array().expect("hits").len();
    assert_eq!(hits, 2, "{}", found.body);
    let templates = client.list("resources/templates/list", None).await;
    assert_eq!(templates.result()["resourceTemplates"][0]["uriTemplate"], "file:///{+path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_gives_nothing_else_away() {
    let setup = Setup::default();
    setup.file("docs/inside.txt", b"inside");
    let secret = setup.file("secret.txt", b"secret");
    std::os::unix::fs::symlink(&secret, setup.dir.path().join("docs/link.txt")).expect("a link");
    std::os::unix::fs::symlink("/etc", setup.dir.path().join("docs/etc")).expect("a link");
    let host = setup.start("agents: { files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } } }");
    let client = host.agent("files");
    assert_eq!(client.read("file:///docs/inside.txt").await.result()["contents"][0]["text"], "inside");
    for uri in [
        "file:///docs/link.txt",
        "file:///docs/etc/passwd",
        "file:///docs/../secret.txt",
        "file:///docs/%2e%2e/secret.txt",
        "file:///docs/..%2fsecret.txt",
        "file:///secret.txt",
        "file:///etc/passwd",
        "file:///docs/inside.txt%00",
        "file://elsewhere/docs/inside.txt",
        "file:///docs",
        "https://example.org/",
        "",
    ] {
        let answer = client.read(uri).await;
        assert!(answer.code() != 0 && answer.status < 500, "{uri}: {} {}", answer.status, answer.body);
        assert!(!answer.body.to_string().contains("root:") && !answer.body.to_string().contains("\"secret\""), "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_read_whole() {
    let setup = Setup::default();
    let text: String = (0..100_000).map(|line| format!("line {line} größer\n")).collect();
    setup.file("docs/large.txt", text.as_bytes());
    let host = setup
        .start("agents: { files: { component: '{agents}/files.wasm', memory: 16M, dirs: { /docs: { path: docs } } } }");
    let read = host.agent("files").read("file:///docs/large.txt").await;
    assert_eq!(read.result()["contents"][0]["text"].as_str().map(str::len), Some(text.len()));
    assert_eq!(read.result()["contents"][0]["text"], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_describes_pages_and_queries() {
    let host = shipped();
    let client = host.agent("tables");
    let uris = uris(&client).await;
    let schema = uris.iter().find(|uri| uri.ends_with("cities.csv")).expect("a schema resource");
    let read = client.read(schema).await;
    let text = read.result()["contents"][0]["text"].as_str().expect("JSON text").to_owned();
    assert!(
        serde_json::from_str::<Value>(&text).is_ok_and(|schema| schema.to_string().contains("population")),
        "{text}"
    );
    let page = client.read(&format!("{schema}/rows?offset=1&limit=2")).await;
    let rows: Value = serde_json::from_str(page.result()["contents"][0]["text"].as_str().expect("JSON")).expect("JSON");
    assert!(rows.to_string().contains("Alderley") && !rows.to_string().contains("Alderfield"), "{rows}");

    let csv = std::fs::read_to_string(root().join("plugins/tables/sample/orders.csv")).expect("a sample");
    let open = csv.lines().filter(|line| line.contains(",open,")).count();
    let query = json!({
        "table": "orders", "group_by": ["status"],
        "aggregates": [{ "op": "count" }],
        "filter": [{ "column": "status", "op": "eq", "value": "open" }],
    });
    let answer = client.call("query", query).await;
    assert!(answer.text().contains(&open.to_string()), "{open} open orders: {}", answer.body);
    let wrong = client.call("query", json!({ "table": "no-such-table" })).await;
    assert_eq!(wrong.code(), -32602, "{}", wrong.body);
}
