//! What a server of MCP says about itself: who it is, what it can do, how to use it.
//!
//! The common endpoint speaks for the host and all its agents; an agent's own endpoint speaks for that agent alone.

use std::fmt;
use std::ops::Not;

use serde::{Serialize, Serializer};

use super::call::{Endpoint, Target, Targets};
use super::error::{Data, Empty};
use super::notices::Audible;
use super::view::icons;
use crate::agent::Offer;
use crate::agent::changes::Kinds;
use crate::agent::contract::Icon;

/// Name of the host towards clients.
const HOST_NAME: &str = "stockade";

/// What can be asked for, and heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<Empty>,
    /// Any agent may log; who listens says so with the request, or in its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Listed>,
}

/// Whether changes of a list, and of the things in it, can be heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    #[serde(skip_serializing_if = "Not::not")]
    pub list_changed: bool,
    #[serde(skip_serializing_if = "Not::not")]
    pub subscribe: bool,
}

impl Capabilities {
    /// What at least one of the agents of an endpoint has; on the common one also what the registry itself has.
    pub fn of_all(endpoint: &Endpoint, targets: Targets<'_>) -> Self {
        let audible = Audible::of(endpoint, targets);
        let own = matches!(endpoint, Endpoint::Common);
        let any = |has: fn(&Offer) -> bool| own || targets.iter().any(|target| has(&target.offer));
        let listed =
            |has, kind, subscribe| any(has).then(|| Listed { list_changed: audible.lists.has(kind), subscribe });
        Self {
            completions: any(|offer| offer.completion).then_some(Empty {}),
            logging: targets.iter().next().map(|_| Empty {}),
            prompts: targets
                .iter()
                .any(|target| target.offer.prompts)
                .then(|| Listed { list_changed: audible.lists.has(Kinds::PROMPTS), subscribe: false }),
            resources: listed(|offer| offer.resources, Kinds::RESOURCES, audible.resources),
            tools: listed(|offer| offer.tools, Kinds::TOOLS, false),
        }
    }
}

/// MCP's `Implementation`. In full where a client gets to know us, name and version only on each result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Implementation<'a> {
    pub name: &'a str,
    pub version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_url: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "icons")]
    pub icons: &'a [Icon],
}

impl<'a> Implementation<'a> {
    /// Name and version.
    pub fn brief(endpoint: &'a Endpoint) -> Self {
        let (name, version) = match endpoint {
            Endpoint::Common => (HOST_NAME, env!("CARGO_PKG_VERSION")),
            Endpoint::Own(Target { agent, offer }) => (agent.name(), &*offer.version),
        };
        Self { name, version, title: None, description: None, website_url: None, icons: &[] }
    }

    pub fn full(endpoint: &'a Endpoint) -> Self {
        let brief = Self::brief(endpoint);
        match endpoint {
            Endpoint::Common => Self { title: Some("Stockade"), ..brief },
            Endpoint::Own(Target { offer, .. }) => Self {
                title: Some(&offer.description.title),
                description: Some(&offer.description.description),
                website_url: offer.description.website_url.as_deref(),
                icons: &offer.description.icons,
                ..brief
            },
        }
    }
}

/// How a model should use what is offered: each agent's own words, under its name where there are several.
pub struct Instructions<'a> {
    pub endpoint: &'a Endpoint,
    pub targets: Targets<'a>,
}

/// Bytes of instructions of many agents together; those of the others are what the tool `info` says.
const INSTRUCTIONS_BYTES_MAX: usize = 32 << 10;

impl Instructions<'_> {
    pub fn is_empty(&self) -> bool {
        self.targets.iter().all(|target| target.offer.description.instructions.is_none())
    }
}

impl fmt::Display for Instructions<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut together = Together { out, mark: "", bytes: 0, more: 0 };
        for Target { agent, offer } in self.targets.iter() {
            let Some(text) = &offer.description.instructions else { continue };
            if matches!(self.endpoint, Endpoint::Own(_)) {
                return together.out.write_str(text);
            }
            together.add(agent.name(), text)?;
        }
        together.end()
    }
}

/// Instructions of several agents, each under its agent's name, as far as there is room.
struct Together<'a, W> {
    out: &'a mut W,
    /// What stands before the next one.
    mark: &'static str,
    bytes: usize,
    /// Agents there was no room for.
    more: usize,
}

impl<W: fmt::Write> Together<'_, W> {
    fn add(&mut self, agent: &str, text: &str) -> fmt::Result {
        if self.bytes + text.len() > INSTRUCTIONS_BYTES_MAX {
            self.more += 1;
            return Ok(());
        }
        self.bytes += text.len();
        write!(self.out, "{}# {agent}\n{text}", self.mark)?;
        self.mark = "\n\n";
        Ok(())
    }

    fn end(self) -> fmt::Result {
        let Self { out, mark, more, .. } = self;
        match more {
            0 => Ok(()),
            _ => write!(out, "{mark}{more} more agents have instructions: the tool `info` says those of each."),
        }
    }
}

impl Serialize for Instructions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The `_meta` of a result.
#[derive(Debug, Default, Serialize)]
pub struct Meta<'a> {
    #[serde(rename = "io.modelcontextprotocol/serverInfo", skip_serializing_if = "Option::is_none")]
    pub server_info: Option<Implementation<'a>>,
    /// The limit a tool call met.
    #[serde(rename = "stockade/limit", skip_serializing_if = "Option::is_none")]
    pub limit: Option<Data>,
    /// Agents that are missing from a list, and why.
    #[serde(rename = "stockade/unavailable", skip_serializing_if = "<[_]>::is_empty")]
    pub unavailable: &'a [Unavailable],
    /// How many more are missing than are named.
    #[serde(rename = "stockade/unavailableMore", skip_serializing_if = "is_zero")]
    pub unavailable_more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Meta<'_> {
    pub fn is_empty(&self) -> bool {
        self.server_info.is_none() && self.limit.is_none() && self.unavailable.is_empty()
    }
}

/// An agent that is missing from a list.
#[derive(Debug, Serialize)]
pub struct Unavailable {
    pub agent: String,
    pub reason: String,
}

#[cfg(test)]
mod tests;
