//! A session in which something goes on: what is done in it, and what runs in it.

use std::sync::Arc;

use stockade_ledger::Account;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{Running, Session, Sessions};
use crate::access::Place;
use crate::agent::changes::Listener;
use crate::agent::contract::Level;
use crate::mcp::Post;
use crate::mcp::legacy::client::Client;
use crate::mcp::legacy::slab::Key;

/// Requests that may be under way in one session.
pub(super) const RUNNING_MAX: usize = 64;

/// A session in which something goes on. It stays as long as this does, unless it is ended.
#[derive(Debug)]
pub struct Entered {
    pub(super) sessions: Sessions,
    pub(super) key: Key,
    pub client: Arc<Client>,
}

/// A request that is under way; dropping it ends that.
#[derive(Debug)]
pub struct RunningGuard {
    session: Entered,
    cancelled: Arc<Notify>,
}

/// A stream of a session: how to end it when another one takes its place, and the place that goes over.
#[derive(Debug, Clone)]
pub struct OpenStream {
    ends: Arc<Notify>,
    place: Arc<Place>,
}

/// Why a request cannot run in a session.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRun {
    /// Another one with the same id is under way.
    Doubled,
    TooMany(usize),
    Ended,
}

impl Entered {
    /// Which session it is, for what the host keeps about it elsewhere.
    pub fn key(&self) -> Key {
        self.key
    }

    /// When its lifetime ends.
    pub fn ends_at(&self) -> Instant {
        self.with(|session| session.began).unwrap_or_else(Instant::now) + self.sessions.0.limits.lifetime
    }

    pub fn level(&self) -> Option<Level> {
        self.with(|session| session.level).flatten()
    }

    pub fn set_level(&self, level: Level) {
        self.with(|session| session.level = Some(level));
    }

    /// Who hears of changes in this session; made by `make` if there was nobody yet.
    pub fn listener<E>(&self, make: impl FnOnce(&Account) -> Result<Listener, E>) -> Result<Arc<Listener>, E> {
        if let Some(listener) = self.known_listener() {
            return Ok(listener);
        }
        let made = Arc::new(make(&self.sessions.0.account)?);
        // Another request may have made one meanwhile: the first stays.
        let kept = self.with(|session| session.listener.get_or_insert_with(|| made.clone()).clone());
        Ok(kept.unwrap_or(made))
    }

    /// Who hears of changes in this session, if anybody does.
    pub fn known_listener(&self) -> Option<Arc<Listener>> {
        self.with(|session| session.listener.clone()).flatten()
    }

    /// From now on its messages go there, and its replies come on the stream of whoever takes them.
    pub fn set_pair(&self, messages: mpsc::Sender<Post>) {
        self.with(|session| session.pair = Some(messages));
    }

    /// Where its messages go; none for a session that answers each POST itself.
    pub fn pair(&self) -> Option<mpsc::Sender<Post>> {
        self.with(|session| session.pair.clone()).flatten()
    }

    /// The client says what it is, after the session has begun.
    pub fn introduce(&self, client: Client) {
        self.with(|session| session.client = Arc::new(client));
    }

    /// The stream of this session begins. One that was open before is told to end, and its place among the streams is kept;
    /// else `take` takes one. `ended` is the error when the session is over.
    pub fn open_stream<E>(
        &self,
        take: impl FnOnce() -> Result<Place, E>,
        ended: impl FnOnce() -> E,
    ) -> Result<OpenStream, E> {
        let opened = self.with(|session| {
            let place = match session.stream.take() {
                Some(before) => {
                    before.ends.notify_one();
                    before.place
                }
                None => Arc::new(take()?),
            };
            let stream = OpenStream { ends: Arc::new(Notify::new()), place };
            session.stream = Some(stream.clone());
            Ok(stream)
        });
        opened.unwrap_or_else(|| Err(ended()))
    }

    /// The stream of this session is over.
    pub fn close_stream(&self, stream: &OpenStream) {
        self.with(|session| {
            if session.stream.as_ref().is_some_and(|open| Arc::ptr_eq(&open.ends, &stream.ends)) {
                session.stream = None;
            }
        });
    }

    /// Begins a request under the client's own id.
    ///
    /// # Errors
    ///
    /// See [`NotRun`].
    pub fn run(&self, id: &str) -> Result<RunningGuard, NotRun> {
        let cancelled = Arc::new(Notify::new());
        let began = self.with(|session| {
            if session.running.iter().any(|running| &*running.id == id) {
                return Err(NotRun::Doubled);
            }
            if session.running.len() >= RUNNING_MAX {
                return Err(NotRun::TooMany(RUNNING_MAX));
            }
            session.running.push(Running { id: id.into(), cancelled: cancelled.clone() });
            Ok(())
        });
        began.unwrap_or(Err(NotRun::Ended))?;
        let session = self.again().ok_or(NotRun::Ended)?;
        Ok(RunningGuard { session, cancelled })
    }

    /// The same once more, for what goes on in the session by itself; none once it has ended.
    fn again(&self) -> Option<Self> {
        let there = self.sessions.0.lock().begin(self.key);
        there.then(|| Self { sessions: self.sessions.clone(), key: self.key, client: self.client.clone() })
    }

    /// Stops the request with this id, if there is one.
    pub fn cancel(&self, id: &str) {
        self.with(|session| {
            for running in session.running.iter().filter(|running| &*running.id == id) {
                running.cancelled.notify_one();
            }
        });
    }

    /// Ends the session, and all that goes on in it.
    pub fn end(&self) {
        let ended = self.sessions.0.lock().remove(self.key).map(Session::ended);
        drop(ended);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
        self.sessions.0.lock().get(self.key).map(act)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut slab = self.sessions.0.lock();
        if slab.end(self.key)
            && let Some(session) = slab.get(self.key)
        {
            session.used = Instant::now();
        }
    }
}

impl OpenStream {
    /// Waits until another stream has taken its place.
    pub async fn replaced(&self) {
        self.ends.notified().await;
    }
}

impl RunningGuard {
    /// Waits until the client, or the end of the session, cancels the request.
    pub async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        let cancelled = &self.cancelled;
        self.session.with(|session| {
            session.running.retain(|running| !Arc::ptr_eq(&running.cancelled, cancelled));
            if session.running.is_empty() {
                session.running = Vec::new();
            }
        });
    }
}
