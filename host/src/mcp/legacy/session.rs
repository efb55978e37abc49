//! Sessions of clients of the `initialize` era: who they are, for how long, and what goes on in them.
//!
//! Owns all that a host must remember of a client between two requests, and the bounds on it: a number, a time of idleness,
//! a lifetime, a share for each principal. An idle session is an entry in a table and nothing else: no task, no channel, no
//! timer. At a bound the least recently used idle session makes room; a client that comes back to a session that is gone
//! hears 404 and begins a new one, as the specification lets servers do.

mod entered;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_ledger::{Account, Charge, Refusal};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::client::Client;
use super::slab::{Key, Slab};
use crate::access::{Full, Principal};
use crate::agent::changes::Listener;
use crate::agent::contract::Level;
use crate::manifest::Transports;
use crate::mcp::{Post, Scope};
use crate::memory::each::SESSION as SESSION_BYTES;
use crate::memory::{Ease, Relief};
pub use entered::{Entered, NotRun, OpenStream};

/// How often idle sessions are looked at, at least and at most.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(10);

/// When memory runs out, sessions go that have been idle for this part of the time they might have been.
const RETIRED_PART: u32 = 4;

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
    /// The stream that is open.
    stream: Option<OpenStream>,
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
    /// There are no bytes for one.
    Unpaid(Refusal),
    /// The system has no random bytes to name it with.
    Nameless,
}

impl Sessions {
    pub fn new(account: Account, limits: Transports) -> Self {
        Self(Arc::new(Inner { account, limits, slab: Mutex::default() }))
    }

    /// Lets idle ones be ended when memory runs out.
    pub fn register(&self, relief: &Relief) {
        let sessions = Arc::downgrade(&self.0);
        let relieve = move |bytes| sessions.upgrade().map_or(0, |sessions| Self(sessions).give_back(bytes));
        relief.register("sessions", Ease::Idle, relieve);
    }

    /// Begins a session, and says under which name.
    ///
    /// # Errors
    ///
    /// When all sessions are taken, or as many as the principal may have, and none of them is idle.
    pub fn begin(&self, client: Client) -> Result<Key, NoSession> {
        let secret = crate::access::random::<16>().map_err(|error| {
            tracing::error!(%error, "no session without random bytes");
            NoSession::Nameless
        })?;
        let principal = client.principal.clone();
        let (cap, share) = (self.0.limits.sessions, principal.share_of(self.0.limits.sessions));
        let full = |cap: u32, used: u32| {
            NoSession::Full(Full { limit: "sessions", unit: "sessions", cap: cap.into(), used: used.into() })
        };
        let mut slab = self.0.lock();
        if slab.of(principal.index()) >= share {
            let oldest = slab.oldest_of(principal.index()).ok_or_else(|| full(share, slab.of(principal.index())))?;
            drop(slab.remove(oldest).map(Session::ended));
        }
        if slab.len() >= cap {
            let oldest = slab.oldest().min_by_key(|(_, session)| session.used).map(|(key, _)| key);
            let oldest = oldest.ok_or_else(|| full(cap, slab.len()))?;
            drop(slab.remove(oldest).map(Session::ended));
        }
        let charge = loop {
            let refusal = match self.0.account.charge(SESSION_BYTES) {
                Ok(charge) => break charge,
                Err(refusal) => refusal,
            };
            // Only where sessions hold the bytes would it help to end one: the caller's own first.
            let own = slab.oldest_of(principal.index()).filter(|_| &*refusal.account == self.0.account.name());
            let oldest = own.ok_or(NoSession::Unpaid(refusal))?;
            drop(slab.remove(oldest).map(Session::ended));
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
            let over = slab.remove(key).map(Session::ended);
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
        let now = Instant::now();
        let ended = self.end_while(|session, _| now >= session.used + idle || now >= session.began + lifetime);
        if !ended.is_empty() {
            tracing::debug!(sessions = ended.len(), "idle sessions ended");
        }
    }

    /// Ends sessions that nobody has used for a while, the least recently used first, until so many bytes are given back;
    /// says how many were.
    pub fn give_back(&self, bytes: u64) -> u64 {
        let (idle, now) = (self.0.limits.idle / RETIRED_PART, Instant::now());
        let ended = self.end_while(|session, ended| ended as u64 * SESSION_BYTES < bytes && now >= session.used + idle);
        ended.len() as u64 * SESSION_BYTES
    }

    /// Ends idle sessions, the least recently used of each principal first, while `is_over` says so of the next one, told
    /// how many have been ended.
    fn end_while(&self, is_over: impl Fn(&Session, usize) -> bool) -> Vec<Session> {
        let mut ended = Vec::new();
        let mut slab = self.0.lock();
        loop {
            // The heads of the lines were used least recently: behind one that is not over, none has been idle for longer.
            let over = slab.oldest().find(|(_, session)| is_over(session, ended.len())).map(|(key, _)| key);
            let Some(key) = over else { break };
            ended.extend(slab.remove(key).map(Session::ended));
        }
        drop(slab);
        ended
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

#[cfg(test)]
mod tests;
