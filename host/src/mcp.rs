//! The Model Context Protocol: one message in, one reply out.
//!
//! Knows every revision that is served and nothing about sockets: HTTP comes in as headers and bytes, and leaves as a
//! status and bytes. A message is parsed once and borrowed all the way; a reply is written straight into a charged
//! buffer. Never holds a guest's result longer than it takes to write it.
//!
//! # Layout, along one request's way
//!
//! - `parse`: bytes -> message, after bounds on its structure. `version`: which era it belongs to.
//! - `modern`: what 2026-07-28 demands of a request; `headers`, `mark`: the headers that repeat parts of the body.
//! - `legacy`: the era of `initialize`, from 2024-11-05 to 2025-11-25, without sessions.
//! - `request`: method and parameters -> one enum. `name`: names across agents, cursors.
//! - `list` and `page`, `read`, `tools`, `prompts`: what agents are asked for. `server`: what we say about ourselves.
//! - `view`, `stream`, `json`: the contract's types as JSON. `buffer`: where replies grow, under a charge.
//! - `error`, `explain`: failures as JSON-RPC, and in words.
//! - `fuzz`: the way up to where an agent is asked, for fuzzers.

pub mod buffer;
mod error;
mod explain;
#[doc(hidden)]
pub mod fuzz;
mod headers;
mod json;
mod legacy;
mod list;
mod mark;
mod modern;
mod name;
mod page;
mod parse;
mod prompts;
mod read;
mod request;
mod server;
mod stream;
mod tools;
mod version;
mod view;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use stockade_ledger::Account;

use crate::agent::{Agent, Agents, Caller, Offer};
use crate::manifest::HttpLimits;
use crate::memory::Accounts;
use buffer::{Buffer, Overflow};
pub use error::HostLimit;
use error::{About, Error};
pub use explain::amount;
use name::Names;
use parse::{Bounds, Malformed, Message};
use request::{Capability, Completion, Reference, Request};
use server::Meta;
use version::Era;

/// What goes out when not even an error can be paid for.
const NO_ROOM: &[u8] =
    br#"{"jsonrpc":"2.0","error":{"code":-32050,"message":"the host has no memory left for a reply: try again"}}"#;

/// Agents named in a message that says which there are.
const NAMED_AGENTS_MAX: usize = 20;

/// Answers MCP for all agents.
pub struct Service {
    agents: Agents,
    /// Pays for replies.
    replies: Account,
    /// Structure of a message.
    bounds: Bounds,
    /// Bytes of one reply.
    reply: u64,
    marks: mark::Marks,
}

/// One message of a client, with what HTTP knows about it.
#[derive(Debug)]
pub struct Post<'a> {
    pub scope: Scope<'a>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// Name of the token, else `anonymous`.
    pub principal: Arc<str>,
}

/// Which endpoint was called.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// `/mcp`: every agent.
    All,
    /// `/mcp/{agent}`: one agent as a server of its own.
    One(&'a str),
}

/// What goes back. JSON, or nothing.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// Holds its charge until the last clone of it is dropped.
    pub body: Bytes,
}

/// An agent that is loaded.
#[derive(Clone)]
struct Target {
    agent: Arc<Agent>,
    offer: Arc<Offer>,
}

/// A [`Scope`] whose agent was found.
enum Endpoint {
    Common,
    Own(Target),
}

/// One request while it is being answered.
struct Call<'a> {
    service: &'a Service,
    endpoint: &'a Endpoint,
    era: Era,
    caller: Arc<Caller>,
    headers: &'a HeaderMap,
    id: &'a RawValue,
}

impl Service {
    pub fn new(agents: Agents, accounts: &Accounts, limits: HttpLimits) -> Self {
        let bounds = Bounds { depth: limits.depth, elements: limits.elements };
        let replies = accounts.replies.clone();
        Self { agents, replies, bounds, reply: limits.reply, marks: mark::Marks::default() }
    }

    /// Answers one message. Dropping the future cancels whatever runs for it.
    pub async fn answer(&self, post: Post<'_>) -> Reply {
        let message = match parse::message(post.body, self.bounds) {
            Ok(message) => message,
            Err(Malformed { id, error }) => return self.fail(id, &error),
        };
        match message {
            Message::Request { id, method, params } => match self.request(&post, id, &method, params).await {
                Ok(body) => Reply { status: StatusCode::OK, retry_after: None, body: body.into_bytes() },
                Err(error) => self.fail(Some(id), &error),
            },
            // Nothing that clients may notify us of changes anything: there are no sessions to open or to cancel in.
            Message::Notification { method } => {
                tracing::trace!(%method, "notification");
                Reply { status: StatusCode::ACCEPTED, retry_after: None, body: Bytes::new() }
            }
            Message::Response => Reply { status: StatusCode::ACCEPTED, retry_after: None, body: Bytes::new() },
        }
    }

    /// An error reply that is not about a message, since there was none to read.
    pub fn refuse(&self, status: StatusCode, message: &str) -> Reply {
        self.fail(None, &Error::http(status, message))
    }

    /// A refusal by a limit of the host, before a message was read.
    pub fn refuse_at_limit(&self, limit: HostLimit) -> Reply {
        self.fail(None, &Error::refused(limit))
    }

    /// A refusal by the ledger, before a message was read.
    pub fn refuse_unpaid(&self, refusal: &stockade_ledger::Refusal) -> Reply {
        self.fail(None, &Error::unpaid(refusal))
    }

    async fn request(
        &self,
        post: &Post<'_>,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Buffer, Error> {
        let endpoint = &self.endpoint(post.scope)?;
        let meta = modern::RequestMeta::read(params)?;
        let header = headers::value(post.headers, &headers::VERSION)?;
        let era = if meta.is_modern(header, method) { Era::Modern } else { Era::Legacy };
        let version = match era {
            Era::Modern => version::MODERN,
            Era::Legacy => legacy::version(&meta, header, method)?,
        };
        let caller = Caller {
            principal: post.principal.clone(),
            protocol_version: version,
            capabilities: Vec::new(),
            answers: Vec::new(),
            state: None,
        };
        let call = Call { service: self, endpoint, era, caller: caller.into(), headers: post.headers, id };
        match era {
            Era::Modern => modern::serve(call, &meta, header, method, params).await,
            Era::Legacy => legacy::serve(call, method, params).await.map_err(Error::on_legacy_wire),
        }
    }

    fn endpoint(&self, scope: Scope<'_>) -> Result<Endpoint, Error> {
        let Scope::One(name) = scope else { return Ok(Endpoint::Common) };
        let agent = self.agents.get(name).ok_or_else(|| Error::no_agent(name, &self.known_agents()))?;
        Ok(Endpoint::Own(Target::of(agent)?))
    }

    fn known_agents(&self) -> String {
        let names: Vec<&str> = self.agents.all().take(NAMED_AGENTS_MAX).map(|agent| agent.name()).collect();
        let more = if self.agents.all().nth(NAMED_AGENTS_MAX).is_some() { ", ..." } else { "" };
        format!("there are: {}{more}; `/mcp` serves them all", names.join(", "))
    }

    fn fail(&self, id: Option<&RawValue>, error: &Error) -> Reply {
        let Error { status, body, .. } = error;
        tracing::debug!(status = status.as_u16(), code = body.code, message = %body.message, "refused");
        // What cannot be said because it is too long can still be said to be too long.
        let said = self.error_reply(id, error).or_else(|full| self.error_reply(id, &Error::overflow(full, None)));
        said.unwrap_or_else(|_| Reply {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(error::RETRY_AFTER),
            body: Bytes::from_static(NO_ROOM),
        })
    }

    fn error_reply(&self, id: Option<&RawValue>, error: &Error) -> Result<Reply, Overflow> {
        let mut buffer = self.buffer();
        write_error(&mut buffer, id, error)?;
        Ok(Reply { status: error.status, retry_after: error.retry_after, body: buffer.into_bytes() })
    }

    fn buffer(&self) -> Buffer {
        Buffer::new(&self.replies, self.reply)
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

impl Target {
    /// The agent, if it is loaded; else why it cannot even be asked.
    fn of(agent: &Arc<Agent>) -> Result<Self, Error> {
        match agent.offer() {
            Ok(offer) => Ok(Self { agent: agent.clone(), offer }),
            Err(failure) => {
                let agent = error::Agent { name: agent.name().into(), version: "".into() };
                Err(Error::of(failure, Era::Modern, About::Other, &agent))
            }
        }
    }

    /// As errors name it.
    fn identity(&self) -> error::Agent {
        error::Agent { name: self.agent.name().into(), version: self.offer.version.clone() }
    }
}

impl<'a> Call<'a> {
    /// Answers what is asked of agents.
    async fn dispatch(&self, method: &str, request: Request<'_>) -> Result<Buffer, Error> {
        if !self.is_served(request.capability()) {
            return Err(Error::method_not_found(method));
        }
        match request {
            Request::List(list, cursor) => list::answer(self, list, cursor.as_deref()).await,
            Request::Read { uri } => read::answer(self, &uri).await,
            Request::CallTool { name, arguments } => tools::answer(self, &name, arguments).await,
            Request::GetPrompt { name, arguments } => prompts::get(self, &name, arguments).await,
            Request::Complete(completion) => prompts::complete(self, &completion).await,
        }
    }

    /// Whether anybody here has the capability. An agent that is not loaded may have it.
    fn is_served(&self, capability: Capability) -> bool {
        let may_have = |agent: &Arc<Agent>| agent.offer().map_or(true, |offer| capability.is_of(&offer));
        match self.endpoint {
            Endpoint::Own(target) => capability.is_of(&target.offer),
            Endpoint::Common => self.service.agents.all().any(may_have),
        }
    }

    /// Every loaded agent of this endpoint.
    fn targets(&self) -> Vec<Target> {
        match self.endpoint {
            Endpoint::Own(target) => vec![target.clone()],
            Endpoint::Common => self.service.agents.all().filter_map(|agent| Target::of(agent).ok()).collect(),
        }
    }

    /// The agent of a tool or prompt, and its own name for it.
    fn named<'n>(&self, what: &str, shown: &'n str) -> Result<(Target, &'n str), Error> {
        if let Endpoint::Own(target) = self.endpoint {
            return Ok((target.clone(), shown));
        }
        let (agent, name) = name::split_name(shown)
            .ok_or_else(|| Error::unknown(what, shown, ": here names look like `agent__name`"))?;
        let agent = self.service.agents.get(agent).ok_or_else(|| Error::unknown(what, shown, ": no such agent"))?;
        Ok((Target::of(agent)?, name))
    }

    /// The agent of a resource or template, and its own URI for it.
    fn located<'n>(&self, shown: &'n str) -> Result<(Target, &'n str), Error> {
        if let Endpoint::Own(target) = self.endpoint {
            return Ok((target.clone(), shown));
        }
        let unknown = |why| Error::unknown_resource(self.era, shown, why);
        let (agent, uri) = name::split_uri(shown).ok_or_else(|| unknown("here URIs look like `agent+uri`"))?;
        let agent = self.service.agents.get(agent).ok_or_else(|| unknown("no such agent"))?;
        Ok((Target::of(agent)?, uri))
    }

    /// How this endpoint shows the names of `target`.
    fn names<'t>(&self, target: &'t Target) -> Names<'t> {
        let agent = matches!(self.endpoint, Endpoint::Common).then(|| target.agent.name());
        Names { agent }
    }

    /// The `_meta` every result of this era has.
    fn meta(&self) -> Meta<'a> {
        let server_info = match self.era {
            Era::Modern => Some(server::Implementation::brief(self.endpoint)),
            Era::Legacy => None,
        };
        Meta { server_info, ..Meta::default() }
    }

    /// The `resultType` of a result of this era.
    fn result_type(&self) -> Option<&'static str> {
        (self.era == Era::Modern).then_some("complete")
    }

    /// A reply up to where the result begins.
    fn open(&self) -> Result<Buffer, Overflow> {
        let mut buffer = self.service.buffer();
        buffer.extend(br#"{"jsonrpc":"2.0","id":"#)?;
        buffer.extend(self.id.get().as_bytes())?;
        buffer.extend(br#","result":"#)?;
        Ok(buffer)
    }

    /// A whole reply.
    fn reply<T: Serialize>(&self, result: &T) -> Result<Buffer, Overflow> {
        let mut buffer = self.open()?;
        put(&mut buffer, result)?;
        buffer.extend(b"}")?;
        Ok(buffer)
    }
}

#[cfg(test)]
pub(crate) mod tests;
