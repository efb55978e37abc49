//! A request on its way to a reply: a plain one, or a stream once there is more to say than one answer.
//!
//! Owns the moment in which a reply becomes a stream. A request is one future, polled by whoever waits for its reply. If
//! it ends first, its reply goes out as it is; if it says something before, through its [`Outlet`], the reply is a stream
//! of events from then on, and the future runs as a task of its own: a client that takes nothing must not keep the clock of
//! a guest from being looked at. Dropping the exchange or the stream stops the request, unless it was told to go on.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use stockade_ledger::Account;
use tokio::task::JoinHandle;

use super::events;
use super::reply::Reply;
use crate::handover::{self, Giver, Taker};

/// Where a request says what comes before its reply. Clones speak into the same stream.
#[derive(Debug, Clone)]
pub struct Outlet {
    events: Giver<Bytes>,
    /// Pays for events.
    account: Account,
    goes_on: Arc<AtomicBool>,
}

impl Outlet {
    /// Ready when an event can be put; false when nobody listens any more.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.events.poll_room(cx)
    }

    /// Puts an event, for which there must be room.
    pub fn put(&self, event: Bytes) {
        self.events.put(event);
    }

    /// Sends bytes, and waits until they have been taken: what comes next is made when somebody wants it, and not to lie
    /// there. False when the client is gone.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.events.give(bytes).await && self.events.taken().await
    }

    /// What pays for events.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// From now on the request runs to its end even if nobody waits for the reply (before 2026-07-28 a lost connection was
    /// no cancellation).
    pub fn go_on_alone(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
    }
}

/// A stream that broke off: whoever carries it must make that seen, so that nobody takes it for a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted;

type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Writing = Pin<Box<dyn Future<Output = Result<(), Aborted>> + Send>>;

/// A request whose reply is not there yet.
pub struct Exchange {
    request: Option<Running>,
    events: Option<Taker<Bytes>>,
    goes_on: Arc<AtomicBool>,
    outlet: Outlet,
}

/// Bytes that come one after the other.
pub struct Stream {
    /// Taken before the stream was made.
    first: Option<Bytes>,
    bytes: Taker<Bytes>,
    source: Source,
}

enum Source {
    /// Polled by whoever takes the bytes.
    Here(Writing),
    Task {
        task: JoinHandle<Result<(), Aborted>>,
        goes_on: Arc<AtomicBool>,
    },
    Done,
}

impl Exchange {
    /// A request; `make` is given the outlet for what comes before the reply, which `account` pays for.
    pub fn new<F>(account: &Account, make: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let (giver, taker) = handover::pair();
        let goes_on = Arc::new(AtomicBool::new(false));
        let outlet = Outlet { events: giver, account: account.clone(), goes_on: goes_on.clone() };
        let request = Box::pin(make(outlet.clone()));
        Self { request: Some(request), events: Some(taker), goes_on, outlet }
    }

    /// The reply: as soon as it is there, or as a stream as soon as something comes before it.
    pub async fn reply(mut self) -> Reply {
        let first = poll_fn(|cx| self.poll_first(cx)).await;
        let (event, reply) = match first {
            First::Reply(reply) => return reply,
            First::Event(event, reply) => (event, reply),
        };
        let request = self.request.take();
        let events = self.events.take().expect("taken once, here");
        let outlet = self.outlet.clone();
        let task = tokio::spawn(async move {
            let reply = match (reply, request) {
                (Some(reply), _) => reply,
                (None, Some(request)) => request.await,
                (None, None) => return Err(Aborted),
            };
            events::write_reply(&outlet, reply).await
        });
        let source = Source::Task { task, goes_on: self.goes_on.clone() };
        Reply::events(Stream { first: Some(event), bytes: events, source })
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<First> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        let reply = match request.as_mut().poll(cx) {
            Poll::Ready(reply) => {
                self.request = None;
                Some(reply)
            }
            Poll::Pending => None,
        };
        // First what came first: the last event may stand there when the reply is done.
        let events = self.events.as_ref().expect("taken only after this");
        match (events.poll_take(cx), reply) {
            (Poll::Ready(Some(event)), reply) => Poll::Ready(First::Event(event, reply)),
            (_, Some(reply)) => Poll::Ready(First::Reply(reply)),
            (_, None) => Poll::Pending,
        }
    }
}

enum First {
    Reply(Reply),
    /// An event, and the reply if that is there too.
    Event(Bytes, Option<Reply>),
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(request) = self.request.take()
            && self.goes_on.load(Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            self.events = None;
            runtime.spawn(request);
        }
    }
}

impl Stream {
    /// A stream of what `make` sends into its outlet. It runs only while somebody takes the bytes.
    pub fn new<F>(account: &Account, make: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = Result<(), Aborted>> + Send + 'static,
    {
        let (giver, bytes) = handover::pair();
        let outlet = Outlet { events: giver, account: account.clone(), goes_on: Arc::default() };
        Self { first: None, bytes, source: Source::Here(Box::pin(make(outlet))) }
    }

    /// The same stream, which breaks off as soon as `stop` is done.
    pub fn until(mut self, account: &Account, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::new(account, move |outlet| async move {
            let pass = async {
                while let Some(bytes) = self.next().await {
                    if !outlet.send(bytes?).await {
                        return Err(Aborted);
                    }
                }
                Ok(())
            };
            tokio::select! {
                biased;
                () = stop => Err(Aborted),
                passed = pass => passed,
            }
        })
    }

    /// The next bytes; `None` at the end. Nothing follows an error.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Poll::Ready(Some(bytes)) = self.bytes.poll_take(cx) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let ended = match &mut self.source {
            Source::Here(writing) => match writing.as_mut().poll(cx) {
                Poll::Ready(ended) => ended,
                Poll::Pending => return self.bytes.poll_take(cx).map(|bytes| bytes.map(Ok)),
            },
            Source::Task { task, .. } => ready!(Pin::new(task).poll(cx)).unwrap_or(Err(Aborted)),
            Source::Done => return Poll::Ready(None),
        };
        // The last bytes may have been put just before the end.
        let last = self.bytes.poll_take(cx);
        self.source = Source::Done;
        match (last, ended) {
            (Poll::Ready(Some(bytes)), Ok(())) => Poll::Ready(Some(Ok(bytes))),
            (_, Ok(())) => Poll::Ready(None),
            (_, Err(aborted)) => Poll::Ready(Some(Err(aborted))),
        }
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Aborted>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Source::Task { task, goes_on } = &self.source
            && !goes_on.load(Ordering::Relaxed)
        {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Stream")
    }
}

#[cfg(test)]
mod tests;
