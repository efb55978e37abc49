//! The Model Context Protocol: one message in, one reply out.
//!
//! Knows every revision that is served and nothing about sockets: HTTP comes in as headers and bytes, and leaves as a
//! status and bytes, or as a stream of them. A message is parsed once and borrowed all the way; a reply is written straight
//! into a charged buffer. Never holds a guest's result longer than it takes to write it.
//!
//! # Layout, along one request's way
//!
//! - `parse`: bytes -> message, after bounds on its structure. `version`: which era it belongs to.
//! - `exchange`: a request becomes a reply, or a stream of `events` once there is something to say before it.
//! - `modern`: what 2026-07-28 demands of a request; `headers`, `mark`: the headers that repeat parts of the body.
//! - `legacy`: the era of `initialize`, from 2024-11-05 to 2025-11-25, with its sessions, streams and batches.
//! - `request`: method and parameters -> one enum. `call`: whom it is about. `name`: names across agents, cursors.
//! - `list` and `page`, `read`, `tools`, `prompts`: what agents are asked for. `server`: what we say about ourselves.
//! - `catalog`: the registry itself, as a client sees it.
//! - `follow`: what a guest says while it runs. `notices`: what has changed. `questions`: what an agent wants to know first.
//! - `view`, `stream`, `json`: the contract's types as JSON. `buffer`: where replies grow, under a charge.
//! - `error`, `explain`: failures as JSON-RPC, and in words. `refuse`: those that are about no message.
//! - `kept`: results for whoever asks next.
//! - `fuzz`: the way up to where an agent is asked, for fuzzers.

pub mod buffer;
mod call;
mod catalog;
mod error;
mod events;
mod exchange;
mod explain;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod headers;
mod json;
mod kept;
mod legacy;
mod list;
mod mark;
mod modern;
mod name;
mod notices;
mod page;
mod parse;
mod prompts;
mod questions;
mod read;
mod refuse;
mod reply;
mod request;
mod server;
mod stream;
mod tools;
mod version;
mod view;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use stockade_ledger::{Account, Charge};
use tokio::task::JoinSet;

use crate::access::{Place, Places, Principal};
use crate::agent::{Agents, Caller};
use crate::manifest::{HttpLimits, Transports};
use crate::memory::{Accounts, Pressure};
use buffer::{Buffer, Overflow};
use call::{Call, Endpoint, Target};
use error::Error;
pub use error::{HostLimit, excerpt};
pub use exchange::{Aborted, Outlet, Stream};
pub use explain::amount;
use kept::Kept;
pub use legacy::SESSION;
use parse::{Bounds, Malformed, Message, Parcel};
pub use reply::{Body, Reply};
use version::Era;
pub use version::MODERN as NEWEST;

/// What goes out when not even an error can be paid for.
const NO_ROOM: &[u8] =
    br#"{"jsonrpc":"2.0","error":{"code":-32050,"message":"the host has no memory left for a reply: try again"}}"#;

/// Pause before something that failed begins again.
const BEGIN_AGAIN: Duration = Duration::from_secs(1);

/// Agents named in a message that says which there are.
const NAMED_AGENTS_MAX: usize = 20;

/// Answers MCP for all agents.
pub struct Service {
    agents: Agents,
    /// Pays for replies.
    replies: Account,
    /// Pays for streams and for what waits in them.
    streams: Account,
    /// Structure of a message.
    bounds: Bounds,
    /// Bytes of one reply that is collected, and of one resource that is not.
    reply: u64,
    stream_bytes_max: u64,
    limits: Transports,
    /// Streams that may be open.
    places: Places,
    marks: mark::Marks,
    /// Results for whoever asks next.
    pub kept: Kept,
    pressure: Pressure,
    modern: modern::State,
    legacy: legacy::State,
}

/// One POST of a client, with what HTTP knows about it.
#[derive(Debug)]
pub struct Post {
    pub scope: Scope,
    pub headers: HeaderMap,
    pub body: Buffer,
    /// Pays for what is copied out of the body while it is answered.
    pub copies: Charge,
    pub principal: Arc<Principal>,
    pub accept: Accept,
    /// Its place among the requests in flight, held as long as anything runs for it.
    pub place: Arc<Place>,
}

/// What clients keep open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub sessions: u32,
    pub streams: u32,
    pub listeners: usize,
}

/// Which endpoint was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `/mcp`: every agent.
    All,
    /// `/mcp/{agent}`: one agent as a server of its own.
    One(Arc<str>),
}

/// What a client takes as a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    Json,
    Events,
    /// Both: JSON, unless there is something to say before the reply.
    Either,
}

impl Service {
    pub fn new(agents: Agents, accounts: &Accounts, http: HttpLimits, limits: Transports) -> anyhow::Result<Self> {
        let bounds = Bounds { depth: http.depth, elements: http.elements };
        Ok(Self {
            replies: accounts.replies.clone(),
            streams: accounts.streams.clone(),
            bounds,
            reply: http.reply,
            stream_bytes_max: http.stream_bytes_max,
            places: Places::new("streams", "streams", limits.streams),
            marks: mark::Marks::default(),
            kept: Kept::new(accounts, http.kept),
            pressure: accounts.pressure.clone(),
            modern: modern::State::new(limits.input_wait)?,
            legacy: legacy::State::new(accounts, limits),
            limits,
            agents,
        })
    }

    /// Answers one POST. Dropping the future cancels whatever runs for it.
    pub async fn answer(self: &Arc<Self>, post: Post) -> Reply {
        let (service, accept) = (self.clone(), post.accept);
        let exchange =
            exchange::Exchange::new(&self.streams, move |outlet| async move { service.run(&post, &outlet).await });
        let reply = exchange.reply().await;
        if accept == Accept::Events { reply.into_events(&self.streams) } else { reply }
    }

    /// Ends every stream that waits for something to happen, so that the host can stop. What is being answered goes on.
    pub fn close(&self) {
        self.agents.changes().close();
    }

    /// Ends every session, once nothing is served any more.
    pub fn end(&self) {
        self.legacy.end();
    }

    /// What clients keep open now.
    pub fn open(&self) -> Open {
        let (sessions, streams) = (self.legacy.sessions(), self.places.held());
        Open { sessions, streams, listeners: self.agents.changes().listeners() }
    }

    /// Does what is due from time to time, for as long as it is polled. What fails does not take the rest with it.
    pub async fn tend(self: &Arc<Self>) {
        let with = |work: fn(Arc<Self>) -> Forever| move || work(self.clone());
        tokio::join!(
            unfailing(
                "telling what has changed",
                with(|host| Box::pin(async move { host.agents.changes().run().await }))
            ),
            unfailing(
                "looking at subscribed resources",
                with(|host| Box::pin(async move { host.agents.poll().await }))
            ),
            unfailing("ending idle sessions", with(|host| Box::pin(async move { host.legacy.tend().await }))),
        );
    }

    async fn run(self: &Arc<Self>, post: &Post, outlet: &Outlet) -> Reply {
        let outlet = (post.accept != Accept::Json).then_some(outlet);
        match parse::parcel(post.body.as_ref(), self.bounds, self.limits.batch) {
            Ok(Parcel::One(message)) => self.message(post, message, outlet).await,
            Ok(Parcel::Batch(messages)) => legacy::batch(self, post, &messages).await,
            Err(Malformed { id, error }) => self.fail(id, &error),
        }
    }

    async fn message(self: &Arc<Self>, post: &Post, message: Message<'_>, outlet: Option<&Outlet>) -> Reply {
        if let Message::Request { id, method, .. } = &message
            && method != "ping"
            && let Some(limit) = self.out_of_memory()
        {
            return self.fail(Some(id), &Error::refused(limit));
        }
        match message {
            Message::Request { id, method, params } => match self.request(post, id, &method, params, outlet).await {
                Ok(reply) => reply,
                Err(error) => self.fail(Some(id), &error),
            },
            Message::Notification { method, params } => legacy::notified(self, post, &method, params),
            Message::Response { id, result } => legacy::answered(self, post, id, result),
        }
    }

    /// Bytes that a stream may have.
    pub fn stream_bytes_max(&self) -> u64 {
        self.stream_bytes_max
    }

    /// What pays for streams.
    pub fn streams_account(&self) -> &Account {
        &self.streams
    }

    async fn request(
        self: &Arc<Self>,
        post: &Post,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
        outlet: Option<&Outlet>,
    ) -> Result<Reply, Error> {
        let endpoint = &self.endpoint(&post.scope)?;
        let meta = modern::RequestMeta::read(params)?;
        let header = headers::value(&post.headers, &headers::VERSION)?;
        let asked = Asked { service: self, post, endpoint, header, meta: &meta, id, method, params, outlet };
        if meta.is_modern(header, method) {
            modern::serve(&asked).await
        } else {
            legacy::serve(&asked).await.map_err(Error::on_legacy_wire)
        }
    }

    fn endpoint(&self, scope: &Scope) -> Result<Endpoint, Error> {
        let Scope::One(name) = scope else { return Ok(Endpoint::Common) };
        let agent = self.agents.get(name).ok_or_else(|| Error::no_agent(name, &self.known_agents()))?;
        Ok(Endpoint::Own(Target::of(&agent)?))
    }

    fn known_agents(&self) -> String {
        let roll = self.agents.roll();
        let names: Vec<&str> = roll.iter().take(NAMED_AGENTS_MAX).map(|agent| agent.name()).collect();
        let more = if roll.iter().nth(NAMED_AGENTS_MAX).is_some() { ", ..." } else { "" };
        format!("there are: {}{more}; `/mcp` serves them all", names.join(", "))
    }

    fn fail(&self, id: Option<&RawValue>, error: &Error) -> Reply {
        let Error { status, body, .. } = error;
        tracing::debug!(status = status.as_u16(), code = body.code, message = %body.message, "refused");
        // What cannot be said because it is too long can still be said to be too long.
        let said = self.error_reply(id, error).or_else(|full| self.error_reply(id, &Error::overflow(full, None)));
        said.unwrap_or_else(|_| Reply {
            retry_after: Some(error::RETRY_AFTER),
            body: Body::Whole(Bytes::from_static(NO_ROOM)),
            ..Reply::empty(StatusCode::SERVICE_UNAVAILABLE)
        })
    }

    fn error_reply(&self, id: Option<&RawValue>, error: &Error) -> Result<Reply, Overflow> {
        let mut buffer = self.buffer();
        write_error(&mut buffer, id, error)?;
        let body = Body::Whole(buffer.into_bytes());
        Ok(Reply { retry_after: error.retry_after, body, ..Reply::empty(error.status) })
    }

    fn buffer(&self) -> Buffer {
        Buffer::new(&self.replies, self.reply)
    }
}

/// Something that is done for as long as the host runs.
type Forever = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does something for ever: what panics begins again.
async fn unfailing(what: &str, work: impl Fn() -> Forever) {
    loop {
        // A set of one, so that it ends with this future.
        let mut task = JoinSet::new();
        task.spawn(work());
        let done = task.join_next().await;
        tracing::error!(what, ?done, "a fault of the host: it begins again; please report it");
        tokio::time::sleep(BEGIN_AGAIN).await;
    }
}

/// A request as it was read, and where news of it go.
struct Asked<'a> {
    service: &'a Arc<Service>,
    post: &'a Post,
    endpoint: &'a Endpoint,
    /// `MCP-Protocol-Version`.
    header: Option<&'a str>,
    meta: &'a modern::RequestMeta<'a>,
    id: &'a RawValue,
    method: &'a str,
    params: Option<&'a RawValue>,
    outlet: Option<&'a Outlet>,
}

impl<'a> Asked<'a> {
    /// The way to an agent, in the words of `era`.
    fn call(&self, era: Era, caller: Caller) -> Call<'a> {
        let &Self { service, endpoint, post, id, outlet, .. } = self;
        let Post { principal, headers, .. } = post;
        Call { service, endpoint, era, principal, caller: caller.into(), headers, id, outlet }
    }
}

/// Writes `value` as JSON.
fn put<T: Serialize>(buffer: &mut Buffer, value: &T) -> Result<(), Overflow> {
    serde_json::to_writer(&mut *buffer, value).map_err(|_| {
        buffer.overflow().expect("what is written has only string keys, so nothing but the buffer can fail")
    })
}

/// Writes a whole error reply.
fn write_error(buffer: &mut Buffer, id: Option<&RawValue>, error: &Error) -> Result<(), Overflow> {
    #[derive(Serialize)]
    struct ErrorReply<'a> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        error: &'a error::Body,
    }
    put(buffer, &ErrorReply { jsonrpc: "2.0", id, error: &error.body })
}

#[cfg(test)]
pub(crate) mod tests;
