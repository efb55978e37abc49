//! The server to compare large replies with: hyper, and nothing between it and bytes that are already there.

use anyhow::{Context, Result};
use http_body_util::{Either, Empty};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use tokio::net::TcpListener;

/// A reply of `left` bytes, some at a time.
struct Bare {
    piece: Bytes,
    left: u64,
    is_length_known: bool,
}

impl Body for Bare {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let part = self.left.min(self.piece.len() as u64);
        self.left -= part;
        Poll::Ready((part > 0).then(|| Ok(Frame::data(self.piece.slice(..part as usize)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_length_known { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

/// Where the bare server has `bytes`, sent `piece` at a time.
pub fn path(bytes: u64, piece: u64, is_length_known: bool) -> String {
    format!("/{}/{piece}/{bytes}", if is_length_known { "length" } else { "chunked" })
}

/// Serves until killed.
pub async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Bare, Empty<Bytes>>>> {
    let mut parts = request.uri().path().split('/').skip(1);
    let Some(kind @ ("length" | "chunked")) = parts.next() else {
        return Ok(Response::builder().status(StatusCode::NOT_FOUND).body(Either::Right(Empty::new()))?);
    };
    let mut number = || parts.next().context("a number is missing")?.parse::<u64>().context("no number");
    let (piece, left) = (number()?, number()?);
    let piece = Bytes::from(vec![b'A'; usize::try_from(piece)?]);
    Ok(Response::new(Either::Left(Bare { piece, left, is_length_known: kind == "length" })))
}
