//! Answers that no host gives.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Something that answers every request with a body of so many bytes.
async fn with_a_body_of(bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Whoever has read enough hangs up.
        let _ = stream.write_all(&vec![b'x'; bytes]).await;
    });
    address
}

#[tokio::test]
async fn an_answer_has_a_longest_length() {
    let token = Token::fresh().unwrap();
    let whole = ask(with_a_body_of(ANSWER_BYTES_MAX).await, Question::get("/status"), &token).await.unwrap();
    assert_eq!((whole.0, whole.1.len()), (StatusCode::OK, ANSWER_BYTES_MAX));
    let refused = ask(with_a_body_of(ANSWER_BYTES_MAX + 1).await, Question::get("/status"), &token).await.unwrap_err();
    assert_eq!(refused.to_string(), "the answer is longer than 16 MiB");
}
