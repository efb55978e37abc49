//! Both listeners of a host without agents, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::{Settings, gate, serve};
use crate::Listeners;
use crate::agent::Agents;
use crate::manifest::{HttpLimits, Manifest};
use crate::mcp::tests::{Empty, LIMITS};
use crate::memory::{Accounts, Level, Reading, Thresholds};
use crate::publish::{Paying, Publishing};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

struct Host {
    public: SocketAddr,
    admin: SocketAddr,
    accounts: Accounts,
    agents: Agents,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
    _empty: Empty,
    _published: tempfile::TempDir,
}

/// What the process may use.
const MEMORY: u64 = 64 << 20;

impl Host {
    async fn start(limits: HttpLimits) -> Self {
        let empty = Empty::new();
        let listeners = Listeners {
            public: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            admin: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let (public, admin) = (listeners.public.local_addr().unwrap(), listeners.admin.local_addr().unwrap());
        let published = tempfile::tempdir().unwrap();
        let settings = Settings {
            gate: gate::Gate::new(&[], &["https://app.example.org".into()]),
            access: empty.access.clone(),
            limits,
            sse: true,
            drain: Duration::from_secs(1),
            requests: empty.accounts.requests.clone(),
            health: empty.accounts.health.clone(),
            replies: empty.accounts.replies.clone(),
            connections: empty.accounts.connections.clone(),
            ledger: empty.accounts.ledger.clone(),
            pressure: empty.accounts.pressure.clone(),
            memory: MEMORY,
            thresholds: Thresholds { warning: 1, critical: 2, maximum: MEMORY },
            document: empty.document.clone(),
            publishing: publishing(&empty, published.path()),
        };
        let (stop, stopped) = oneshot::channel();
        let (service, agents) = (empty.service(limits), empty.agents.clone());
        let ended = tokio::spawn(serve(listeners, service, agents.clone(), settings, async {
            let _ = stopped.await;
        }));
        Self {
            public,
            admin,
            accounts: empty.accounts.clone(),
            agents,
            stop,
            ended,
            _empty: empty,
            _published: published,
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
        assert_eq!(
            (self.accounts.requests.used(), self.accounts.replies.used(), self.accounts.health.used()),
            (0, 0, 0)
        );
    }

    /// Posts to `/mcp` with further header lines; status line and body of the answer.
    async fn post(&self, more: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {length}\r\n\r\n{body}");
        exchange(self.public, &head).await
    }
}

/// Repositories of a host with nothing in them.
fn publishing(empty: &Empty, data: &std::path::Path) -> Publishing {
    let limits = Manifest::parse("memory: 512M", data).unwrap().uploads;
    let paying = Paying { uploads: empty.accounts.uploads.clone(), replies: empty.accounts.replies.clone() };
    Publishing::open(data, limits, paying).unwrap()
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read(&mut stream).await
}

async fn read(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 64 << 10];
    let length = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: 10.1.2.3\r\n\r\n")).await
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn a_post_is_answered_by_what_it_is() {
    let host = Host::start(LIMITS).await;
    assert!(host.post(JSON, PING).await.ends_with(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    assert!(host.post("", PING).await.starts_with("HTTP/1.1 415"));
    assert!(host.post(&format!("{JSON}accept: text/html\r\n"), PING).await.starts_with("HTTP/1.1 406"));
    let events = host.post(&format!("{JSON}accept: text/event-stream\r\n"), PING).await;
    assert!(events.contains("content-type: text/event-stream") && events.contains("x-accel-buffering: no"), "{events}");
    assert!(events.contains("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"), "{events}");
    assert!(host.post(&format!("{JSON}origin: http://evil.example.com\r\n"), PING).await.starts_with("HTTP/1.1 403"));
    let page = host.post(&format!("{JSON}origin: https://app.example.org\r\n"), PING).await;
    assert!(page.contains("access-control-allow-origin: https://app.example.org"), "{page}");
    let foreign = format!("POST /mcp HTTP/1.1\r\nhost: evil.example.com\r\n{JSON}content-length: 0\r\n\r\n");
    assert!(exchange(host.public, &foreign).await.starts_with("HTTP/1.1 403"));
    host.stop().await;
}

#[tokio::test]
async fn paths_are_the_tables() {
    let host = Host::start(LIMITS).await;
    let local = async |method: &str, path: &str| {
        exchange(host.public, &format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n")).await
    };
    for path in ["/mcp", "/mcp/files"] {
        let answer = local("GET", path).await;
        assert!(
            answer.starts_with("HTTP/1.1 405") && answer.contains("allow: POST"),
            "no stream without a session: {answer}"
        );
        assert!(local("DELETE", path).await.starts_with("HTTP/1.1 400"));
        assert!(get(host.public, path).await.starts_with("HTTP/1.1 403"), "another Host");
    }
    assert!(local("PUT", "/mcp").await.starts_with("HTTP/1.1 405"));
    assert!(get(host.public, "/").await.starts_with("HTTP/1.1 404"));
    assert!(get(host.admin, "/mcp").await.starts_with("HTTP/1.1 404"), "operators have no MCP");
    for address in [host.public, host.admin] {
        assert!(get(address, "/livez").await.ends_with("ok\n"));
        let not_yet = get(address, "/readyz").await;
        assert!(not_yet.starts_with("HTTP/1.1 503") && not_yet.contains("agents are being loaded"), "{not_yet}");
    }
    let schema = local("GET", "/yjs/@mcp.registry/schema.json").await;
    assert!(schema.contains("application/schema+json") && schema.contains("json-schema.org/draft/2020-12"), "{schema}");
    for field in crate::registry::schema::FIELDS {
        assert!(schema.contains(&format!(r#""{}":"#, field.name)), "{}: {schema}", field.name);
    }
    assert!(local("GET", "/yjs/other/schema.json").await.starts_with("HTTP/1.1 404"));
    host.agents.load().await;
    host.agents.all_settled();
    assert!(get(host.public, "/readyz").await.ends_with("ready\n"));
    host.stop().await;
}

#[tokio::test]
async fn a_body_has_a_size_and_a_time() {
    let host = Host::start(LIMITS).await;
    let large = host.post(JSON, &" ".repeat(LIMITS.body as usize + 1)).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("`http.body` of 64 KiB"), "{large}");
    let exact = host.post(JSON, &format!("{PING}{}", " ".repeat(LIMITS.body as usize - PING.len()))).await;
    assert!(exact.starts_with("HTTP/1.1 200"), "{exact}");
    let half = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 99\r\n\r\n{PING}");
    let slow = exchange(host.public, &half).await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("`http.body_wait` of 300 ms"), "{slow}");
    host.stop().await;
}

#[tokio::test]
async fn places_in_flight_run_out_and_come_back() {
    let host = Host::start(LIMITS).await;
    let half = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: {}\r\n\r\n{{", PING.len());
    let mut waiting = Vec::new();
    for _ in 0..LIMITS.in_flight {
        let mut stream = TcpStream::connect(host.public).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    // Until both have arrived, others are served.
    let refused = async {
        loop {
            let answer = host.post(JSON, PING).await;
            if !answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await.expect("places run out");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains(r#""limit":"in-flight","unit":"requests","cap":2,"used":2,"wanted":1"#), "{refused}");
    assert!(get(host.public, "/livez").await.ends_with("ok\n"), "health needs no place");

    waiting[0].write_all(&PING.as_bytes()[1..]).await.unwrap();
    assert!(read(&mut waiting[0]).await.starts_with("HTTP/1.1 200"));
    assert!(host.post(JSON, PING).await.starts_with("HTTP/1.1 200"));
    drop(waiting);
    host.stop().await;
}

#[tokio::test]
async fn without_memory_for_bodies_there_is_still_an_answer() {
    let host = Host::start(LIMITS).await;
    let others = host.accounts.requests.charge(host.accounts.requests.free() - 600).unwrap();
    let refused = host.post(JSON, PING).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains(r#""limit":"host-full""#), "{refused}");
    drop(others);
    assert!(host.post(JSON, PING).await.starts_with("HTTP/1.1 200"));
    host.stop().await;
}

#[tokio::test]
async fn beyond_the_connections_there_is_a_hint() {
    let host = Host::start(LIMITS).await;
    let mut taken = Vec::new();
    for _ in 0..LIMITS.connections {
        let mut stream = TcpStream::connect(host.public).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(read(&mut stream).await.ends_with("ok\n"));
        taken.push(stream);
    }
    let refused = host.post(JSON, PING).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains(r#""limit":"connections""#), "{refused}");
    assert!(get(host.public, "/livez").await.ends_with("ok\n"));
    assert!(get(host.admin, "/livez").await.ends_with("ok\n"));
    drop(taken);
    host.stop().await;
}

#[tokio::test]
async fn when_memory_is_at_its_end_nothing_new_begins_and_health_says_so() {
    let host = Host::start(LIMITS).await;
    let at = |level, refusing| {
        let reading = Reading { level, refusing, limit: MEMORY, books: MEMORY + 1, ..Reading::default() };
        host.accounts.pressure.publish(reading);
    };
    let get = |address, path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        async move { exchange(address, &head).await }
    };
    let begin = |answer: &str| answer[..12].to_owned();
    for (level, word) in [(Level::Normal, "healthy"), (Level::Warning, "warning"), (Level::Critical, "critical")] {
        at(level, false);
        let healthy = get(host.public, "/healthz").await;
        assert!(
            begin(&healthy) == "HTTP/1.1 200" && healthy.ends_with(&format!(r#"{{"status":"{word}"}}"#)),
            "{healthy}"
        );
        assert!(!get(host.public, "/readyz").await.contains("pressure.maximum"));
    }
    at(Level::Maximum, true);
    let [healthy, ready] = [get(host.public, "/healthz").await, get(host.admin, "/readyz").await];
    assert!(begin(&healthy) == "HTTP/1.1 503" && healthy.ends_with(r#"{"status":"max"}"#), "{healthy}");
    assert!(begin(&ready) == "HTTP/1.1 503" && ready.contains("pressure.maximum"), "{ready}");
    let json = "content-type: application/json\r\nconnection: close\r\n";
    // What costs nothing is answered, and what ends something is heard.
    assert_eq!(begin(&host.post(json, PING).await), "HTTP/1.1 200");
    let refused = host.post(json, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#).await;
    let figures = format!(r#""limit":"pressure.maximum","unit":"bytes","cap":{MEMORY},"used":{}"#, MEMORY + 1);
    assert!(begin(&refused) == "HTTP/1.1 503" && refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("-32050") && refused.contains(&figures), "{refused}");
    assert_eq!(begin(&get(host.public, "/agents/none/resources?uri=a:b").await), "HTTP/1.1 404");
    at(Level::Normal, false);
    assert_eq!(begin(&host.post(json, "{}").await), "HTTP/1.1 400");
    host.stop().await;
}

#[tokio::test]
async fn operators_see_figures_when_nothing_is_left_for_replies() {
    let host = Host::start(LIMITS).await;
    let held = host.accounts.replies.charge(host.accounts.replies.free()).unwrap();
    for path in ["/metrics", "/healthz"] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = exchange(host.admin, &head).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("replies"), "{path}: {answer}");
    }
    let all = host.accounts.health.charge(host.accounts.health.free()).unwrap();
    let word = exchange(host.public, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(word.ends_with(r#"{"status":"healthy"}"#), "it lies ready: {word}");
    drop((held, all));
    host.stop().await;
}

#[tokio::test]
async fn a_connection_nobody_can_pay_for_is_one_too_many() {
    let host = Host::start(LIMITS).await;
    let connections = &host.accounts.connections;
    let held = connections.charge(connections.free()).unwrap();
    let refused = host.post("content-type: application/json\r\nconnection: close\r\n", "{}").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains(r#""limit":"connections""#), "{refused}");
    let alive = exchange(host.public, "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    drop(held);
    host.stop().await;
}
