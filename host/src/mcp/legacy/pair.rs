//! The transport of 2024-11-05: a stream, and a path of its own to which the client posts (HTTP with SSE).
//!
//! The stream begins with the path; replies come on it as events, in whatever order they are done. Each message runs as a
//! task of its own, so that a client that does not read keeps no guest from its clock; they take turns at the stream, event
//! by event. All of them end with the stream, and the session with it.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::SESSION;
use super::client::Client;
use super::hearing::listener;
use super::session::Entered;
use super::slab::Key;
use crate::access::{Full, Principal};
use crate::mcp::error::Error;
use crate::mcp::exchange::{Aborted, Exchange, Outlet, Stream};
use crate::mcp::notices::{self, Heard, Own};
use crate::mcp::reply::{Body, Reply};
use crate::mcp::{Post, Scope, Service, events, version};

/// Messages of one client that may wait to be begun.
const MESSAGES_WAITING_MAX: usize = 16;

/// Messages of one client that may be under way.
const MESSAGES_RUNNING_MAX: usize = 64;

/// Before the client has said which one it speaks.
const REVISION: &str = version::OLDEST;

/// The turns of those who write to one stream.
type Turns = Arc<Mutex<Outlet>>;

impl Service {
    /// Opens the stream. `messages` is the path that the client is to post to, without the session's name.
    pub fn open_pair(self: &Arc<Self>, scope: &Scope, principal: &Arc<Principal>, messages: &str) -> Reply {
        let opened = self.pair(scope, principal, messages);
        opened.unwrap_or_else(|error| self.fail(None, &error))
    }

    fn pair(self: &Arc<Self>, scope: &Scope, principal: &Arc<Principal>, messages: &str) -> Result<Reply, Error> {
        let endpoint = self.endpoint(scope)?;
        let place = self.places.take(principal).map_err(|full| Error::full(&full))?;
        let (principal, scope) = (principal.clone(), scope.clone());
        let client =
            Client { principal: principal.clone(), scope: scope.clone(), version: REVISION, capabilities: "".into() };
        let key = self.legacy.sessions.begin(client)?;
        let session = Ending(self.legacy.sessions.enter(key, &principal, &scope)?);
        let (sender, posts) = mpsc::channel(MESSAGES_WAITING_MAX);
        session.0.set_pair(sender);
        let listener = listener(self, &endpoint, &session.0)?;
        let path = format!("{messages}?sessionId={}", key.name());
        let first = events::named(&self.streams, "endpoint", &path).map_err(|full| Error::overflow(full, None))?;

        let own: Own = endpoint.agent().map(|agent| agent.name().into());
        let service = self.clone();
        Ok(Reply::lasting(Stream::new(&self.streams, move |outlet| async move {
            let _place = place;
            let session = session;
            outlet.send(first).await;
            let turns: Turns = Arc::new(Mutex::new(outlet));
            let ends_at = session.0.ends_at();
            tokio::select! {
                ended = serve(&service, posts, &turns) => ended,
                ended = tell(&turns, &listener, &own, service.limits.keep_alive) => ended,
                () = tokio::time::sleep_until(ends_at) => Ok(()),
            }
        })))
    }

    /// Takes a message for the session of this name; its reply comes on that session's stream.
    pub fn post_to_pair(&self, session: &str, mut post: Post) -> Reply {
        let taken = Key::parse(session).ok_or_else(Error::no_session).and_then(|key| {
            let entered = self.legacy.sessions.enter(key, &post.principal, &post.scope)?;
            let messages = entered.pair().ok_or_else(Error::no_session)?;
            let name = HeaderValue::from_str(&key.name()).expect("hex digits can stand in a header");
            post.headers.insert(SESSION, name);
            messages.try_send(post).map_err(|error| match error {
                TrySendError::Closed(_) => Error::no_session(),
                TrySendError::Full(_) => {
                    let cap = MESSAGES_WAITING_MAX as u64;
                    Error::full(&Full { limit: "messages", unit: "messages", cap, used: cap })
                }
            })
        });
        match taken {
            Ok(()) => Reply::empty(StatusCode::ACCEPTED),
            Err(error) => self.fail(None, &error),
        }
    }
}

/// The session of a stream: it ends with it.
struct Ending(Entered);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs each message as a task, until one of them breaks off in the middle of its reply.
async fn serve(service: &Arc<Service>, mut posts: mpsc::Receiver<Post>, turns: &Turns) -> Result<(), Aborted> {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            post = posts.recv(), if running.len() < MESSAGES_RUNNING_MAX => match post {
                Some(post) => drop(running.spawn(answer(service.clone(), post, turns.clone()))),
                None => return Ok(()),
            },
            // What panicked has perhaps written half of its reply.
            Some(done) = running.join_next() => done.unwrap_or(Err(Aborted))?,
        }
    }
}

async fn answer(service: Arc<Service>, post: Post, turns: Turns) -> Result<(), Aborted> {
    let account = service.streams.clone();
    let place = post.place.clone();
    let exchange = Exchange::new(&account, move |outlet| async move { service.run(&post, &outlet).await });
    let reply = exchange.reply().await;
    // It is in flight until its reply has been written, unless that lasts and has a place among the streams.
    let _place = (!reply.lasting).then_some(place);
    let mut stream = match reply.body {
        Body::Events(stream) => stream,
        // A notification: nothing to say, and no turn to wait for.
        Body::Whole(bytes) if bytes.is_empty() => return Ok(()),
        _ => return events::write_reply(&*turns.lock().await, reply).await,
    };
    let mut turn = None;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        if turn.is_none() {
            turn = Some(turns.lock().await);
        }
        let outlet = turn.as_ref().expect("taken just now");
        let is_end = bytes.ends_with(events::END);
        outlet.send(bytes).await;
        if is_end {
            turn = None;
        }
    }
    Ok(())
}

async fn tell(
    turns: &Turns,
    listener: &crate::agent::changes::Listener,
    own: &Own,
    keep_alive: std::time::Duration,
) -> Result<(), Aborted> {
    loop {
        let heard = notices::hear(listener, keep_alive).await;
        let outlet = turns.lock().await;
        let there = match heard {
            Heard::Changes(marks) => notices::tell_marks(&outlet, &marks, own, None).await?,
            Heard::Nothing => outlet.send(events::keep_alive()).await,
            Heard::Closed => return Ok(()),
        };
        if !there {
            return Ok(());
        }
    }
}
