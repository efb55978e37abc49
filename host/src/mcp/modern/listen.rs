//! `subscriptions/listen`: a stream of notices about what a client has named in its filter (2026-07-28).
//!
//! The first message says which part of the filter is served. The stream ends with the client, or with a result when the
//! host ends it.

use std::borrow::Cow;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::agent::changes::{Kinds, Listener};
use crate::mcp::call::Call;
use crate::mcp::error::Error;
use crate::mcp::exchange::Stream;
use crate::mcp::notices::{self, Audible, Ended, Subscription};
use crate::mcp::parse::Text;
use crate::mcp::reply::Reply;
use crate::mcp::{catalog, events, request};

/// URIs a filter may name, whatever `transports.subscriptions` says; more are not even read.
const URIS_MAX: usize = 10_000;

/// What a client wants to hear of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter<'a> {
    #[serde(default)]
    tools_list_changed: bool,
    #[serde(default)]
    prompts_list_changed: bool,
    #[serde(default)]
    resources_list_changed: bool,
    #[serde(borrow, default)]
    resource_subscriptions: Uris<'a>,
}

#[derive(Default)]
struct Uris<'a>(Vec<Cow<'a, str>>);

/// What of it is served.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resource_subscriptions: &'a [Cow<'a, str>],
}

#[derive(Serialize)]
struct Acknowledged<'a> {
    #[serde(rename = "_meta")]
    meta: Subscription<'a>,
    notifications: Accepted<'a>,
}

/// The filter of a request.
pub fn read(params: Option<&RawValue>) -> Result<Filter<'_>, Error> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        notifications: &'a RawValue,
    }
    let Params { notifications } = request::params(params)?;
    request::params(Some(notifications))
}

/// Opens the stream.
pub async fn open(call: &Call<'_>, params: Option<&RawValue>) -> Result<Reply, Error> {
    let filter = read(params)?;
    let Some(outlet) = call.outlet else {
        return Err(Error::not_acceptable("`subscriptions/listen` is answered with text/event-stream: accept it"));
    };
    let service = call.service;
    check_size(call, &filter.resource_subscriptions.0)?;
    let place = service.places.take(call.principal).map_err(|full| Error::full(&full))?;
    let audible = Audible::of(call.endpoint, call.targets());
    let wanted = [
        (filter.tools_list_changed, Kinds::TOOLS),
        (filter.prompts_list_changed, Kinds::PROMPTS),
        (filter.resources_list_changed, Kinds::RESOURCES),
    ];
    let kinds =
        wanted.iter().filter(|(is_wanted, _)| *is_wanted).fold(Kinds::default(), |all, (_, kind)| all.with(*kind));
    let kinds = kinds.and(audible.lists);
    let interest = notices::interest(call.endpoint, kinds);
    let listener = service.agents.changes().listen(interest, &service.streams).map_err(|full| Error::unpaid(&full))?;
    let mut watched = Vec::new();
    for uri in filter.resource_subscriptions.0 {
        if watch(call, &listener, &uri).await? {
            watched.push(uri);
        }
    }
    let acknowledged = Acknowledged {
        meta: Subscription { id: call.id },
        notifications: Accepted {
            tools_list_changed: kinds.has(Kinds::TOOLS),
            prompts_list_changed: kinds.has(Kinds::PROMPTS),
            resources_list_changed: kinds.has(Kinds::RESOURCES),
            resource_subscriptions: &watched,
        },
    };
    let first = events::notice(outlet.account(), "notifications/subscriptions/acknowledged", Some(acknowledged));
    let first = first.map_err(|overflow| Error::overflow(overflow, None))?;

    let (id, keep_alive) = (call.id.to_owned(), service.limits.keep_alive);
    let own: notices::Own = call.endpoint.agent().map(|agent| agent.name().into());
    Ok(Reply::lasting(Stream::new(&service.streams, move |outlet| async move {
        let _place = place;
        let subscription = Subscription { id: &id };
        outlet.send(first).await;
        match notices::tell(&outlet, &listener, &own, Some(subscription), keep_alive).await? {
            Ended::Gone => {}
            Ended::Closed => {
                if let Ok(event) = events::message(outlet.account(), &Over::new(subscription)) {
                    outlet.send(event).await;
                }
            }
        }
        Ok(())
    })))
}

/// Subscribes to one resource; false for one that nobody can subscribe to, which is left out of what is acknowledged.
async fn watch(call: &Call<'_>, listener: &Listener, shown: &str) -> Result<bool, Error> {
    let subscriptions = call.service.limits.subscriptions;
    if let Some(agent) = catalog::agent_of(call.endpoint, shown) {
        if !catalog::has(call, agent) {
            return Ok(false);
        }
        return match catalog::watch(call, listener, agent) {
            Ok(()) => Ok(true),
            Err(unwatched) => Err(notices::full(unwatched, subscriptions)),
        };
    }
    let Ok((target, uri)) = call.located(shown) else { return Ok(false) };
    let watched = target.agent.watch(listener, &call.caller, uri, subscriptions as usize).await;
    match watched {
        Ok(()) => Ok(true),
        Err(crate::agent::WatchError::Unwatched(_)) => {
            Err(notices::unwatched(watched.expect_err("it is one"), shown, subscriptions, &target, call.era))
        }
        Err(_) => Ok(false),
    }
}

/// A filter that is too large is refused before anybody is asked.
fn check_size(call: &Call<'_>, uris: &[Cow<'_, str>]) -> Result<(), Error> {
    let limits = &call.service.limits;
    let (count, bytes) = (uris.len() as u64, uris.iter().map(|uri| uri.len() as u64).sum::<u64>());
    let subscriptions = u64::from(limits.subscriptions);
    if count > subscriptions {
        return Err(Error::beyond("transports.subscriptions", "resources", subscriptions, count));
    }
    if bytes > limits.filter {
        return Err(Error::beyond("transports.filter", "bytes", limits.filter, bytes));
    }
    Ok(())
}

/// The result that ends a stream.
#[derive(Serialize)]
struct Over<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: OverResult<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OverResult<'a> {
    result_type: &'static str,
    #[serde(rename = "_meta")]
    meta: Subscription<'a>,
}

impl<'a> Over<'a> {
    fn new(subscription: Subscription<'a>) -> Self {
        Self { jsonrpc: "2.0", id: subscription.id, result: OverResult { result_type: "complete", meta: subscription } }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Uris<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<Cow<'de, str>>;

            fn expecting(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
                out.write_str("a list of URIs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut uris: Vec<Cow<str>> = Vec::new();
                while let Some(Text(uri)) = items.next_element()? {
                    if uris.len() >= URIS_MAX {
                        return Err(A::Error::custom(format_args!("more than {URIS_MAX} URIs")));
                    }
                    uris.push(uri);
                }
                Ok(uris)
            }
        }
        deserializer.deserialize_seq(Reader).map(Uris)
    }
}
