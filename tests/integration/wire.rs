//! What no client of good will sends, byte by byte: each is refused for what it is, its connection ends or goes on as
//! it should, and the host answers the next one with nothing left in its books.

use std::time::{Duration, Instant};

use stockade_tests::TestHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Waits short enough to be met on purpose; a connection that is kept alive ends after the first, too.
const MANIFEST: &str = "http: { header_wait: 500ms, body_wait: 500ms, headers: 10000, depth: 32, elements: 1000 }\n\
                        agents: { hello: { component: '{agents}/hello.wasm' } }";

/// Between two bytes of a client that takes its time.
const DRIP: Duration = Duration::from_millis(100);

/// What a wait of the host's may take altogether.
const PATIENCE: Duration = Duration::from_secs(20);

/// Saves a test the wait for another request.
const CLOSE: &str = "connection: close\r\n";

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Every path where MCP, or what MCP serves, is asked for.
const PATHS: [&str; 4] = ["/mcp", "/mcp/hello", "/mcp/nobody", "/agents/hello/resources?uri=x"];

/// Sends these bytes, then one byte of `drip` after the other; all that came until the host closed the connection.
async fn all(host: &TestHost, bytes: &[u8], drip: &'static [u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(host.address).await.expect("the host accepts").into_split();
    // The host may have closed before all was sent.
    let _ = writer.write_all(bytes).await;
    let dripping = tokio::spawn(async move {
        for byte in drip {
            tokio::time::sleep(DRIP).await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        writer
    });
    let mut came = Vec::new();
    let read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut came)).await;
    assert!(read.is_ok(), "the host keeps a connection for more than {PATIENCE:?}");
    dripping.abort();
    String::from_utf8_lossy(&came).into_owned()
}

/// The status of each reply.
fn statuses(came: &str) -> Vec<u16> {
    let status = |part: &str| part.get(..3).and_then(|status| status.parse().ok());
    came.split("HTTP/1.1 ").skip(1).filter_map(status).collect()
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

async fn said(host: &TestHost, body: &str) -> String {
    all(host, post("/mcp", &format!("host: localhost\r\n{CLOSE}"), body).as_bytes(), b"").await
}

/// The host answers as if nothing had been.
async fn assert_unharmed(host: &TestHost, after: &str) {
    let answer = said(host, PING).await;
    assert!(answer.ends_with(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), "after {after}: {answer}");
    host.assert_baseline();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_time_is_given_up() {
    let host = TestHost::start(MANIFEST);
    let began = Instant::now();
    let head = all(&host, b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: ", &[b'y'; 200]).await;
    assert!(matches!(statuses(&head)[..], [] | [408]), "{head}");
    assert!(began.elapsed() < PATIENCE, "the wait is for all of the head, not for its next byte");
    assert_unharmed(&host, "a slow head").await;

    let half =
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n{";
    let body = all(&host, half.as_bytes(), &[b' '; 199]).await;
    assert_eq!(statuses(&body), [408], "{body}");
    assert!(body.contains("`http.body_wait` of 500 ms"), "{body}");
    assert_unharmed(&host, "a slow body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn structure_is_bounded_before_it_is_built() {
    let host = TestHost::start(MANIFEST);
    let many = |piece: &str| piece.repeat(1_000_000);
    let envelope = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping"{rest}}}"#);
    let long = "x".repeat(100_000);
    for (what, body, code) in [
        ("a depth bomb", envelope(&format!(r#","params":{{"a":{}"#, many("["))), -32600),
        ("a bomb of objects", format!("{}1", r#"{"a":"#.repeat(300_000)), -32600),
        ("a giant array", envelope(&format!(r#","params":{{"a":[{}1]}}"#, many("1,"))), -32600),
        ("many members", envelope(&format!(r#","params":{{{}"b":1}}"#, r#""a":1,"#.repeat(9_000))), -32600),
        ("a key twice", r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#.into(), -32600),
        ("an id twice", envelope(r#","id":2"#), -32600),
        ("a parameter twice", call(r#""name":"hello__greet","name":"x""#), -32602),
        ("`_meta` twice", call(r#""name":"hello__greet","_meta":{},"_meta":{}"#), -32602),
        ("a giant id", format!(r#"{{"jsonrpc":"2.0","id":"{long}","method":"ping"}}"#), -32600),
        ("a giant number as id", format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(5_000)), -32600),
        ("a giant method", format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{long}"}}"#), -32601),
        ("a giant string alone", format!("\"{}\"", many("\u{7f}")), -32600),
        (
            "a giant string as arguments",
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"prompts/get\",\"params\":\"{}\"}}", many("\u{7f}")),
            -32602,
        ),
        ("a NUL", "{\"jsonrpc\":\"2.0\",\"id\":1,\0\"method\":\"ping\"}".into(), -32700),
        ("a NUL in a string", "{\"jsonrpc\":\"2.0\",\"id\":\"\0\",\"method\":\"ping\"}".into(), -32700),
        ("nothing", String::new(), -32700),
    ] {
        let answer = said(&host, &body).await;
        assert!(answer.contains(&format!(r#""error":{{"code":{code},"#)), "{what}: {answer}");
        assert!(answer.len() < 2_000, "{what}: a long answer of {} bytes", answer.len());
        assert_unharmed(&host, what).await;
    }
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_and_names_come_nowhere() {
    let host = TestHost::start(MANIFEST);
    for path in PATHS {
        for headers in [
            "host: localhost\r\norigin: https://evil.example.com\r\n",
            "host: localhost\r\norigin: null\r\n",
            "host: localhost\r\norigin: http://localhost.evil.example.com\r\n",
            "host: localhost\r\norigin: http://localhost\r\norigin: https://evil.example.com\r\n",
            "host: evil.example.com\r\n",
            "host: localhost:80@evil.example.com\r\n",
            "host: \r\n",
            "",
            "host: localhost\r\nhost: evil.example.com\r\n",
            "host: localhost\r\nhost: localhost\r\n",
        ] {
            let headers = &format!("{headers}{CLOSE}");
            let answer = all(&host, post(path, headers, PING).as_bytes(), b"").await;
            // What takes no POST cannot be reached either.
            assert!(matches!(statuses(&answer)[..], [400 | 403 | 405]), "{path} {headers:?}: {answer}");
            assert!(!answer.contains("\"result\"") && !answer.contains("access-control-allow"), "{path}: {answer}");
            for method in ["GET", "DELETE", "OPTIONS"] {
                let text = format!("{method} {path} HTTP/1.1\r\n{headers}accept: text/event-stream\r\n\r\n");
                let answer = all(&host, text.as_bytes(), b"").await;
                // What a path takes from nobody it takes from no page.
                let taken_by_nobody = answer.contains("\r\nallow: GET, HEAD, OPTIONS\r\n");
                let refused = taken_by_nobody || matches!(statuses(&answer)[..], [400 | 403]);
                assert!(refused, "{method} {path} {headers:?}: {answer}");
            }
        }
    }
    let absolute = post("http://evil.example.com/mcp", "host: localhost\r\n", PING);
    assert_eq!(statuses(&all(&host, absolute.as_bytes(), b"").await), [403]);
    assert_unharmed(&host, "foreign requests").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_end() {
    let host = TestHost::start(MANIFEST);
    // Ends early or late for whoever believes the other header; the rest would be a request of its own.
    let hidden = "GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let length = PING.len();
    let chunked = format!("{length:x}\r\n{PING}\r\n0\r\n\r\n{hidden}");
    for (what, headers, body) in [
        ("two lengths", format!("content-length: {length}\r\ncontent-length: 0\r\n"), format!("{PING}{hidden}")),
        ("two lengths in one", format!("content-length: {length}, 0\r\n"), format!("{PING}{hidden}")),
        ("a signed length", format!("content-length: +{length}\r\n"), format!("{PING}{hidden}")),
        ("a length beyond all", "content-length: 99999999999999999999\r\n".into(), PING.into()),
        ("chunks that are not last", "transfer-encoding: chunked, identity\r\n".into(), chunked.clone()),
        ("an unknown coding", "transfer-encoding: xchunked\r\n".into(), chunked.clone()),
        ("a space before the colon", "transfer-encoding : chunked\r\n".into(), chunked.clone()),
        ("a folded header", "transfer-encoding:\r\n chunked\r\n".into(), chunked.clone()),
        ("both, chunks first", format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"), chunked.clone()),
        ("both, the length first", "content-length: 3\r\ntransfer-encoding: chunked\r\n".into(), chunked.clone()),
        ("no chunk size", "transfer-encoding: chunked\r\n".into(), format!("\r\n{PING}\r\n0\r\n\r\n{hidden}")),
        ("a signed chunk size", "transfer-encoding: chunked\r\n".into(), format!("+{chunked}")),
        ("a chunk beyond all", "transfer-encoding: chunked\r\n".into(), format!("fffffffffffffffff\r\n{PING}")),
        ("a long chunk extension", "transfer-encoding: chunked\r\n".into(), format!("1;{}", "x".repeat(100_000))),
    ] {
        let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let answer = all(&host, format!("{head}{headers}\r\n{body}").as_bytes(), b"").await;
        let statuses = statuses(&answer);
        // Chunks go before a length, and nothing after them is believed: RFC 9112, section 6.1.
        let expected = if what.starts_with("both") { 200 } else { 400 };
        assert_eq!(statuses, [expected], "{what}: {answer}");
        assert_unharmed(&host, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_ends_its_connection() {
    let host = TestHost::start(MANIFEST);
    let long = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(10_000));
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (what, bytes, expected) in [
        ("a head that is too long", long.as_bytes(), &[431][..]),
        ("headers that are too many", many.as_bytes(), &[431][..]),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &[]),
        ("a NUL in the path", b"GET /mcp\0 HTTP/1.1\r\nhost: localhost\r\n\r\n", &[400]),
        ("a NUL in a header", b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n", &[400]),
        ("nothing but NUL", &[0; 512], &[400]),
        ("a TLS hello", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", &[400]),
        ("no version", b"GET /livez\r\n\r\n", &[400]),
    ] {
        let answer = all(&host, bytes, b"").await;
        let statuses = statuses(&answer);
        assert_eq!(statuses, expected, "{what}: {answer}");
        assert_unharmed(&host, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_go_are_answered_in_turn() {
    let host = TestHost::start(MANIFEST);
    let request =
        |id: u32| post("/mcp", "host: localhost\r\n", &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
    let answer = all(&host, (1..=20).map(request).collect::<String>().as_bytes(), b"").await;
    let ids: Vec<usize> = (1..=20).filter_map(|id| answer.find(&format!(r#""id":{id},"#))).collect();
    assert!(ids.len() == 20 && ids.is_sorted(), "{answer}");
    let refused = format!("{}{}", post("/mcp", "host: evil.example.com\r\n", PING), request(2));
    let answer = all(&host, refused.as_bytes(), b"").await;
    assert_eq!(statuses(&answer), [403], "what follows a refusal is not read: {answer}");
    assert_unharmed(&host, "many at once").await;
}
