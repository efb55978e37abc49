//! Large resources on their way through JSON: exactly their bytes, nothing left when a client goes, next to nothing held
//! while one stands still, and nothing that breaks off is taken for a whole.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Response;
use serde_json::{Value, json};
use stockade_tests::client::REVISION;
use stockade_tests::{Client, Events, Session, Setup, TestHost, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

/// Long enough for hundreds of chunks, with a rest that fills no group of base64 and no character's unit.
const BYTES: usize = 9_000_001;

/// Accounts that a read holds something of.
const HOLDERS: [&str; 5] = ["guests", "copies", "replies", "streams", "requests"];

/// How long a client waits for bytes that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time in which nothing may be left of a client that is gone: far more than it takes, for busy machines.
const GONE: Duration = Duration::from_secs(2);

/// What is held for a reader that stands still: two encoded chunks of 256 KiB, one of them partly sent.
const STANDING_BYTES_MAX: u64 = 704 << 10;

/// Bytes of `test://large/{size}`.
fn words(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at as u64 / 8).to_le_bytes()[at % 8]).collect()
}

/// Text of `test://large-text/{size}`: characters of every width, and such as JSON escapes.
fn characters(size: usize) -> String {
    let unit = "aé€😀\"\\\n";
    let whole = size / unit.len();
    unit.repeat(whole) + &".".repeat(size - whole * unit.len())
}

/// The one content of a read's reply, in whichever way it came.
async fn content(reply: Response, id: &Value) -> Value {
    let is_events = reply.headers()["content-type"] == "text/event-stream";
    assert!(reply.headers().get("content-length").is_none(), "it is sent while it is read: {reply:?}");
    let mut message = if is_events {
        let mut events = Events::of(reply);
        let message = events.message().await.expect("a reply");
        assert_eq!(events.message().await, None, "nothing follows");
        message
    } else {
        assert_eq!(reply.headers()["content-type"], "application/json");
        let text = reply.text().await.expect("it does not break off");
        let fresh = text.find("\"ttlMs\"").unwrap_or(0);
        assert!(fresh < text.find("\"contents\"").expect("there are contents"), "what caches want stands first");
        serde_json::from_str(&text).expect("it is JSON")
    };
    assert_eq!(&message["id"], id);
    let contents = message["result"]["contents"].as_array_mut().expect("contents");
    assert_eq!(contents.len(), 1);
    contents.remove(0)
}

/// The same resource in every way there is to ask for it with MCP.
async fn everyhow(client: &Client, session: &Session, uri: &str) -> [Value; 4] {
    let params = json!({ "uri": uri });
    let id = json!("the \"id\"");
    let events = client.clone().accepting("text/event-stream");
    let open = async |client: &Client| {
        let reply = client.open(id.clone(), "resources/read", params.clone()).await;
        content(reply.expect("an answer"), &id).await
    };
    let post = async |session: &Session| {
        let reply = session.post(&stockade_tests::legacy::request(id.clone(), "resources/read", params.clone())).await;
        content(reply.expect("an answer"), &id).await
    };
    [open(client).await, open(&events).await, post(session).await, post(&session.presented_by(&events)).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_arrive_as_they_are() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let session = Session::begin(&client).await;
    let (binary, text) = (words(BYTES), characters(BYTES));
    for content in everyhow(&client, &session, &format!("test://large/{BYTES}")).await {
        assert_eq!(content["mimeType"], "application/octet-stream");
        let blob = BASE64_STANDARD.decode(content["blob"].as_str().expect("a blob")).expect("base64");
        assert!(blob == binary, "{} bytes, not the ones that were read", blob.len());
    }
    for content in everyhow(&client, &session, &format!("test://large-text/{BYTES}")).await {
        let said = content["text"].as_str().expect("a text");
        assert!(said == text, "{} bytes, not the ones that were read", said.len());
    }
    let straddling = client.read("test://straddling-text").await;
    assert_eq!(straddling.result()["contents"][0]["text"], characters(13_000), "cut inside characters");
    assert!(host.peak("replies") < 4 << 20, "held at once: {}", host.peak("replies"));
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_arrive_as_they_are() {
    // All that JSON escapes, and some that it need not; without NUL a file is text.
    let unit: String =
        (1..0x20).chain([0x22, 0x5c, 0x7f, 0x85, 0x2028, 0xfeff, 0x10_ffff]).flat_map(char::from_u32).collect();
    let text = unit.repeat(40_000);
    let setup = Setup::default();
    setup.file("docs/controls.txt", text.as_bytes());
    let host = setup.start("agents: { files: { component: '{agents}/files.wasm', dirs: { /docs: { path: docs } } } }");
    let client = host.agent("files");
    let session = Session::begin(&client).await;
    for content in everyhow(&client, &session, "file:///docs/controls.txt").await {
        let said = content["text"].as_str().expect("a text");
        assert!(said == text, "{} bytes, not the ones of the file", said.len());
    }
    assert_eq!(session.end().await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_client_that_goes() {
    let host = TestHost::start(EVERYTHING);
    let uri = "test://large/1000000000";
    let session = Session::begin(&host.agent("everything")).await;
    for way in ["as JSON", "as an event", "in a session", "as plain bytes"] {
        let client = host.agent("everything");
        let params = json!({ "uri": uri });
        let mut reply = match way {
            "as JSON" => client.open(json!(1), "resources/read", params).await,
            "as an event" => client.accepting("text/event-stream").open(json!(1), "resources/read", params).await,
            "in a session" => session.post(&stockade_tests::legacy::request(1, "resources/read", params)).await,
            _ => reqwest::get(host.url(&format!("/agents/everything/resources?uri={uri}"))).await,
        }
        .expect("an answer");
        let mut read = 0;
        while read < 4 << 20 {
            read += reply.chunk().await.expect("it goes on").expect("it does not end").len();
        }
        assert!(HOLDERS.iter().any(|account| host.used(account) > 0), "{way}: it is under way");
        let gone = Instant::now();
        drop(reply);
        let held = || HOLDERS.map(|account| host.used(account));
        assert!(eventually(|| held() == [0; 5]), "{way}: {HOLDERS:?} hold {:?}", held());
        let took = gone.elapsed();
        println!("{way}: all given back {took:?} after the client closed");
        assert!(took < GONE, "{way}: {took:?}");
    }
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

/// A request for a resource, as bytes: by MCP, or for its plain bytes.
fn ask(version: &str, agent: &str, uri: &str, is_plain: bool) -> String {
    if is_plain {
        return format!("GET /agents/{agent}/resources?uri={uri} {version}\r\nhost: localhost\r\n\r\n");
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "uri": uri, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params }).to_string();
    format!(
        "POST /mcp/{agent} {version}\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         mcp-protocol-version: {REVISION}\r\nmcp-method: resources/read\r\nmcp-name: {uri}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks, and takes no more of the reply than that it begins.
async fn stalled(host: &TestHost, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(host.address).await.expect("the host accepts");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut first = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut first)).await.expect("it begins").expect("it does not break off");
    assert!(first.ends_with(b" 200"), "{}", String::from_utf8_lossy(&first));
    stream
}

/// All that still comes, and how it ends.
async fn drained(mut stream: TcpStream) -> (Vec<u8>, std::io::Result<usize>) {
    let mut came = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut came)).await.expect("it ends");
    (came, end)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stand_still_hold_no_instance() {
    const READERS: usize = 32;
    const SIZE: usize = 48 << 20;
    let host = TestHost::start(EVERYTHING);
    let request = ask("HTTP/1.1", "everything", &format!("test://large/{SIZE}"), false);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(stalled(&host, &request).await);
    }
    assert!(eventually(|| host.used("guests") == 0 && host.used("copies") == 0), "no instance is kept");
    let [replies, streams, requests] = ["replies", "streams", "requests"].map(|account| host.used(account));
    println!("{READERS} readers that stand still: replies {replies}, streams {streams}, requests {requests}");
    assert!(replies > 0 && replies <= READERS as u64 * STANDING_BYTES_MAX, "{} for each", replies / READERS as u64);
    assert_eq!(host.agent("everything").call("echo", json!({})).await.status, 200, "others are served");

    let (came, end) = drained_chunked(readers.pop().expect("one of them"), SIZE).await;
    assert!(end, "one that goes on reading gets it whole, after {came} bytes");
    drop(readers);
    host.assert_nothing_remains().await;
}

/// Reads to the last chunk of a reply of base64; bytes that came, and whether they are all.
async fn drained_chunked(mut stream: TcpStream, size: usize) -> (usize, bool) {
    let (mut came, mut last) = (0, Vec::new());
    let mut buffer = vec![0; 1 << 20];
    while !last.ends_with(b"\r\n0\r\n\r\n") {
        let read =
            timeout(PATIENCE, stream.read(&mut buffer)).await.expect("it goes on").expect("it does not break off");
        if read == 0 {
            return (came, false);
        }
        came += read;
        last.extend_from_slice(&buffer[..read]);
        last.drain(..last.len().saturating_sub(16));
    }
    (came, came > size.div_ceil(3) * 4)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_for_too_long_is_left() {
    let host = TestHost::start(&format!("http: {{ stream_stall: 500ms }}\n{EVERYTHING}"));
    for is_plain in [false, true] {
        let request = ask("HTTP/1.1", "everything", "test://large/100000000", is_plain);
        let began = Instant::now();
        let reader = stalled(&host, &request).await;
        assert!(eventually(|| HOLDERS.iter().all(|account| host.used(account) == 0)), "it is left");
        assert!(began.elapsed() >= Duration::from_millis(500), "left after {:?}", began.elapsed());
        host.assert_baseline();
        let (came, _) = drained(reader).await;
        assert!(!came.ends_with(b"0\r\n\r\n") && came.len() < 100_000_000, "{} bytes are not the whole", came.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_seen_to_break_off() {
    let host = TestHost::start("agents: { guests: { component: '{agents}/guests.wasm' } }");
    let (client, token) = (host.agent("guests"), host.operator_token());
    for name in ["late-failure", "late-panic", "late-bad-utf8"] {
        let uri = format!("hostile:///{name}");
        let error = client.try_read(&uri).await.expect_err("the reply breaks off");
        assert!(error.is_body() || error.is_decode(), "{name}: {error:?}");
        let mut events =
            client.clone().accepting("text/event-stream").events(1, "resources/read", json!({ "uri": uri })).await;
        events.try_piece().await.expect_err("the stream breaks off inside its event");

        // Plain bytes are not looked at: what is no text there is none of the host's business.
        let plain: &[bool] = if name == "late-bad-utf8" { &[] } else { &[true] };
        for is_plain in plain.iter().chain(&[false]) {
            let newer = stalled(&host, &ask("HTTP/1.1", "guests", &uri, *is_plain)).await;
            let (came, _) = drained(newer).await;
            assert!(!came.ends_with(b"0\r\n\r\n"), "{name}: the last chunk says that it is whole");
            let older = ask("HTTP/1.0", "guests", &uri, *is_plain);
            // Only proxies speak it today, so nobody does without a token.
            let older = older.replacen("\r\n", &format!("\r\nauthorization: Bearer {token}\r\n"), 1);
            let older = stalled(&host, &older).await;
            let (came, end) = drained(older).await;
            let reset = end.map_err(|error| error.kind());
            assert_eq!(reset, Err(std::io::ErrorKind::ConnectionReset), "{name}: {} bytes, then", came.len());
        }
        // A good call in between: five bad ones in a row would put the agent to rest.
        assert_eq!(client.call("ok", json!({})).await.text(), "well");
    }
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_stay_as_large_as_the_agents_copies_allow() {
    // Fast readers get chunks of 512 KiB: with their heads that is more than this agent's results may have.
    let host = TestHost::start("agents: { everything: { component: '{agents}/everything.wasm', copies: 512K } }");
    let size = 24 << 20;
    let url = host.url(&format!("/agents/everything/resources?uri=test://large/{size}"));
    let read = reqwest::get(url).await.expect("an answer").bytes().await.expect("all of it");
    assert_eq!(read.len(), size);
}
