//! A guest's standard output and standard error: counted, capped, and forgotten but for the last words.
//!
//! Owns the few bytes kept for the log. Never buffers what a guest writes, so that neither a flood nor a stream of empty
//! writes can grow the host (GHSA-5m8g was the library's own stream doing so).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::limiter::Stop;

/// Bytes one call may write to both streams together.
pub(super) const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// Bytes kept of what was written last.
const LAST_WORDS_BYTES_MAX: usize = 1 << 10;

/// Bytes a guest may write at a time.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Both streams of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: u64,
    last: Vec<u8>,
}

impl Output {
    /// The end of what was written, with bytes that are not text replaced.
    pub fn last_words(&self) -> String {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&written.last);
        let words = words.trim_end();
        // Rust guests end with advice for whoever sits at their terminal; nobody does.
        let end = words.find("\nnote: run with `RUST_BACKTRACE").unwrap_or(words.len());
        words[..end].trim().to_owned()
    }

    fn take(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.bytes += bytes.len() as u64;
        if written.bytes > OUTPUT_BYTES_MAX {
            return Err(Stop::Output { cap: OUTPUT_BYTES_MAX, used: written.bytes });
        }
        let tail = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES_MAX)..];
        let over = (written.last.len() + tail.len()).saturating_sub(LAST_WORDS_BYTES_MAX);
        written.last.drain(..over);
        written.last.extend_from_slice(tail);
        Ok(())
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes).map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.take(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
