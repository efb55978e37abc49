//! Resources as plain bytes, at `/agents/{agent}/resources?uri=...`: for people and pipelines that want no JSON.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use stockade::access::Token;
use stockade_tests::{Setup, TestHost, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::access::tokens;

const FILES: &str = "agents:\n  files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } }\n  \
                     everything: { component: '{agents}/everything.wasm' }\n  guests: { component: '{agents}/guests.wasm' }\n  \
                     hello: { component: '{agents}/hello.wasm' }\n";

const TEXT: &str = "# Wärme\nzwölf Zeilen\n";

fn host() -> TestHost {
    let setup = Setup::default();
    setup.file("docs/a.md", TEXT.as_bytes());
    setup.start(FILES)
}

async fn ask(host: &TestHost, method: Method, rest: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = reqwest::Client::new().request(method, host.url(&format!("/agents/{rest}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the host answers")
}

async fn get(host: &TestHost, rest: &str, headers: &[(&str, &str)]) -> Response {
    ask(host, Method::GET, rest, headers).await
}

fn header<'a>(reply: &'a Response, name: &str) -> &'a str {
    reply.headers().get(name).map_or("", |value| value.to_str().expect("a text"))
}

/// Status, the named headers, and the body.
async fn shown<const N: usize>(reply: Response, names: [&str; N]) -> (u16, [String; N], String) {
    let (status, headers) = (reply.status().as_u16(), names.map(|name| header(&reply, name).to_owned()));
    (status, headers, reply.text().await.expect("a whole body"))
}

const A: &str = "files/resources?uri=file:///docs/a.md";

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_with_what_they_are() {
    let host = host();
    let reply = get(&host, A, &[]).await;
    for (name, value) in [
        ("content-type", "text/markdown; charset=utf-8"),
        ("content-length", "23"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(header(&reply, name), value, "{name}");
    }
    let policy = header(&reply, "content-security-policy");
    assert!(policy.starts_with("sandbox;") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("allow-"), "{policy}");
    let etag = header(&reply, "etag").to_owned();
    assert_eq!((reply.status().as_u16(), reply.text().await.expect("whole")), (200, TEXT.to_owned()));

    let head = ask(&host, Method::HEAD, A, &[]).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length"), header(&head, "etag")), (200, "23", &*etag));
    assert_eq!(head.bytes().await.expect("no body").len(), 0);

    let binary = get(&host, "everything/resources?uri=test://large/1000001", &[]).await;
    assert_eq!(
        (header(&binary, "content-type"), header(&binary, "content-length")),
        ("application/octet-stream", "1000001")
    );
    let bytes = binary.bytes().await.expect("whole");
    let right = (0..).zip(&bytes).all(|(at, byte): (u64, _)| *byte == (at / 8).to_le_bytes()[(at % 8) as usize]);
    assert!(bytes.len() == 1_000_001 && right, "{} bytes", bytes.len());
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_good_until_the_file_changes() {
    let setup = Setup::default();
    let path = setup.file("docs/a.md", TEXT.as_bytes());
    let host = setup.start(FILES);
    let tag = async || header(&get(&host, A, &[]).await, "etag").to_owned();
    let first = tag().await;
    assert!(first.starts_with('"') && first.len() > 10, "{first}");
    assert_eq!(tag().await, first);
    let others = format!("\"x\", W/{first}");
    for (condition, tag, status, body) in [
        ("if-none-match", &*first, 304, ""),
        ("if-none-match", &*others, 304, ""),
        ("if-none-match", "*", 304, ""),
        ("if-none-match", "\"x\"", 200, TEXT),
        ("if-match", &*first, 200, TEXT),
        ("if-match", "*", 200, TEXT),
        ("if-match", "\"x\"", 412, ""),
    ] {
        let reply = get(&host, A, &[(condition, tag)]).await;
        assert_eq!(shown(reply, ["etag"]).await, (status, [first.clone()], body.into()), "{condition}: {tag}");
    }
    std::fs::write(&path, "changed").expect("a file can be written");
    let second = tag().await;
    assert_ne!(first, second);
    assert_eq!(get(&host, A, &[("if-none-match", &first)]).await.status(), 200);
    assert_eq!(get(&host, A, &[("if-match", &first)]).await.status(), 412);
    let part = get(&host, A, &[("range", "bytes=0-1"), ("if-range", &second)]).await;
    assert_eq!(shown(part, []).await, (206, [], "ch".into()));
    let whole = get(&host, A, &[("range", "bytes=0-1"), ("if-range", &first)]).await;
    assert_eq!(shown(whole, []).await, (200, [], "changed".into()), "a part of something else is of no use");

    // Whose content is each caller's own has no version, and so no tag.
    let own = get(&host, "everything/resources?uri=test://whoami", &[("if-none-match", "\"x\"")]).await;
    assert_eq!((own.status().as_u16(), header(&own, "etag")), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_served_where_the_agent_can_seek() {
    let host = host();
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, "bytes 2-4/23", &TEXT.as_bytes()[2..5]),
        ("bytes=0-0", 206, "bytes 0-0/23", b"#"),
        ("bytes=20-", 206, "bytes 20-22/23", &TEXT.as_bytes()[20..]),
        ("bytes=20-99", 206, "bytes 20-22/23", &TEXT.as_bytes()[20..]),
        ("bytes=-3", 206, "bytes 20-22/23", &TEXT.as_bytes()[20..]),
        ("bytes=-99", 206, "bytes 0-22/23", TEXT.as_bytes()),
        ("bytes=23-", 416, "bytes */23", b""),
        ("bytes=-0", 416, "bytes */23", b""),
        ("bytes=0-1,3-4", 200, "", TEXT.as_bytes()),
        ("bytes=4-2", 200, "", TEXT.as_bytes()),
        ("lines=1-2", 200, "", TEXT.as_bytes()),
    ] {
        let reply = get(&host, A, &[("range", range)]).await;
        assert_eq!((reply.status().as_u16(), header(&reply, "content-range")), (status, content_range), "{range}");
        let length = header(&reply, "content-length").to_owned();
        let bytes = reply.bytes().await.expect("whole");
        assert_eq!((&bytes[..], length), (body, body.len().to_string()), "{range}");
    }
    let (from, to) = (700_000_003, 700_500_000);
    let range = format!("bytes={from}-{to}");
    let reply = get(&host, "everything/resources?uri=test://large/1000000000", &[("range", &range)]).await;
    assert_eq!(header(&reply, "content-range"), format!("bytes {from}-{to}/1000000000"));
    let bytes = reply.bytes().await.expect("whole");
    let right = (from..).zip(&bytes).all(|(at, byte): (u64, _)| *byte == (at / 8).to_le_bytes()[(at % 8) as usize]);
    assert!(bytes.len() as u64 == to - from + 1 && right, "{} bytes", bytes.len());

    let whole = get(&host, "guests/resources?uri=hostile:///ok", &[("range", "bytes=2-4")]).await;
    let seen = shown(whole, ["accept-ranges", "content-range", "etag"]).await;
    let text = "a piece of text\n".repeat(3);
    assert_eq!(seen, (200, ["none".into(), String::new(), String::new()], text), "it cannot seek, and says no version");
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_says_why() {
    let host = host();
    for (rest, status, code) in [
        ("nobody/resources?uri=a:b", 404, -32600),
        ("files/resources?uri=file:///docs/b.md", 404, -32602),
        ("files/resources?uri=file:///etc/passwd", 404, -32602),
        ("files/resources?uri=nonsense", 400, -32602),
        ("files/resources", 400, -32600),
        ("files/resources?url=file:///docs/a.md", 400, -32600),
        ("hello/resources?uri=a:b", 404, -32602),
        ("everything/resources?uri=test://personal", 409, -32021),
        ("guests/resources?uri=hostile:///no-head", 502, -32603),
        ("guests/resources?uri=hostile:///giant-size", 502, -32051),
    ] {
        let (seen, _, text) = shown(get(&host, rest, &[]).await, []).await;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!((seen, said["error"]["code"].as_i64()), (status, Some(code)), "{rest}: {text}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let refused = ask(&host, method, A, &[]).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET, HEAD, OPTIONS"));
    }
    let foreign = get(&host, A, &[("origin", "https://evil.example.com")]).await;
    assert_eq!(shown(foreign, ["access-control-allow-origin"]).await.0, 403);
    let page = get(&host, A, &[("origin", "http://localhost:3000")]).await;
    assert_eq!(header(&page, "access-control-allow-origin"), "http://localhost:3000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_needed_where_it_is_for_messages() {
    let ann = Token::fresh().expect("random bytes");
    let setup = Setup::default();
    setup.file("docs/a.md", TEXT.as_bytes());
    let known = tokens(&[("ann", &ann, "reader")]);
    let host = setup.start(&format!("hosts: [mcp.example.org]\n{known}{FILES}"));
    let bearer = format!("Bearer {}", ann.reveal());
    let (elsewhere, right) = (("host", "mcp.example.org"), ("authorization", &*bearer));
    for (headers, status) in [
        (&[][..], 200),
        (&[elsewhere][..], 401),
        (&[("x-forwarded-for", "10.0.0.1")][..], 401),
        (&[("authorization", "Bearer wrong")][..], 401),
        (&[elsewhere, right][..], 200),
    ] {
        let reply = get(&host, A, headers).await;
        assert_eq!(reply.status(), status, "{headers:?}");
        assert_eq!(header(&reply, "www-authenticate").is_empty(), status == 200, "{headers:?}");
    }
    let query = format!("{A}&token={}&access_token={}", ann.reveal(), ann.reveal());
    assert_eq!(get(&host, &query, &[elsewhere]).await.status(), 401, "a query ends up in logs");
    let who = get(&host, "everything/resources?uri=test://whoami", &[right]).await;
    let who: Value = serde_json::from_str(&who.text().await.expect("whole")).expect("JSON");
    assert_eq!(who["principal"], json!("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_unpacked_once() {
    let setup = Setup::default();
    for name in ["a b.txt", "a+b.txt", "a%20b.txt", "größe & maß.txt"] {
        setup.file(&format!("docs/{name}"), name.as_bytes());
    }
    let host = setup.start(FILES);
    for (query, name) in [
        ("file:///docs/a%2520b.txt", "a b.txt"),
        ("file%3A%2F%2F%2Fdocs%2Fa%2520b.txt", "a b.txt"),
        ("file:///docs/a%2Bb.txt", "a+b.txt"),
        ("file:///docs/a%252520b.txt", "a%20b.txt"),
        ("file:///docs/gr%25C3%25B6%25C3%259Fe%2520%2526%2520ma%25C3%259F.txt", "größe & maß.txt"),
    ] {
        let reply = get(&host, &format!("files/resources?x=1&uri={query}&y=2"), &[]).await;
        assert_eq!(shown(reply, []).await, (200, [], name.into()), "{query}");
    }
}

/// Some of it, and the end, stand in the kernel when the host is done.
const LONG_BYTES: usize = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_whole_is_not_taken_back() {
    let setup = Setup::default();
    setup.file("docs/long.bin", &[0; LONG_BYTES]);
    setup.file("docs/empty.bin", b"");
    let host = setup.start(FILES);
    for (name, length) in [("long.bin", LONG_BYTES), ("empty.bin", 0)] {
        let mut stream = TcpStream::connect(host.address).await.expect("the host accepts");
        let path = format!("/agents/files/resources?uri=file:///docs/{name}");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        stream.readable().await.expect("it begins");
        assert!(eventually(|| host.used("replies") == 0 && host.used("requests") == 0), "all was given to the kernel");
        let mut came = Vec::new();
        stream.read_to_end(&mut came).await.expect("an end, and no reset");
        let head = came.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        assert_eq!(came.len() - head, length, "{}", String::from_utf8_lossy(&came[..head]));
    }
    host.assert_nothing_remains().await;
}
