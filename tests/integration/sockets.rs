//! Connections to the registry's document, and the memory they take.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use stockade_gate::Message as Frame;
use stockade_tests::editor::Editor;
use stockade_tests::load::host::Host;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const CLIENTS: usize = 40;

/// What all of them together may leave behind, in bytes: far less than a message of a megabyte each.
const LEFT_MAX: u64 = 12 << 20;

async fn host(manifest: &str) -> Host {
    Host::start(tempfile::tempdir().expect("a folder"), manifest).await.expect("the host starts")
}

async fn connect(host: &Host) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(host.address).await.expect("it listens");
    let (socket, _) = client_async(format!("ws://{}/yjs/@mcp.registry", host.address), stream).await.expect("let in");
    socket
}

/// Waits until the host has no more memory than this beyond what it had.
async fn eventually_left(host: &Host, before: u64) {
    let began = Instant::now();
    loop {
        let left = host.resident().expect("it runs").bytes.saturating_sub(before);
        if left < LEFT_MAX {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{left} bytes are left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_keeps_nothing_of_a_large_message() {
    let host = host("memory: 512M\nagents: {}").await;
    // One by one, so that what the allocator keeps for itself is there before.
    let mut sockets = vec![connect(&host).await];
    let before = host.resident().expect("it runs").bytes;
    // Dropped, since they have not asked for anything.
    let bytes = Frame::Update(&vec![0; (1 << 20) - 16]).write();
    while sockets.len() < CLIENTS {
        let mut socket = connect(&host).await;
        socket.send(Message::binary(bytes.clone())).await.expect("it is taken");
        socket.send(Message::Ping(b"done?".as_slice().into())).await.expect("it is taken");
        loop {
            match socket.next().await.expect("it is connected").expect("it is connected") {
                Message::Pong(said) => break assert_eq!(&*said, b"done?"),
                Message::Close(close) => panic!("{close:?}"),
                _ => {}
            }
        }
        sockets.push(socket);
    }
    eventually_left(&host, before).await;
    let status: Value = host.status().await.expect("it answers").expect("for an operator");
    let requests = status["accounts"]["requests"]["used"].as_u64().expect("bytes");
    assert!(requests < 64 << 10, "{requests} bytes are still charged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_keeps_nothing_of_a_large_document() {
    let names: Vec<String> = (0..300).map(|number| format!("agent-{number:03}")).collect();
    let agents: String = names.iter().map(|name| format!("  {name}: {{ component: published }}\n")).collect();
    let host = host(&format!("memory: 512M\nagents:\n{agents}")).await;
    let token = std::fs::read_to_string(host.dir.path().join("data/operator.token")).expect("the operator's token");
    let mut writer = Editor::connect(host.address, Some(token.trim())).await.expect("it is let in");
    for name in &names {
        writer.set([(name.as_str(), "description", "x".repeat(3_500))]).await.expect("sent");
    }
    writer.settle().await.expect("taken");
    let mut readers = vec![Editor::connect(host.address, None).await.expect("it is let in")];
    let before = host.resident().expect("it runs").bytes;
    while readers.len() < CLIENTS {
        readers.push(Editor::connect(host.address, None).await.expect("it is let in"));
    }
    assert!(readers.iter().all(|reader| reader.field("agent-299", "description").is_some()));
    eventually_left(&host, before).await;
}
