//! Sessions of clients of the `initialize` era: who they are, for how long, and what goes on in them.
//!
//! Owns all that a host must remember of a client between two requests, and the bounds on it: a number, a time of idleness,
//! a lifetime, a share for each principal. An idle session is an entry in a table and nothing else: no task, no channel, no
//! timer. At a bound the least recently used idle session makes room; a client that comes back to a session that is gone
//! hears 404 and begins a new one, as the specification lets servers do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_ledger::{Account, Charge};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::client::Client;
use super::slab::{Key, Slab};
use crate::access::{Full, Principal};
use crate::agent::changes::Listener;
use crate::agent::contract::Level;
use crate::manifest::Transports;
use crate::mcp::{Post, Scope};

/// Bytes of one session: its entry in the table, and what it points to.
const SESSION_BYTES: u64 = 512;

/// Requests that may be under way in one session.
const RUNNING_MAX: usize = 64;

/// How often idle sessions are looked at, at least and at most.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(10);

/// All sessions. A cheap handle.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    account: Account,
    limits: Transports,
    slab: Mutex<Slab<Session>>,
}

/// What is remembered of a client.
#[derive(Debug)]
struct Session {
    client: Arc<Client>,
    level: Option<Level>,
    began: Instant,
    used: Instant,
    /// Once it has a stream, or is subscribed to anything.
    listener: Option<Arc<Listener>>,
    /// Ends the stream that is open, when another one takes its place.
    stream: Option<Arc<Notify>>,
    /// Where its messages go, if it speaks over the two paths of 2024-11-05.
    pair: Option<mpsc::Sender<Post>>,
    running: Vec<Running>,
    _charge: Charge,
}

/// A request that is under way.
#[derive(Debug)]
struct Running {
    /// As the client wrote it.
    id: Box<str>,
    cancelled: Arc<Notify>,
}

/// Why there is no session.
#[derive(Debug, PartialEq, Eq)]
pub enum NoSession {
    /// There is none of this name, at this endpoint, for this principal.
    Unknown,
    /// All are taken, and none is idle.
    Full(Full),
}

/// Why a request cannot run in a session.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRun {
    /// Another one with the same id is under way.
    Doubled,
    TooMany(usize),
    Ended,
}

/// A session in which something goes on. It stays as long as this does, unless it is ended.
#[derive(Debug)]
pub struct Entered {
    sessions: Sessions,
    key: Key,
    pub client: Arc<Client>,
}

/// A request that is under way; dropping it ends that.
#[derive(Debug)]
pub struct RunningGuard<'a> {
    session: &'a Entered,
    cancelled: Arc<Notify>,
}

impl Sessions {
    pub fn new(account: Account, limits: Transports) -> Self {
        Self(Arc::new(Inner { account, limits, slab: Mutex::default() }))
    }

    /// Begins a session, and says under which name.
    ///
    /// # Errors
    ///
    /// When all sessions are taken, or as many as the principal may have, and none of them is idle.
    pub fn begin(&self, client: Client) -> Result<Key, NoSession> {
        let secret = crate::access::random::<16>().map_err(|error| {
            tracing::error!(%error, "no session without random bytes");
            NoSession::Unknown
        })?;
        let principal = client.principal.clone();
        let (cap, share) = (self.0.limits.sessions, principal.share_of(self.0.limits.sessions));
        let full = |cap: u32, used: u32| {
            NoSession::Full(Full { limit: "sessions", unit: "sessions", cap: cap.into(), used: used.into() })
        };
        // Dropped at the end, outside the lock: sessions hold listeners, which take locks of their own.
        let mut evicted = Vec::new();
        let mut slab = self.0.lock();
        if slab.of(principal.index()) >= share {
            let oldest = slab.oldest_of(principal.index()).ok_or_else(|| full(share, slab.of(principal.index())))?;
            evicted.extend(slab.remove(oldest));
        }
        let charge = loop {
            let paid = if slab.len() < cap { self.0.account.charge(SESSION_BYTES).ok() } else { None };
            if let Some(charge) = paid {
                break charge;
            }
            let oldest = slab.oldest().min_by_key(|(_, session)| session.used).map(|(key, _)| key);
            let oldest = oldest.ok_or_else(|| full(cap, slab.len()))?;
            // Its charge is what makes room.
            evicted.extend(slab.remove(oldest).map(Session::ended));
        };
        let now = Instant::now();
        let session = Session {
            client: Arc::new(client),
            level: None,
            began: now,
            used: now,
            listener: None,
            stream: None,
            pair: None,
            running: Vec::new(),
            _charge: charge,
        };
        Ok(slab.insert(principal.index(), u128::from_be_bytes(secret), session))
    }

    /// Enters a session to do something in it.
    pub fn enter(&self, key: Key, principal: &Arc<Principal>, scope: &Scope) -> Result<Entered, NoSession> {
        let mut slab = self.0.lock();
        let session = slab.get(key).ok_or(NoSession::Unknown)?;
        let client = session.client.clone();
        // What is another's is not there: who guesses must not learn that he guessed well.
        if client.principal.index() != principal.index() || client.scope != *scope {
            return Err(NoSession::Unknown);
        }
        let (began, used, now) = (session.began, session.used, Instant::now());
        let is_over = now >= began + self.0.limits.lifetime || (now >= used + self.0.limits.idle && slab.is_idle(key));
        if is_over {
            let over = slab.remove(key);
            drop(slab);
            drop(over);
            return Err(NoSession::Unknown);
        }
        slab.begin(key);
        Ok(Entered { sessions: self.clone(), key, client })
    }

    /// Ends a session and all that goes on in it; false when it is not there.
    pub fn end(&self, key: Key, principal: &Arc<Principal>, scope: &Scope) -> bool {
        match self.enter(key, principal, scope) {
            Ok(entered) => {
                entered.end();
                true
            }
            Err(_) => false,
        }
    }

    /// Sessions there are.
    pub fn count(&self) -> u32 {
        self.0.lock().len()
    }

    /// Ends sessions whose time is over, for as long as it is polled.
    pub async fn tend(&self) {
        let pause = (self.0.limits.idle / 10).clamp(LOOK_MIN, LOOK_MAX);
        loop {
            tokio::time::sleep(pause).await;
            self.end_over();
        }
    }

    /// Ends all.
    pub fn clear(&self) {
        let mut slab = self.0.lock();
        let ended: Vec<Session> =
            slab.keys().into_iter().filter_map(|key| slab.remove(key)).map(Session::ended).collect();
        drop(slab);
        drop(ended);
    }

    fn end_over(&self) {
        let (idle, lifetime) = (self.0.limits.idle, self.0.limits.lifetime);
        let mut slab = self.0.lock();
        let now = Instant::now();
        let mut ended = Vec::new();
        loop {
            // The heads of the lines are the oldest: behind one that is not over, none is.
            let is_over = |session: &Session| now >= session.used + idle || now >= session.began + lifetime;
            let over = slab.oldest().find(|(_, session)| is_over(session)).map(|(key, _)| key);
            let Some(key) = over else { break };
            ended.extend(slab.remove(key).map(Session::ended));
        }
        drop(slab);
        if !ended.is_empty() {
            tracing::debug!(sessions = ended.len(), "idle sessions ended");
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Slab<Session>> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Stops what goes on in it.
    fn ended(self) -> Self {
        for running in &self.running {
            running.cancelled.notify_one();
        }
        if let Some(listener) = &self.listener {
            listener.close();
        }
        self
    }
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
        if let Some(listener) = self.with(|session| session.listener.clone()).flatten() {
            return Ok(listener);
        }
        let made = Arc::new(make(&self.sessions.0.account)?);
        // Another request may have made one meanwhile: the first stays.
        let kept = self.with(|session| session.listener.get_or_insert_with(|| made.clone()).clone());
        Ok(kept.unwrap_or(made))
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

    /// The stream of this session begins; one that was open before is told to end.
    pub fn open_stream(&self) -> Arc<Notify> {
        let ends = Arc::new(Notify::new());
        if let Some(Some(before)) = self.with(|session| session.stream.replace(ends.clone())) {
            before.notify_one();
        }
        ends
    }

    /// The stream of this session is over.
    pub fn close_stream(&self, ends: &Arc<Notify>) {
        self.with(|session| {
            if session.stream.as_ref().is_some_and(|open| Arc::ptr_eq(open, ends)) {
                session.stream = None;
            }
        });
    }

    /// Begins a request under the client's own id.
    ///
    /// # Errors
    ///
    /// See [`NotRun`].
    pub fn run(&self, id: &str) -> Result<RunningGuard<'_>, NotRun> {
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
        Ok(RunningGuard { session: self, cancelled })
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

impl RunningGuard<'_> {
    /// Waits until the client, or the end of the session, cancels the request.
    pub async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        let cancelled = &self.cancelled;
        self.session.with(|session| session.running.retain(|running| !Arc::ptr_eq(&running.cancelled, cancelled)));
    }
}

#[cfg(test)]
mod tests;
