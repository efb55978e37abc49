//! What no publisher of good will pushes: each is refused by name, and nothing of it stays, neither on disk nor in the books.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use stockade_tests::TestHost;
use stockade_tests::oci::{IMAGE, Registry, digest, image};
use stockade_tests::process::Process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest time any of this may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until nothing of any upload is left, then counts the blobs that are kept.
fn kept(host: &TestHost) -> usize {
    let files = |below: &str| std::fs::read_dir(host.data().join("oci").join(below)).expect("readable").count();
    let is_clean = || (files("uploads"), host.used("uploads")) == (0, 0);
    assert!(stockade_tests::eventually(is_clean), "{} files, {} bytes", files("uploads"), host.used("uploads"));
    files("blobs/sha256") + files("blobs/sha512")
}

/// Sends bytes and then this chunk again and again, until the host answers or closes; what it said.
async fn pour(host: &TestHost, head: &str, chunk: &[u8], times: usize) -> String {
    let (mut reader, mut writer) = TcpStream::connect(host.address).await.expect("the host accepts").into_split();
    let token = BASE64_STANDARD.encode(format!("x:{}", host.operator_token()));
    let head = format!("{head}host: localhost\r\nauthorization: Basic {token}\r\n\r\n");
    let chunk = chunk.to_owned();
    let pouring = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await?;
        for _ in 0..times {
            writer.write_all(&chunk).await?;
        }
        std::io::Result::Ok(writer)
    });
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, async {
        let mut piece = [0; 4096];
        // A reset says as much as an end.
        while let Ok(count @ 1..) = reader.read(&mut piece).await {
            said.extend_from_slice(&piece[..count]);
        }
    });
    assert!(read.await.is_ok(), "the host neither answers nor ends: {}", String::from_utf8_lossy(&said));
    pouring.abort();
    String::from_utf8_lossy(&said).into_owned()
}

/// The head of a request with a chunked body.
fn chunked(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\ntransfer-encoding: chunked\r\n")
}

fn chunk(bytes: usize) -> Vec<u8> {
    [format!("{bytes:x}\r\n").as_bytes(), &vec![b'x'; bytes], b"\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_megabytes_up_and_down() {
    let host = TestHost::start("agents: {}");
    let registry = Registry::new(&host);
    let bytes: Vec<u8> = (0..10_000_000u32).flat_map(u32::to_le_bytes).collect();
    let digest = registry.push("team/one", &bytes).await;
    let got = registry.get(&format!("/v2/team/one/blobs/{digest}")).await;
    assert!(got.status == 200 && got.body == bytes);
    assert!(host.peak("uploads") <= 1 << 20, "never as a whole: {}", host.peak("uploads"));
    assert!(host.peak("replies") <= 1 << 20, "never as a whole: {}", host.peak("replies"));
    assert_eq!(kept(&host), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_ends_the_upload() {
    let host = TestHost::start("agents: {}");
    let registry = Registry::new(&host);
    for algorithm in ["sha256", "sha512"] {
        let digits = if algorithm == "sha256" { 64 } else { 128 };
        let wrong = format!("{algorithm}:{}", "0".repeat(digits));
        let location = registry.begin("team/one").await;
        let put = registry.put(&format!("{location}?digest={wrong}"), "bytes").await;
        assert_eq!(put.refusal(), (400, "DIGEST_INVALID".into()));
        assert_eq!(registry.get(&location).await.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
        let post = registry.post(&format!("/v2/team/one/blobs/uploads/?digest={wrong}"), "bytes").await;
        assert_eq!(post.refusal(), (400, "DIGEST_INVALID".into()));
    }
    let location = registry.begin("team/one").await;
    for wrong in ["", "?digest=", "?digest=sha256:0", "?digest=md5:0", "?digest=../../etc/passwd"] {
        assert_eq!(
            registry.put(&format!("{location}{wrong}"), "bytes").await.refusal(),
            (400, "DIGEST_INVALID".into())
        );
    }
    registry.delete(&location).await;
    assert_eq!(kept(&host), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn games_with_names() {
    let host = TestHost::start("agents: {}");
    let long = "a".repeat(256);
    for (name, code) in [
        ("..", "400"),
        ("a/..", "400"),
        ("../../etc", "400"),
        ("%2e%2e", "400"),
        ("a/%2e%2e/b", "400"),
        ("a//b", "400"),
        ("/a", "400"),
        ("A", "400"),
        ("a%2fb", "400"),
        ("a%00b", "400"),
        (long.as_str(), "400"),
    ] {
        let head = format!("POST /v2/{name}/blobs/uploads/ HTTP/1.1\r\ncontent-length: 0\r\n");
        let said = pour(&host, &head, b"", 0).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {code}")) && said.contains("NAME_INVALID"), "{name}: {said}");
        assert!(said.contains("connection: close"), "{said}");
    }
    let registry = Registry::new(&host);
    for tag in [".a", "-a", "a%2fb", "a%2eb", "a+b", &"a".repeat(129)] {
        let put = registry.put_manifest("team/one", tag, IMAGE, &image(b"{}", &[])).await;
        assert_eq!(put.refusal(), (400, "MANIFEST_INVALID".into()), "{tag}");
    }
    assert_eq!(kept(&host), 0);
    let mut names: Vec<_> = std::fs::read_dir(host.data().join("oci"))
        .expect("readable")
        .map(|it| it.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["blobs", "index.redb", "uploads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_breaks_off_or_stalls() {
    let host =
        TestHost::start("http: { stream_stall: 300ms }\nuploads: { blob_bytes_max: 1M, idle: 500ms }\nagents: {}");
    let registry = Registry::new(&host);
    let post = format!("/v2/team/one/blobs/uploads/?digest={}", digest(b"x"));
    let said = pour(&host, &chunked("POST", &post), &chunk(64 << 10), 100_000).await;
    assert!(said.contains("413") && said.contains("uploads.blob_bytes_max"), "{said}");
    let said = pour(&host, &format!("POST {post} HTTP/1.1\r\ncontent-length: 2000000\r\n"), b"", 0).await;
    assert!(
        said.contains("413") && said.contains("`uploads.blob_bytes_max` of 1048576 bytes: 0 used, 2000000 wanted"),
        "{said}"
    );
    assert_eq!(kept(&host), 0);

    let location = registry.begin("team/one").await;
    let said = pour(&host, &chunked("PATCH", &location), &chunk(1000), 1).await;
    assert!(said.contains("408") && said.contains("`http.stream_stall` of 300 ms"), "{said}");
    assert_eq!(registry.get(&location).await.status, 404);
    let location = registry.begin("team/one").await;
    let said =
        pour(&host, &format!("PUT {location}?digest={} HTTP/1.1\r\ncontent-length: 10\r\n", digest(b"x")), b"x", 1)
            .await;
    assert!(said.contains("408"), "{said}");

    // Who has lost the connection may go on, until nobody does.
    let location = registry.begin("team/one").await;
    let mut stream = TcpStream::connect(host.address).await.expect("the host accepts");
    let token = BASE64_STANDARD.encode(format!("x:{}", host.operator_token()));
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {token}\r\ncontent-length: 10\r\n\r\nabc"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    drop(stream);
    let resumed = registry.get(&location).await;
    assert!(resumed.status == 204 && matches!(resumed.header("range"), "0-0" | "0-2"), "{resumed:?}");
    assert_eq!(kept(&host), 0);
    assert_eq!(registry.get(&location).await.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_uploads_are_bounded_and_abandoned_ones_removed() {
    let host = TestHost::start("uploads: { idle: 2s }\nagents: {}");
    let registry = Registry::new(&host);
    let mut locations = Vec::new();
    for _ in 0..64 {
        let location = registry.begin("team/one").await;
        registry.patch(&location, None, b"tiny").await;
        locations.push(location);
    }
    let one_more = registry.post("/v2/team/one/blobs/uploads/", "").await;
    assert_eq!(one_more.limit(), (429, "TOOMANYREQUESTS".into(), "uploads.open".into()));
    assert_eq!(one_more.header("retry-after"), "1");
    assert!(host.used("uploads") < 256 << 10, "{}", host.used("uploads"));
    assert_eq!(kept(&host), 0, "nobody has gone on with any");
    assert_eq!(registry.get(&locations[0]).await.status, 404);
    assert_eq!(registry.begin("team/one").await.split('/').count(), 7);
    assert_eq!(kept(&host), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_tiny_uploads_leave_nothing_and_room_for_others() {
    let figures = super::load::load("uploads count=10000 clients=16").await;
    assert_eq!(figures["answered otherwise"], 0.0, "{figures}");
    assert!(figures["refused by the name of a limit"].as_f64() > Some(0.0), "{figures}");
    assert_eq!(figures["files of uploads left"], 0.0, "{figures}");
    assert_eq!(figures["lent in the end"], 0.0, "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_say_what_is_full() {
    let host = TestHost::start(
        "uploads: { namespace_disk: 1M, disk: 3M, repositories: 4, tags: 2, manifests: 2 }\nagents: {}",
    );
    let registry = Registry::new(&host);
    let push = async |repository: &str, filled: u8, bytes: usize| {
        let bytes = vec![filled; bytes];
        registry.post(&format!("/v2/{repository}/blobs/uploads/?digest={}", digest(&bytes)), bytes).await
    };
    assert_eq!(push("team/one", 1, 900_000).await.status, 201);
    let full = push("team/two", 2, 900_000).await;
    assert_eq!(full.limit(), (403, "DENIED".into(), "uploads.namespace_disk".into()));
    assert!(full.text().contains("of 1048576 bytes"), "{}", full.text());
    assert_eq!((push("other/one", 3, 900_000).await.status, push("more/one", 4, 900_000).await.status), (201, 201));
    let full = push("fourth/one", 5, 900_000).await;
    assert_eq!(full.limit(), (507, "DENIED".into(), "uploads.disk".into()));
    assert_eq!(push("fourth/one", 6, 1).await.status, 201);
    assert_eq!(push("fifth/one", 7, 1).await.limit(), (403, "DENIED".into(), "uploads.repositories".into()));
    assert_eq!(kept(&host), 4);

    registry.push("fourth/one", b"{}").await;
    let put = async |tag: &str, number: usize| {
        let mut manifest = image(b"{}", &[]);
        manifest["annotations"] = json!({ "number": number.to_string() });
        registry.put_manifest("fourth/one", tag, IMAGE, &manifest).await
    };
    assert_eq!((put("a", 1).await.status, put("b", 2).await.status), (201, 201));
    assert_eq!(put("c", 2).await.limit(), (403, "DENIED".into(), "uploads.tags".into()));
    assert_eq!(put("a", 3).await.limit(), (403, "DENIED".into(), "uploads.manifests".into()));
    assert_eq!((put("a", 2).await.status, kept(&host)), (201, 7), "a tag moves");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_are_none() {
    let host = TestHost::start("uploads: { manifest_bytes_max: 64K }\nagents: {}");
    let registry = Registry::new(&host);
    let put = async |kind: &str, body: String| {
        let headers = [("content-type", kind)];
        let put = registry.send(Method::PUT, "/v2/team/one/manifests/latest", &headers, body).await;
        put.expect("an answer")
    };
    let deep = format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let mut many = String::from(r#"{"schemaVersion":2,"layers":["#);
    for _ in 0..600 {
        write!(many, r#"{{"mediaType":"","digest":"","size":1}},"#).expect("a string takes it");
    }
    for (body, says) in [
        ("", "EOF"),
        ("no JSON", "expected"),
        ("[]", "invalid"),
        ("{}", "schemaVersion"),
        (&deep, "config"),
        (&many, "EOF"),
        (r#"{"schemaVersion":2}"#, "config"),
        ("\u{0}", "expected"),
        (r#"{"schemaVersion":"very long, and not to be repeated"}"#, "invalid type"),
    ] {
        let put = put(IMAGE, body.to_owned()).await;
        assert_eq!(put.refusal(), (400, "MANIFEST_INVALID".into()), "{says}");
        assert!(put.text().contains(says) && put.body.len() < 1000, "{says}: {}", put.text());
    }
    for kind in ["application/json", "", "text/html"] {
        let put = put(kind, image(b"{}", &[]).to_string()).await;
        assert_eq!(put.refusal(), (400, "MANIFEST_INVALID".into()), "{kind}");
    }
    let huge = put(IMAGE, " ".repeat(64 << 10) + "{}").await;
    assert_eq!(huge.limit(), (413, "SIZE_INVALID".into(), "uploads.manifest_bytes_max".into()));
    let endless =
        pour(&host, &(chunked("PUT", "/v2/team/one/manifests/latest") + "content-type: x\r\n"), &chunk(8192), 100_000)
            .await;
    assert!(endless.contains("413") && endless.contains("uploads.manifest_bytes_max"), "{endless}");
    assert_eq!(kept(&host), 0);
    let said: Value = registry.get("/v2/team/one/tags/list").await.json();
    assert_eq!(said["errors"][0]["code"], "NAME_UNKNOWN", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_there_after_a_crash_and_what_was_not_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (manifest, data) = (dir.path().join("manifest.yaml"), dir.path().join("data"));
    std::fs::write(&manifest, "memory: 256M\nagents: {}\n").expect("written");
    let start = async || {
        let host = Process::stockade(&manifest, &data).await.expect("it starts");
        host.ready().await.expect("it is ready");
        let token = std::fs::read_to_string(data.join("operator.token")).expect("a token");
        let registry = Registry::at(host.url()).with_token(token.trim());
        (host, registry)
    };
    let files = |below: &str| std::fs::read_dir(data.join("oci").join(below)).expect("readable").count();
    let (host, registry) = start().await;
    registry.push_image("team/one", "latest", b"layer").await;
    let location = registry.begin("team/one").await;
    registry.patch(&location, None, b"half").await;
    assert_eq!(files("uploads"), 1);
    // Killed, as nobody asked it to stop.
    drop(host);
    let (_host, registry) = start().await;
    assert_eq!((files("uploads"), files("blobs/sha256")), (0, 3));
    assert_eq!(registry.get("/v2/team/one/manifests/latest").await.status, 200);
    assert_eq!(registry.get(&format!("/v2/team/one/blobs/{}", digest(b"layer"))).await.body, b"layer");
    assert_eq!(registry.get(&location).await.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
}
