//! An agent's entry as JSON: what the document says, and what the host knows beside it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::excerpt;
use crate::agent::{Agent, Offer};
use crate::manifest::AgentSpec;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::call::Call;
use crate::mcp::put;
use crate::registry::{Record, uri};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One of many.
    Brief,
    /// What a client wants to know before it calls.
    Info,
    All,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// `ready`, `resting`, `loading`, `disabled`, `refused`, `retired` or `absent`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    /// Path of its own endpoint.
    endpoint: String,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offers: Option<Offers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    website_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<InForce<'a>>,
    /// As it stands in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a Record>,
}

/// What can be asked of it.
#[derive(Serialize)]
struct Offers {
    tools: bool,
    resources: bool,
    prompts: bool,
    completion: bool,
}

/// Caps and grants of the next call, in the units of the document.
#[derive(Serialize)]
struct InForce<'a> {
    memory: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve: Option<u64>,
    deadline: u64,
    concurrency: u32,
    grants: Vec<&'a str>,
}

/// Writes an agent's entry; none if there is no such agent.
pub fn write(call: &Call<'_>, name: &str, extent: Extent, out: &mut Buffer) -> Option<Result<(), Overflow>> {
    let record = call.service.agents.document().record(name)?;
    Some(write_record(call, name, &record, extent, out))
}

/// Writes an entry that was looked up.
pub fn write_record(
    call: &Call<'_>,
    name: &str,
    record: &Record,
    extent: Extent,
    out: &mut Buffer,
) -> Result<(), Overflow> {
    let agent = call.service.agents.get(name);
    let agent = agent.as_deref();
    let offer: Option<Arc<Offer>> = agent.and_then(|agent| agent.offer().ok());
    let spec = agent.filter(|_| extent == Extent::All).map(|agent| agent.spec());
    let (state, reason) = state(agent, record);
    let brief = extent == Extent::Brief;
    let description = record.text("description");
    let view = View {
        name,
        title: record.text("title"),
        description: if brief { description.map(excerpt) } else { description },
        version: record.text("version"),
        state,
        reason: reason.filter(|_| !brief),
        endpoint: format!("/mcp/{name}"),
        uri: uri(name),
        digest: record.text("digest").filter(|_| !brief),
        offers: offer.as_ref().filter(|_| !brief).map(|offer| offers(offer)),
        instructions: offer.as_ref().filter(|_| !brief).and_then(|offer| offer.description.instructions.as_deref()),
        website_url: offer.as_ref().filter(|_| !brief).and_then(|offer| offer.description.website_url.as_deref()),
        in_force: spec.as_ref().map(|spec| in_force(spec)),
        entry: (extent == Extent::All).then_some(record),
    };
    put(out, &view)
}

fn state<'a>(agent: Option<&Agent>, record: &Record) -> (&'static str, Option<Cow<'a, str>>) {
    match agent {
        _ if record.whole("retired").is_some() => ("retired", None),
        Some(agent) => {
            let (state, reason) = agent.state();
            (state, reason.map(Cow::Owned))
        }
        None => ("absent", Some("the host's manifest has it no more".into())),
    }
}

fn offers(offer: &Offer) -> Offers {
    let &Offer { tools, resources, prompts, completion, .. } = offer;
    Offers { tools, resources, prompts, completion }
}

fn in_force(spec: &AgentSpec) -> InForce<'_> {
    InForce {
        memory: spec.memory,
        reserve: spec.reserve,
        deadline: u64::try_from(spec.deadline.as_millis()).unwrap_or(u64::MAX),
        concurrency: spec.concurrency,
        grants: spec.dirs.keys().map(String::as_str).collect(),
    }
}
