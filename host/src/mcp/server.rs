//! What a server of MCP says about itself: who it is, what it can do, how to use it.
//!
//! The common endpoint speaks for the host and all its agents; an agent's own endpoint speaks for that agent alone.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::{Data, Empty};
use super::view::icons;
use super::{Endpoint, Target};
use crate::agent::Offer;
use crate::agent::contract::Icon;

/// Name of the host towards clients.
const HOST_NAME: &str = "stockade";

/// What can be asked for. Changes of lists and of resources are not announced yet, and neither is a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    #[serde(skip_serializing_if = "is_absent", serialize_with = "empty")]
    pub completions: bool,
    #[serde(skip_serializing_if = "is_absent", serialize_with = "empty")]
    pub prompts: bool,
    #[serde(skip_serializing_if = "is_absent", serialize_with = "empty")]
    pub resources: bool,
    #[serde(skip_serializing_if = "is_absent", serialize_with = "empty")]
    pub tools: bool,
}

impl Capabilities {
    pub fn of(offer: &Offer) -> Self {
        let Offer { completion, prompts, resources, tools, .. } = *offer;
        Self { completions: completion, prompts, resources, tools }
    }

    /// What at least one of several agents has.
    pub fn of_all(targets: &[Target]) -> Self {
        targets.iter().map(|target| Self::of(&target.offer)).fold(Self::default(), Self::or)
    }

    fn or(self, other: Self) -> Self {
        Self {
            completions: self.completions || other.completions,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
            tools: self.tools || other.tools,
        }
    }
}

fn is_absent(capability: &bool) -> bool {
    !capability
}

fn empty<S: Serializer>(_: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    Empty {}.serialize(serializer)
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
    pub targets: &'a [Target],
}

impl Instructions<'_> {
    pub fn is_empty(&self) -> bool {
        self.targets.iter().all(|target| target.offer.description.instructions.is_none())
    }
}

impl fmt::Display for Instructions<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = "";
        for Target { agent, offer } in self.targets {
            let Some(text) = &offer.description.instructions else { continue };
            match self.endpoint {
                Endpoint::Own(_) => out.write_str(text)?,
                Endpoint::Common => write!(out, "{mark}# {}\n{text}", agent.name())?,
            }
            mark = "\n\n";
        }
        Ok(())
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
