//! What has changed, told to whoever listens: the common part of `subscriptions/listen` (2026-07-28) and of the session
//! streams before it.
//!
//! A notice says that something changed, never what it is now, so one notice stands for any number of changes.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Endpoint, Target, Targets};
use super::error::Error;
use super::events;
use super::exchange::{Aborted, Outlet};
use super::name::Names;
use crate::agent::changes::{Interest, Kinds, Listener, Marks};
use crate::agent::contract::Changes as Announced;

/// Which changes of an endpoint can be heard of at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audible {
    pub lists: Kinds,
    /// Changes of single resources.
    pub resources: bool,
}

impl Audible {
    /// On the common endpoint agents come and go, and their lists with them; an agent's own endpoint changes as the agent
    /// says.
    pub fn of(endpoint: &Endpoint, targets: Targets<'_>) -> Self {
        let lists = match endpoint {
            Endpoint::Common => Kinds::ALL,
            Endpoint::Own(target) => {
                let changes = target.offer.description.changes;
                let kind = |flag, kind| if changes.contains(flag) { kind } else { Kinds::default() };
                kind(Announced::TOOLS, Kinds::TOOLS)
                    .with(kind(Announced::PROMPTS, Kinds::PROMPTS))
                    .with(kind(Announced::RESOURCES, Kinds::RESOURCES))
            }
        };
        // Entries of the registry can be subscribed to in any case.
        let resources = match endpoint {
            Endpoint::Common => true,
            Endpoint::Own(_) => targets.iter().any(|target| target.agent.is_watchable()),
        };
        Self { lists, resources }
    }
}

/// What a listener on an endpoint wants to hear of lists.
pub fn interest(endpoint: &Endpoint, kinds: Kinds) -> Interest {
    Interest { kinds, agent: endpoint.agent().map(|agent| agent.name().into()) }
}

/// The agent of an endpoint, for a stream that outlives the request; none on the common one.
pub type Own = Option<Arc<str>>;

/// The names of the notices of lists.
const LISTS: [(Kinds, &str); 3] = [
    (Kinds::TOOLS, "notifications/tools/list_changed"),
    (Kinds::PROMPTS, "notifications/prompts/list_changed"),
    (Kinds::RESOURCES, "notifications/resources/list_changed"),
];

#[derive(Serialize)]
struct ListParams<'a> {
    #[serde(rename = "_meta")]
    meta: Subscription<'a>,
}

#[derive(Serialize)]
struct ResourceParams<'a> {
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Subscription<'a>>,
    uri: String,
}

/// Which `subscriptions/listen` a message belongs to: the id of that request.
#[derive(Clone, Copy, Serialize)]
pub struct Subscription<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    pub id: &'a RawValue,
}

/// Why a stream of notices ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The host, or the session, has ended it.
    Closed,
    /// The client has.
    Gone,
}

/// What came of listening for a while.
pub enum Heard {
    Changes(Marks),
    /// Nothing for so long that the client should hear that we are still here.
    Nothing,
    /// It is over.
    Closed,
}

/// Waits for changes, for as long as a stream may be quiet.
pub async fn hear(listener: &Listener, keep_alive: Duration) -> Heard {
    let marks = std::future::poll_fn(|cx| listener.poll_marks(cx));
    match tokio::time::timeout(keep_alive, marks).await {
        Ok(Some(marks)) => Heard::Changes(marks),
        Ok(None) => Heard::Closed,
        Err(_) => Heard::Nothing,
    }
}

/// Tells a client what changes, until the listener is closed or the client is gone.
pub async fn tell(
    outlet: &Outlet,
    listener: &Listener,
    own: &Own,
    subscription: Option<Subscription<'_>>,
    keep_alive: Duration,
) -> Result<Ended, Aborted> {
    loop {
        let there = match hear(listener, keep_alive).await {
            Heard::Changes(marks) => tell_marks(outlet, &marks, own, subscription).await?,
            Heard::Nothing => outlet.send(events::keep_alive()).await,
            Heard::Closed => return Ok(Ended::Closed),
        };
        if !there {
            return Ok(Ended::Gone);
        }
    }
}

/// Tells a client what has changed; false when it is gone.
pub async fn tell_marks(
    outlet: &Outlet,
    marks: &Marks,
    own: &Own,
    subscription: Option<Subscription<'_>>,
) -> Result<bool, Aborted> {
    // A notice that finds no room would be a change nobody hears of: then the stream ends, and the client asks anew.
    let account = outlet.account();
    for (_, method) in LISTS.iter().filter(|(kind, _)| marks.kinds.has(*kind)) {
        let params = subscription.map(|meta| ListParams { meta });
        let event = events::notice(account, method, params).map_err(|_| Aborted)?;
        if !outlet.send(event).await {
            return Ok(false);
        }
    }
    for topic in &marks.resources {
        let names = Names { agent: (own.is_none() && !topic.is_of_host()).then_some(&*topic.agent) };
        let params = ResourceParams { meta: subscription, uri: names.uri(&topic.uri).to_string() };
        let event = events::notice(account, "notifications/resources/updated", Some(params)).map_err(|_| Aborted)?;
        if !outlet.send(event).await {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why a resource cannot be subscribed to, as an error; `shown` is its URI as the client knows it.
pub fn unwatched(
    error: crate::agent::WatchError,
    shown: &str,
    subscriptions: u32,
    target: &Target,
    era: super::version::Era,
) -> Error {
    use crate::agent::WatchError as Why;
    match error {
        Why::NotServed => {
            let agent = target.agent.name();
            Error::invalid_params(format!("the agent `{agent}` does not say when its resources change"))
        }
        Why::Failed(failure) => Error::of(failure, era, super::error::About::Resource(shown), &target.identity()),
        Why::Unwatched(unwatched) => full(unwatched, subscriptions),
    }
}

/// Why a listener cannot have one resource more.
pub fn full(unwatched: crate::agent::changes::Unwatched, subscriptions: u32) -> Error {
    use crate::agent::changes::Unwatched;
    match unwatched {
        Unwatched::TooMany => {
            let cap = u64::from(subscriptions);
            Error::beyond("transports.subscriptions", "resources", cap, cap + 1)
        }
        Unwatched::Refused(refusal) => Error::unpaid(&refusal),
    }
}
