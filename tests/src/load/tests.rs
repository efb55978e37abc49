use super::*;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpListener;

/// Answers request number n in turn: result, tool error, JSON-RPC error, busy, not JSON, closed connection.
async fn capricious() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(url)
}

async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let message: Value = serde_json::from_slice(&body)?;
    let (status, body) = match message["id"].as_u64().context("a number")? % 6 {
        0 => (200, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#),
        1 => (200, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#),
        2 => (200, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#),
        3 => (503, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32050,"message":"busy"}}"#),
        4 => (502, "<html>"),
        _ => anyhow::bail!("this closes the connection"),
    };
    Ok(Response::builder().status(status).body(Full::from(body))?)
}

#[tokio::test]
async fn counts_each_way_to_fail() {
    let url = capricious().await.unwrap();
    let (address, _) = split(&url).unwrap();
    let address = address.to_string();
    let load = Load { connections: 3, requests: 60 };
    let report = load.run(&address, move |id| tool_call(&url, id, "echo", "{}").unwrap()).await;
    assert_eq!(report.latencies.len(), 10);
    let failures = [
        (Failure::Connection, 10),
        (Failure::Status(502), 10),
        (Failure::Error { status: 200, code: -32602 }, 10),
        (Failure::Error { status: 503, code: -32050 }, 10),
        (Failure::Tool, 10),
    ];
    assert_eq!(report.failures, BTreeMap::from(failures));
    assert!(report.first_failure.is_some() && report.all_succeeded().is_err());
    assert!(report.quantile(0.5) > Duration::ZERO && report.quantile(0.5) <= report.quantile(1.0));
}

#[tokio::test]
async fn an_absent_server_is_a_failure_of_every_request() {
    let report = Load { connections: 2, requests: 5 }
        .run("127.0.0.1:1", |id| tool_call("http://127.0.0.1:1/mcp", id, "echo", "{}").unwrap())
        .await;
    assert_eq!(report.failures, BTreeMap::from([(Failure::Connection, 5)]));
}

#[tokio::test]
async fn the_raw_reader_finds_the_end_of_every_reply() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(bare::serve(listener));
    let mut wire = wire::Wire::connect(address, 0).await.unwrap();
    for bytes in [0, 1, 1_000, 3_000_000] {
        for is_length_known in [true, false] {
            let path = bare::path(bytes, 1_000, is_length_known);
            wire.send(&wire::request(address, &path, &[], None)).await.unwrap();
            let head = wire.head().await.unwrap();
            let counted = wire.count(&head).await.unwrap();
            let piece = (!is_length_known).then_some(bytes.min(1_000));
            assert_eq!((head.status, counted.bytes, counted.chunk_bytes_max), (200, bytes, piece));
        }
    }
    let path = bare::path(2_500, 1_000, false);
    wire.send(&wire::request(address, &path, &[], None)).await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(wire.body(&head).await.unwrap(), [b'A'; 2_500]);
}

#[test]
fn quantiles_are_ranks() {
    let latencies = (1..=100).map(Duration::from_millis).collect();
    let report = Report { latencies, ..Report::default() };
    assert_eq!(report.quantile(0.5), Duration::from_millis(50));
    assert_eq!(report.quantile(0.99), Duration::from_millis(99));
    assert_eq!(report.quantile(1.0), Duration::from_millis(100));
    assert_eq!(Report::default().quantile(0.5), Duration::ZERO);
}
