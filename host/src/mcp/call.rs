//! One request while it is being answered: whom it is about, who asks, and the way to the agent.

use std::sync::Arc;

use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;

use super::buffer::{Buffer, Overflow};
use super::error::{self, About, Error};
use super::exchange::{Outlet, Stream};
use super::name::{self, Names};
use super::request::{Capability, Request};
use super::server::{self, Meta};
use super::version::Era;
use super::{Service, list, prompts, put, read, tools};
use crate::access::Principal;
use crate::agent::contract::InputRequired;
use crate::agent::{Agent, Caller, Charged, Offer};

/// An agent that is loaded.
#[derive(Clone)]
pub struct Target {
    pub agent: Arc<Agent>,
    pub offer: Arc<Offer>,
}

/// A scope whose agent was found.
pub enum Endpoint {
    Common,
    Own(Target),
}

/// The loaded agents of an endpoint, one at a time: there may be many.
#[derive(Clone, Copy)]
pub struct Targets<'a> {
    endpoint: &'a Endpoint,
    service: &'a Service,
}

/// One request while it is being answered.
pub struct Call<'a> {
    pub service: &'a Arc<Service>,
    pub endpoint: &'a Endpoint,
    pub era: Era,
    pub principal: &'a Arc<Principal>,
    pub caller: Arc<Caller>,
    pub headers: &'a HeaderMap,
    pub id: &'a RawValue,
    /// Where news of the call go; none for a client that takes no events.
    pub outlet: Option<&'a Outlet>,
}

/// What a request comes to.
pub enum Answer {
    /// A whole reply.
    Whole(Buffer),
    /// A reply that is written while the resource is read.
    Stream(Stream),
    /// Questions of the agent, to be asked in the way of the client's era.
    Asks(Target, Box<Charged<InputRequired>>),
}

impl Target {
    /// The agent, if it is loaded; else why it cannot even be asked.
    pub fn of(agent: &Arc<Agent>) -> Result<Self, Error> {
        match agent.offer() {
            Ok(offer) => Ok(Self { agent: agent.clone(), offer }),
            Err(failure) => {
                let agent = error::Agent { name: agent.name().into(), version: "".into() };
                Err(Error::of(failure, Era::Modern, About::Other, &agent))
            }
        }
    }

    /// As errors name it.
    pub fn identity(&self) -> error::Agent {
        error::Agent { name: self.agent.name().into(), version: self.offer.version.clone() }
    }
}

impl<'a> Targets<'a> {
    pub fn of(endpoint: &'a Endpoint, service: &'a Service) -> Self {
        Self { endpoint, service }
    }

    pub fn iter(self) -> impl Iterator<Item = Target> + 'a {
        let (own, all) = match self.endpoint {
            Endpoint::Own(target) => (Some(target.clone()), None),
            Endpoint::Common => (None, Some(self.service.agents.all())),
        };
        own.into_iter().chain(all.into_iter().flatten().filter_map(|agent| Target::of(&agent).ok()))
    }
}

impl Endpoint {
    /// The agent, on its own endpoint.
    pub fn agent(&self) -> Option<&Arc<Agent>> {
        match self {
            Self::Own(target) => Some(&target.agent),
            Self::Common => None,
        }
    }
}

impl<'a> Call<'a> {
    /// Answers what is asked of agents.
    pub async fn dispatch(&self, method: &str, request: &Request<'_>) -> Result<Answer, Error> {
        if !self.is_served(request.capability()) {
            return Err(Error::method_not_found(method));
        }
        match request {
            Request::List(list, cursor) => list::answer(self, *list, cursor.as_deref()).await.map(Answer::Whole),
            Request::Read { uri } => read::answer(self, uri).await,
            Request::CallTool { name, arguments } => tools::answer(self, name, arguments).await,
            Request::GetPrompt { name, arguments } => prompts::get(self, name, *arguments).await,
            Request::Complete(completion) => prompts::complete(self, completion).await.map(Answer::Whole),
        }
    }

    /// Whether anybody here has the capability. An agent that is not loaded may have it.
    pub fn is_served(&self, capability: Capability) -> bool {
        let may_have = |agent: &Arc<Agent>| agent.offer().map_or(true, |offer| capability.is_of(&offer));
        match self.endpoint {
            Endpoint::Own(target) => capability.is_of(&target.offer),
            // The registry itself has some.
            Endpoint::Common if capability != Capability::Prompts => true,
            Endpoint::Common => self.service.agents.roll().iter().any(may_have),
        }
    }

    /// Every loaded agent of this endpoint.
    pub fn targets(&self) -> Targets<'_> {
        Targets::of(self.endpoint, self.service)
    }

    /// The agent of a tool or prompt, and its own name for it.
    pub fn named<'n>(&self, what: &str, shown: &'n str) -> Result<(Target, &'n str), Error> {
        if let Endpoint::Own(target) = self.endpoint {
            return Ok((target.clone(), shown));
        }
        let (agent, name) = name::split_name(shown)
            .ok_or_else(|| Error::unknown(what, shown, ": here names look like `agent__name`"))?;
        let agent = self.service.agents.get(agent).ok_or_else(|| Error::unknown(what, shown, ": no such agent"))?;
        Ok((Target::of(&agent)?, name))
    }

    /// The agent of a resource or template, and its own URI for it.
    pub fn located<'n>(&self, shown: &'n str) -> Result<(Target, &'n str), Error> {
        if let Endpoint::Own(target) = self.endpoint {
            return Ok((target.clone(), shown));
        }
        let unknown = |why| Error::unknown_resource(self.era, shown, why);
        let (agent, uri) = name::split_uri(shown).ok_or_else(|| unknown("here URIs look like `agent+uri`"))?;
        let agent = self.service.agents.get(agent).ok_or_else(|| unknown("no such agent"))?;
        Ok((Target::of(&agent)?, uri))
    }

    /// How this endpoint shows the names of `target`.
    pub fn names<'t>(&self, target: &'t Target) -> Names<'t> {
        let agent = matches!(self.endpoint, Endpoint::Common).then(|| target.agent.name());
        Names { agent }
    }

    /// The `_meta` every result of this era has.
    pub fn meta(&self) -> Meta<'a> {
        let server_info = match self.era {
            Era::Modern => Some(server::Implementation::brief(self.endpoint)),
            Era::Legacy => None,
        };
        Meta { server_info, ..Meta::default() }
    }

    /// The `resultType` of a result of this era.
    pub fn result_type(&self) -> Option<&'static str> {
        (self.era == Era::Modern).then_some("complete")
    }

    /// A reply up to where the result begins.
    pub fn open(&self) -> Result<Buffer, Overflow> {
        let mut buffer = self.service.buffer();
        buffer.extend(br#"{"jsonrpc":"2.0","id":"#)?;
        buffer.extend(self.id.get().as_bytes())?;
        buffer.extend(br#","result":"#)?;
        Ok(buffer)
    }

    /// A whole reply.
    pub fn reply<T: Serialize>(&self, result: &T) -> Result<Buffer, Overflow> {
        let mut buffer = self.open()?;
        put(&mut buffer, result)?;
        buffer.extend(b"}")?;
        Ok(buffer)
    }
}
