//! Frames as clients send them, and as none should.

use tokio::io::{DuplexStream, duplex};

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of a client's.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..=125 => bytes.put_u8(IS_MASKED | short as u8),
        middle @ ..=0xffff => {
            bytes.put_u8(IS_MASKED | 126);
            bytes.put_u16(middle as u16);
        }
        long => {
            bytes.put_u8(IS_MASKED | 127);
            bytes.put_u64(long as u64);
        }
    }
    bytes.extend(MASK);
    let begins = bytes.len();
    bytes.extend(payload);
    unmask(&mut bytes[begins..], MASK);
    bytes
}

fn pair(bytes_max: usize) -> (DuplexStream, WebSocket<DuplexStream>) {
    let (client, server) = duplex(64);
    (client, WebSocket::new(server, bytes_max))
}

/// What a server makes of these bytes, until it reads no more.
async fn read(bytes: Vec<u8>, bytes_max: usize) -> (Vec<Message>, Broken) {
    let (mut client, mut server) = pair(bytes_max);
    let sent = tokio::spawn(async move { client.write_all(&bytes).await });
    let mut messages = Vec::new();
    loop {
        match server.receive().await {
            Ok(message) => messages.push(message),
            Err(broken) => {
                drop(server);
                // Whoever is not read to the end has said too much.
                let _ = sent.await.unwrap();
                return (messages, broken);
            }
        }
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let request = axum::http::Request::builder()
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13");
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    assert!(Handshake::of(&mut parts).is_none(), "there is no connection below");
    let digest = Sha1::new().chain_update(b"dGhlIHNhbXBsZSBub25jZQ==").chain_update(KEY_SUFFIX).finalize();
    assert_eq!(BASE64_STANDARD.encode(digest), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(frame(0x81, b"Hello"), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
}

#[tokio::test]
async fn messages_come_whole_and_in_parts_with_control_frames_between_them() {
    let long = vec![7; 200_000];
    let bytes = [
        frame(0x82, b"one"),
        frame(0x02, b"t"),
        frame(0x89, b"are you there?"),
        frame(0x00, &long[..70_000]),
        frame(0x8a, b""),
        frame(0x80, &long[70_000..]),
        frame(0x82, b""),
        frame(0x81, b"text"),
        frame(0x88, &[0x03, 0xe9, b'x']),
        frame(0x88, b""),
    ];
    let (messages, broken) = read(bytes.concat(), 1 << 20).await;
    let expected = [
        Message::Binary(b"one".to_vec()),
        Message::Ping(b"are you there?".to_vec()),
        Message::Pong(0),
        Message::Binary([b"t", &*long].concat()),
        Message::Binary(Vec::new()),
        Message::Text,
        Message::Close(Some(1001)),
        Message::Close(None),
    ];
    assert!(messages == expected && broken == Broken::Gone, "{broken:?}");
}

#[tokio::test]
async fn what_is_no_frame_of_a_clients_ends_it() {
    let protocol = |how| (Vec::new(), Broken::Protocol(how));
    for kind in [0x92, 0xc2, 0xa2, 0x83, 0x87, 0x8b, 0x8f] {
        let said = read(frame(kind, b"x"), 9).await;
        assert_eq!(said, protocol("a frame of a kind that nobody has agreed on"), "{kind:x}");
    }
    assert_eq!(read(vec![0x82, 0x01, b'x'], 9).await, protocol("a client's frames are masked"));
    for long in [vec![0x82, 0xfe, 0, 125, 0, 0, 0, 0], vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]] {
        assert_eq!(read(long, 9).await, protocol("a length is not as short as it can be"));
    }
    for control in [frame(0x09, b"x"), frame(0x89, &[0; 126])] {
        assert_eq!(read(control, 9).await, protocol("a control frame is long, or in parts"));
    }
    for mixed in [frame(0x80, b"x"), [frame(0x02, b""), frame(0x82, b"x")].concat()] {
        assert_eq!(read(mixed, 9).await, protocol("parts of messages are mixed up"));
    }
    let empty = [frame(0x02, b"x"), frame(0x00, b"")].concat();
    assert_eq!(read(empty, 9).await, protocol("a part of a message has nothing in it, and more are to come"));
    // However it is cut.
    for long in [frame(0x82, &[0; 10]), [frame(0x02, &[0; 5]), frame(0x80, &[0; 5])].concat()] {
        assert_eq!(read(long, 9).await, (Vec::new(), Broken::TooLong { bytes: 10, max: 9 }));
    }
    assert_eq!(read(frame(0x82, b"cut")[..8].to_vec(), 9).await, (Vec::new(), Broken::Gone));
}

/// What is claimed to come takes no memory before it does.
#[tokio::test]
async fn a_message_takes_memory_as_it_comes() {
    let (mut client, mut server) = pair(1 << 20);
    client.write_all(&frame(0x82, &[0; 1 << 20])[..20]).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(1), server.receive()).await;
    assert!(waiting.is_err(), "it has only begun");
    assert!((1..=2 * STEP_BYTES.start()).contains(&server.message.capacity()), "{}", server.message.capacity());
    // And who stopped waiting goes on where he was.
    let (mut client, mut server) = pair(9);
    for byte in frame(0x82, b"in drops") {
        assert!(tokio::time::timeout(Duration::ZERO, server.receive()).await.is_err());
        client.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(server.receive().await, Ok(Message::Binary(b"in drops".to_vec())));
    assert_eq!((server.message.capacity(), server.control.capacity()), (0, 0), "nothing is kept of it");
}

#[tokio::test]
async fn frames_are_sent_in_the_shortest_way() {
    for (bytes, head) in [
        (125, [IS_LAST | opcode::BINARY, 125].to_vec()),
        (126, vec![0x82, 126, 0, 126]),
        (0xffff, vec![0x82, 126, 0xff, 0xff]),
        (0x1_0000, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let (mut client, mut server) = pair(9);
        let payload = vec![5; bytes];
        let expected = [head, payload.clone()].concat();
        let sent = tokio::spawn(async move { server.send(opcode::BINARY, &payload).await });
        let mut found = Vec::new();
        client.read_to_end(&mut found).await.unwrap();
        assert!(sent.await.unwrap() && found == expected, "{bytes}");
    }
    let (client, mut server) = pair(9);
    drop(client);
    assert!(!server.send(opcode::PING, b"").await, "nobody is there");
    let (mut client, mut server) = pair(9);
    let close = tokio::spawn(async move { server.close(4400, &"ä".repeat(100)).await });
    let mut found = Vec::new();
    client.read_to_end(&mut found).await.unwrap();
    assert!(close.await.unwrap());
    assert_eq!((&found[..4], found.len()), (&[0x88, 124, 0x11, 0x30][..], 2 + 124), "as much as there is room for");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_frame_too_slowly_is_let_go() {
    let (mut client, mut server) = pair(9);
    let payload = vec![0; 1 << 20];
    let sent = tokio::spawn(async move { server.send(opcode::BINARY, &payload).await });
    // A byte each second is no stall, and no way to hold a megabyte.
    let began = tokio::time::Instant::now();
    let mut byte = [0];
    while client.read(&mut byte).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!sent.await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(30 + 16 + 64 + 5), "{:?}", began.elapsed());
}
