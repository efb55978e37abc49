//! The real loop on a real socket. Raw bytes on the client's side: what is tested is what no HTTP client would send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use stockade_ledger::{Account, Ledger, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{SPARE_CONNECTIONS, Serving, Traffic, serve};
use crate::manifest::HttpLimits;

const LIMITS: HttpLimits = HttpLimits {
    connections: 2,
    in_flight: 2,
    body: 1 << 20,
    headers: 10_000,
    header_wait: Duration::from_millis(300),
    body_wait: Duration::from_secs(1),
    depth: 16,
    elements: 100,
    reply: 1 << 20,
    stream_bytes_max: 1 << 20,
    stream_stall: Duration::from_millis(300),
    kept: 100,
};

/// More than the kernel takes for a client that does not read.
const LONG_REPLY_BYTES: usize = 32 << 20;

const DRAIN: Duration = Duration::from_millis(500);

/// What a test that goes wrong may cost.
const PATIENCE: Duration = Duration::from_secs(20);

struct Loop {
    address: SocketAddr,
    heads: Account,
    /// Told when a long reply, or a request that never ends, is dropped.
    dropped: Arc<Notify>,
    /// Told when a slow request, or one that never ends, begins.
    begun: Arc<Notify>,
    /// Ends a slow request.
    release: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Loop {
    async fn start(limits: HttpLimits) -> Self {
        Self::start_with(limits, DRAIN).await
    }

    async fn start_with(limits: HttpLimits, drain: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = 1 << 20;
        let heads = Ledger::new(bytes).account(Spec { name: "requests".into(), ceiling: bytes, floor: 0 }).unwrap();
        let begun = Arc::new(Notify::new());
        let release = Arc::new(Notify::new());
        let (told, released) = (begun.clone(), release.clone());
        let slow = move || async move {
            told.notify_one();
            released.notified().await;
            "slow"
        };
        let dropped = Arc::new(Notify::new());
        let (bytes, told) = (Bytes::from(vec![b'x'; LONG_REPLY_BYTES]), dropped.clone());
        let long = move || async { Bytes::from_owner(Held { bytes, dropped: told }) };
        let (told, tell) = (dropped.clone(), begun.clone());
        let never = move || async move {
            tell.notify_one();
            let _running = Held { bytes: Bytes::new(), dropped: told };
            std::future::pending::<&str>().await
        };
        let routes = Router::new()
            .route("/", get(|| async { "regular" }))
            .route("/slow", get(slow))
            .route("/never", get(never))
            .route("/long", get(long));
        let serving = Serving {
            routes,
            overflow: Router::new().route("/", get(|| async { "spare" })),
            connections: limits.connections as usize,
            limits,
            drain,
            heads: heads.clone(),
            traffic: Traffic::default(),
            paid_by: None,
        };
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(serve(listener, serving, async {
            let _ = stopped.await;
        }));
        Self { address, heads, dropped, begun, release, stop: Some(stop), ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Tells the loop to stop; how long it then takes.
    async fn stop(mut self) -> Duration {
        let began = Instant::now();
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.ended).await.unwrap();
        assert_eq!(self.heads.used(), 0, "all heads are given back");
        began.elapsed()
    }
}

struct Held {
    bytes: Bytes,
    dropped: Arc<Notify>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.dropped.notify_one();
    }
}

async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    answer(stream).await
}

/// What comes in one go, or until the end.
async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 64 << 10];
    let length = stream.read(&mut buffer).await.unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_kept_connection_answers_again_and_holds_nothing_between() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        assert!(ask(&mut stream, "/").await.ends_with("regular"));
        assert_eq!(server.heads.used(), 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_gets_431() {
    let server = Loop::start(LIMITS).await;
    let head = |bytes: usize| {
        let start = "GET / HTTP/1.1\r\nhost: x\r\nx: ";
        format!("{start}{}\r\n\r\n", "y".repeat(bytes - start.len() - 4))
    };
    let mut stream = server.connect().await;
    stream.write_all(head(10_000).as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"), "exactly as long as allowed");
    stream.write_all(head(10_001).as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431"));
    assert!(ended(&mut stream).await);
    server.stop().await;
}

#[tokio::test]
async fn a_slow_head_is_charged_and_then_given_up() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    stream.write_all(&[b'y'; 5_000]).await.unwrap();
    let charged = async {
        while server.heads.used() < 5_019 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, charged).await.expect("what arrived is charged");
    assert_eq!(server.heads.used(), 5_019);
    let began = Instant::now();
    assert!(ended(&mut stream).await);
    assert!(began.elapsed() < PATIENCE);
    server.stop().await;
}

#[tokio::test]
async fn a_head_nobody_can_pay_for_ends_its_connection() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    assert!(ask(&mut stream, "/").await.ends_with("regular"));
    let others = server.heads.charge(server.heads.free() - 10).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut stream).await, "");
    drop(others);
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    assert!(ask(&mut stream, "/").await.ends_with("regular"));
    let began = Instant::now();
    assert!(ended(&mut stream).await);
    assert!((250..20_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn beyond_the_seats_only_health_is_answered_and_beyond_the_spare_ones_nothing() {
    let limits = HttpLimits { header_wait: Duration::from_secs(30), ..LIMITS };
    let server = Loop::start(limits).await;
    let mut seated = Vec::new();
    for _ in 0..limits.connections {
        let mut stream = server.connect().await;
        assert!(ask(&mut stream, "/").await.ends_with("regular"));
        seated.push(stream);
    }
    let mut spare = server.connect().await;
    let refused = ask(&mut spare, "/").await;
    assert!(refused.ends_with("spare") && refused.to_lowercase().contains("connection: close"), "{refused}");
    assert!(ended(&mut spare).await);

    let mut waiting = Vec::new();
    for _ in 0..SPARE_CONNECTIONS {
        waiting.push(server.connect().await);
    }
    let mut outside = server.connect().await;
    let asked = tokio::time::timeout(Duration::from_millis(300), ask(&mut outside, "/")).await;
    assert!(asked.is_err(), "nobody accepted it");

    drop(seated);
    drop(waiting);
    assert!(tokio::time::timeout(PATIENCE, answer(&mut outside)).await.unwrap().ends_with("regular"));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_reply_is_cut_off() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, server.dropped.notified()).await.expect("the reply is let go");
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    assert!(got.len() < LONG_REPLY_BYTES, "the rest was never sent");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all() {
    let server = Loop::start(HttpLimits { stream_stall: Duration::from_millis(600), ..LIMITS }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            length => got += length,
        }
        // The slowness itself: in all it takes longer than a stall may, and no pause of it does.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(got > LONG_REPLY_BYTES, "{got}");
    server.stop().await;
}

#[tokio::test]
async fn a_drain_lets_requests_end_and_waits_for_nobody_else() {
    let limits = HttpLimits { header_wait: Duration::from_secs(30), ..LIMITS };
    let server = Loop::start_with(limits, PATIENCE).await;
    let mut idle = server.connect().await;
    assert!(ask(&mut idle, "/").await.ends_with("regular"));
    let mut running = server.connect().await;
    let asking = tokio::spawn(async move { ask(&mut running, "/slow").await });
    tokio::time::timeout(PATIENCE, server.begun.notified()).await.expect("the request begins");
    let (address, release) = (server.address, server.release.clone());
    let stopping = tokio::spawn(server.stop());
    assert!(ended(&mut idle).await, "the drain has begun, and waits for nobody who asks nothing");
    assert!(!stopping.is_finished() && !asking.is_finished(), "it waits for who does");
    release.notify_one();
    let took = stopping.await.unwrap();
    assert!(asking.await.unwrap().ends_with("slow"));
    assert!(took < PATIENCE / 2, "the drain ended with the last request: {took:?}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_drain_ends() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, server.begun.notified()).await.expect("the request begins");
    let took = server.stop().await;
    assert!(took >= DRAIN && took < PATIENCE, "{took:?}");
    assert!(ended(&mut stream).await);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let server = Loop::start(LIMITS).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, server.begun.notified()).await.expect("the request begins");
    drop(stream);
    tokio::time::timeout(PATIENCE, server.dropped.notified()).await.expect("the request is cancelled");
    server.stop().await;
}
