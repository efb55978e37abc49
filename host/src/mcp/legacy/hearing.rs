//! What a client of this era hears without asking each time: the stream of its session, and its subscriptions.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::session::{Entered, OpenStream};
use super::{named_version, session_key};
use crate::access::Principal;
use crate::agent::changes::Listener;
use crate::mcp::call::{Call, Targets};
use crate::mcp::error::Error;
use crate::mcp::exchange::Stream;
use crate::mcp::notices::{self, Audible, Own};
use crate::mcp::reply::Reply;
use crate::mcp::{Endpoint, Scope, Service, catalog, events, request, version};

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
}

/// `resources/subscribe`.
pub async fn subscribe(call: &Call<'_>, session: &Entered, params: Option<&RawValue>) -> Result<(), Error> {
    let Params { uri: shown } = request::params(params)?;
    let filter = call.service.limits.filter;
    if shown.len() as u64 > filter {
        return Err(Error::beyond("transports.filter", "bytes", filter, shown.len() as u64));
    }
    let subscriptions = call.service.limits.subscriptions;
    if let Some(agent) = catalog::agent_of(call.endpoint, &shown) {
        if !catalog::has(call, agent) {
            return Err(catalog::unknown(call, &shown));
        }
        let listener = listener(call.service, call.endpoint, session)?;
        return catalog::watch(call, &listener, agent).map_err(|unwatched| notices::full(unwatched, subscriptions));
    }
    let (target, uri) = call.located(&shown)?;
    let listener = listener(call.service, call.endpoint, session)?;
    let watched = target.agent.watch(&listener, &call.caller, uri, subscriptions as usize).await;
    watched.map_err(|error| notices::unwatched(error, &shown, subscriptions, &target, call.era))
}

/// `resources/unsubscribe`. What was never subscribed to is not heard of afterwards either.
pub fn unsubscribe(call: &Call<'_>, session: &Entered, params: Option<&RawValue>) -> Result<(), Error> {
    let Params { uri: shown } = request::params(params)?;
    let topic = match catalog::agent_of(call.endpoint, &shown) {
        Some(agent) => catalog::topic(agent),
        None => {
            let (target, uri) = call.located(&shown)?;
            target.agent.topic(uri)
        }
    };
    if let Some(listener) = session.known_listener() {
        listener.unwatch(&topic);
    }
    Ok(())
}

/// Who hears of changes in a session.
pub fn listener(service: &Service, endpoint: &Endpoint, session: &Entered) -> Result<Arc<Listener>, Error> {
    session.listener(|account| {
        let audible = Audible::of(endpoint, Targets::of(endpoint, service));
        let interest = notices::interest(endpoint, audible.lists);
        service.agents.changes().listen(interest, account).map_err(|full| Error::unpaid(&full))
    })
}

impl Service {
    /// The stream of the session that a GET names (2025-11-25, transports). A second one takes the place of the first,
    /// whose client may be gone without a word.
    pub fn open_stream(self: &Arc<Self>, scope: &Scope, headers: &HeaderMap, principal: &Arc<Principal>) -> Reply {
        let opened = named_version(headers).and_then(|said| match (said, session_key(headers)?) {
            (Some(version::MODERN), _) | (_, None) => Err(Error::no_stream()),
            (_, Some(key)) => Ok(self.legacy.sessions.enter(key, principal, scope)?),
        });
        opened.and_then(|session| self.stream(scope, session)).unwrap_or_else(|error| self.fail(None, &error))
    }

    fn stream(self: &Arc<Self>, scope: &Scope, session: Entered) -> Result<Reply, Error> {
        if session.pair().is_some() {
            // It has one already, on which its replies come as well.
            return Err(Error::no_stream());
        }
        let endpoint = self.endpoint(scope)?;
        let take = || self.places.take(&session.client.principal).map_err(|full| Error::full(&full));
        let open = Open { stream: session.open_stream(take, Error::no_session)?, session };
        let listener = listener(self, &endpoint, &open.session)?;
        let own: Own = endpoint.agent().map(|agent| agent.name().into());
        let (keep_alive, ends_at) = (self.limits.keep_alive, open.session.ends_at());
        Ok(Reply::lasting(Stream::new(&self.streams, move |outlet| async move {
            // At once, so that the client sees that it is there.
            outlet.send(events::keep_alive()).await;
            tokio::select! {
                biased;
                // First: who is replaced must not take what its successor is to tell.
                () = open.stream.replaced() => {}
                told = notices::tell(&outlet, &listener, &own, None, keep_alive) => drop(told?),
                () = tokio::time::sleep_until(ends_at) => open.session.end(),
            }
            Ok(())
        })))
    }
}

/// The stream of a session, while it is open.
struct Open {
    stream: OpenStream,
    session: Entered,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.session.close_stream(&self.stream);
    }
}
