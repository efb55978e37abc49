//! The stream below hyper: charges the heads of requests, ends a connection whose client takes nothing, and resets one
//! whose reply broke off.
//!
//! hyper collects a head in a buffer of its own. [`Head`] charges those bytes as they arrive and keeps the charge until
//! the request is answered, so that many slow heads cannot add up to memory nobody counts. Bodies charge themselves.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use stockade_ledger::{Account, Charge};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A TCP stream with a watch on its writes.
pub struct Socket {
    stream: TcpStream,
    /// Time without any byte taken.
    stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    head: Arc<Head>,
    traffic: Traffic,
    /// What a connection has for as long as it lasts, whoever has it.
    _tenure: Option<Box<dyn Send + Sync>>,
}

/// Bytes that went over all connections since the start. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<[AtomicU64; 2]>);

impl Traffic {
    /// Received, and sent.
    pub fn bytes(&self) -> [u64; 2] {
        self.0.each_ref().map(|bytes| bytes.load(Ordering::Relaxed))
    }

    fn received(&self, bytes: usize) {
        self.0[0].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn sent(&self, bytes: usize) {
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The head that is arriving on a connection, shared by the socket below hyper and the service above it.
#[derive(Debug)]
pub struct Head {
    arriving: Mutex<Arriving>,
    aborted: AtomicBool,
    streaming: AtomicBool,
}

#[derive(Debug)]
struct Arriving {
    charge: Charge,
    in_request: bool,
}

/// A request that is being answered; holds the charge of its head.
#[derive(Debug)]
pub struct InRequest {
    head: Arc<Head>,
    _charge: Charge,
}

impl Head {
    pub fn new(account: &Account) -> Self {
        let arriving = Mutex::new(Arriving { charge: account.empty(), in_request: false });
        Self { arriving, aborted: AtomicBool::new(false), streaming: AtomicBool::new(false) }
    }

    /// Called when a head is complete. What arrives until the end of the request is body.
    pub fn begin(self: &Arc<Self>) -> InRequest {
        let mut arriving = self.lock();
        arriving.in_request = true;
        let bytes = arriving.charge.bytes();
        InRequest { head: self.clone(), _charge: arriving.charge.split(bytes) }
    }

    /// What has arrived was taken: for a connection that has become something else than HTTP, whose messages are charged
    /// while they arrive as heads are.
    pub fn taken(&self) {
        let mut arriving = self.lock();
        let bytes = arriving.charge.bytes();
        arriving.charge.shrink(bytes);
    }

    /// The same of so many bytes only: of a frame that came between the parts of a message.
    pub fn taken_of(&self, bytes: usize) {
        let mut arriving = self.lock();
        let bytes = arriving.charge.bytes().min(bytes as u64);
        arriving.charge.shrink(bytes);
    }

    /// Whether something has arrived that was not taken yet: the beginning of a message.
    pub fn is_arriving(&self) -> bool {
        self.lock().charge.bytes() > 0
    }

    /// The reply broke off: the connection must not end as if it were whole, whatever version of HTTP the client speaks.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether a reply is on its way that comes piece by piece.
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// Says that such a reply begins, or ends.
    pub fn set_streaming(&self, streaming: bool) {
        self.streaming.store(streaming, Ordering::Relaxed);
    }

    fn arrived(&self, bytes: u64) -> io::Result<()> {
        let mut arriving = self.lock();
        if arriving.in_request {
            return Ok(());
        }
        // There is no request yet that could be refused, so the connection is.
        arriving.charge.grow(bytes).map_err(|refusal| io::Error::new(io::ErrorKind::OutOfMemory, refusal))
    }

    fn lock(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.head.aborted.load(Ordering::Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "cannot reset a connection");
        }
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        self.head.lock().in_request = false;
    }
}

impl Socket {
    pub fn new(stream: TcpStream, stall: Duration, head: Arc<Head>, traffic: Traffic) -> Self {
        Self { stream, stall, stalled: None, head, traffic, _tenure: None }
    }

    /// Keeps something until the connection ends, even if it becomes something else than HTTP.
    pub fn keeping(mut self, tenure: impl Send + Sync + 'static) -> Self {
        self._tenure = Some(Box::new(tenure));
        self
    }

    /// Passes a write's outcome on; a write that waits too long fails.
    fn watched(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = &written {
            self.traffic.sent(*done.as_ref().unwrap_or(&0));
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no reply"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            let bytes = buffer.filled().len() - before;
            this.traffic.received(bytes);
            this.head.arrived(bytes as u64)?;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watched(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watched(cx, written)
    }

    /// Said truthfully: hyper then sends a reply from where it is, instead of copying it first.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
