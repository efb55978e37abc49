//! The era of `initialize`: 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05.
//!
//! A client begins a session and says once what it is; what it may hear later comes on a stream of that session. A request
//! without a session is served as well, as far as it needs none: nothing is kept for it. Versions differ only in what they
//! lack, and clients skip fields they do not know, so all get the same replies; only what is of another *type* in older
//! schemas is left out (see `tools`).
//!
//! - `session`, `slab`, `client`: who is there. `opening`: how it begins. `serving`: a request in a session.
//! - `hearing`: the stream of a session, and what it is subscribed to. `asking`: questions to the client.
//! - `batch`: several messages in one POST. `pair`: the two paths of 2024-11-05.

mod asking;
mod batch;
mod client;
mod hearing;
mod opening;
mod pair;
mod serving;
mod session;
mod slab;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Error;
use super::modern::RequestMeta;
use super::reply::Reply;
use super::{Asked, Post, Scope, Service, headers, request, version};
use crate::access::Principal;
use crate::manifest::Transports;
use crate::memory::Accounts;
use asking::Asking;
pub use batch::batch;
use session::{Entered, NoSession, Sessions};
use slab::Key;

/// The header that names a session.
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// What this era keeps.
pub struct State {
    sessions: Sessions,
    asking: Asking,
}

impl State {
    pub fn new(accounts: &Accounts, limits: Transports) -> Self {
        let sessions = Sessions::new(accounts.sessions.clone(), limits);
        sessions.register(&accounts.relief);
        Self { sessions, asking: Asking::new(limits) }
    }

    /// Ends all sessions.
    pub fn end(&self) {
        self.sessions.clear();
    }

    /// Sessions there are.
    pub fn sessions(&self) -> u32 {
        self.sessions.count()
    }

    /// Ends sessions whose time is over, for as long as it is polled.
    pub async fn tend(&self) {
        self.sessions.tend().await;
    }
}

/// The revision a request is served by. Clients get the header wrong often enough (absent, or another known revision
/// than the agreed one) that every known revision is as good as another; one we do not know is refused.
fn version(
    meta: &RequestMeta,
    session: Option<&Entered>,
    header: Option<&str>,
    method: &str,
) -> Result<&'static str, Error> {
    if let Some(version) = meta.legacy_version() {
        return Ok(version);
    }
    let said = match header {
        // It asks for a version in its parameters.
        Some(_) if method == "initialize" => return Ok(version::NEWEST_LEGACY),
        Some(said) => Some(version::legacy(said).ok_or_else(|| Error::unsupported_version(said))?),
        None => None,
    };
    // What was agreed on counts more than what a header says.
    Ok(session.map(|session| session.client.version).or(said).unwrap_or(version::WITHOUT_HEADER))
}

/// What is read of a request before anybody is asked, and the revision it comes to; for fuzzers.
pub fn agreed(
    meta: &RequestMeta,
    headers: &HeaderMap,
    header: Option<&str>,
    method: &str,
    params: Option<&RawValue>,
) -> Result<&'static str, Error> {
    session_key(headers)?;
    match method {
        "initialize" => opening::read(params),
        "logging/setLevel" => serving::wanted_level(params).map(|_| version::WITHOUT_HEADER),
        _ => version(meta, None, header, method),
    }
}

/// Answers a request of this era.
pub async fn serve(asked: &Asked<'_>) -> Result<Reply, Error> {
    let &Asked { service, post, meta, header, .. } = asked;
    if asked.method == "initialize" {
        version(meta, None, header, asked.method)?;
        let pair = service.enter(post).ok().flatten().filter(|session| session.pair().is_some());
        return opening::initialize(pair.as_ref(), asked);
    }
    let session = service.enter(post)?;
    let version = version(meta, session.as_ref(), header, asked.method)?;
    serving::serve(session.as_ref(), version, asked).await
}

/// The revision that a header names, for what says it nowhere else.
fn named_version(headers: &HeaderMap) -> Result<Option<&'static str>, Error> {
    let Some(said) = headers::value(headers, &headers::VERSION)? else { return Ok(None) };
    let known = version::SUPPORTED.into_iter().find(|known| *known == said);
    known.map(Some).ok_or_else(|| Error::unsupported_version(said))
}

/// Takes a client's notification. Those of other eras, and those we do not know, change nothing.
pub fn notified(service: &Arc<Service>, post: &Post, method: &str, params: Option<&RawValue>) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cancelled<'a> {
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let session = named_version(&post.headers).and_then(|said| match said {
        // That revision has no sessions, and its servers do not look at their header.
        Some(version::MODERN) => Ok(None),
        _ => service.enter(post),
    });
    let session = match session {
        Ok(session) => session,
        Err(error) => return service.fail(None, &error),
    };
    tracing::trace!(%method, "notification");
    if let (Some(session), "notifications/cancelled") = (&session, method)
        && let Ok(Cancelled { request_id }) = request::params(params)
    {
        session.cancel(request_id.get());
    }
    Reply::empty(StatusCode::ACCEPTED)
}

/// Takes a client's answer to a question of ours. One that nobody waits for any more is too late, which is no mistake.
pub fn answered(service: &Arc<Service>, post: &Post, id: Option<&RawValue>, result: Option<&RawValue>) -> Reply {
    let taken = match service.enter(post) {
        Ok(Some(session)) => service.legacy.asking.answered(session.key(), id, result, post.copies.account()),
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    match taken {
        Ok(taken) => {
            tracing::trace!(taken, "answer");
            Reply::empty(StatusCode::ACCEPTED)
        }
        Err(error) => service.fail(None, &error),
    }
}

impl Service {
    /// The session a POST names; none if it names none.
    fn enter(&self, post: &Post) -> Result<Option<Entered>, Error> {
        let Some(key) = session_key(&post.headers)? else { return Ok(None) };
        match self.legacy.sessions.enter(key, &post.principal, &post.scope) {
            Ok(entered) => Ok(Some(entered)),
            Err(_) => Err(Error::no_session()),
        }
    }

    /// Ends the session that a DELETE names (2025-11-25, transports).
    pub fn end_session(&self, scope: &Scope, headers: &HeaderMap, principal: &Arc<Principal>) -> Reply {
        let ended = named_version(headers).and_then(|said| {
            let key = match (said, session_key(headers)?) {
                (Some(version::MODERN), _) => return Err(Error::no_stream()),
                (_, key) => key.ok_or_else(Error::session_required)?,
            };
            let ended = self.legacy.sessions.end(key, principal, scope);
            if ended { Ok(()) } else { Err(Error::no_session()) }
        });
        match ended {
            Ok(()) => Reply::empty(StatusCode::NO_CONTENT),
            Err(error) => self.fail(None, &error),
        }
    }
}

/// The session that a request names.
fn session_key(headers: &HeaderMap) -> Result<Option<Key>, Error> {
    let Some(name) = headers::value(headers, &SESSION)? else { return Ok(None) };
    // What was never a name of ours is as unknown as one that is over.
    Key::parse(name).map(Some).ok_or_else(Error::no_session)
}

impl From<NoSession> for Error {
    fn from(none: NoSession) -> Self {
        match none {
            NoSession::Unknown => Self::no_session(),
            NoSession::Full(full) => Self::full(&full),
            NoSession::Unpaid(refusal) => Self::unpaid(&refusal),
            NoSession::Nameless => Self::internal("the system gives no random bytes"),
        }
    }
}

#[cfg(test)]
mod tests;
