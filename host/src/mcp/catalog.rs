//! The registry itself, as clients of the common endpoint see it: each agent's entry as a resource, and tools to find agents
//! with. Nothing here changes anything: what operators do is no tool.
//!
//! - `entry`: one entry as JSON. `tools`: `list`, `info`, `details`, `search`.

mod entry;
mod tools;

use super::buffer::{Buffer, Overflow};
use super::call::{Call, Endpoint};
use super::error::Error;
use super::name::Names;
use super::page::write_entry;
use super::view::{ResourceView, TemplateView};
use super::{put, read};
use crate::agent::changes::{Listener, Topic, Unwatched};
use crate::agent::contract::{Cache, CacheScope, Resource, Suggestions, Template};
use crate::registry::{URI, uri};
use entry::Extent;
pub use tools::{Tool, call, definitions};

/// What stands for the host in a cursor, where agents stand: no agent is called so.
pub const CURSOR: &str = "@";

/// How long a client may go by what it was told of an entry: an edit is served within a second.
pub const FRESH: Cache = Cache { ttl_ms: 1_000, scope: CacheScope::Public };

/// Entries that are looked at between two looks at the clock, so that a search keeps nobody waiting.
const ENTRIES_AT_ONCE: usize = 256;

/// Bytes of a description where many stand together.
const EXCERPT_BYTES_MAX: usize = 300;

const MIME_TYPE: &str = "application/json";

/// Names of ours are shown as they are.
const OWN: Names<'static> = Names { agent: None };

/// The agent whose entry a client of the common endpoint means by a URI.
pub fn agent_of<'u>(endpoint: &Endpoint, shown: &'u str) -> Option<&'u str> {
    matches!(endpoint, Endpoint::Common).then(|| shown.strip_prefix(URI)).flatten()
}

/// Whether a template is the one of entries.
pub fn is_template(endpoint: &Endpoint, shown: &str) -> bool {
    agent_of(endpoint, shown) == Some("{name}")
}

/// Answers with an agent's entry.
pub fn read(call: &Call<'_>, agent: &str, shown: &str) -> Result<Buffer, Error> {
    let written = (|| {
        let mut text = call.service.buffer();
        if entry::write(call, agent, Extent::All, &mut text).transpose()?.is_none() {
            return Ok(None);
        }
        let mut reply = call.open()?;
        read::open(call, &mut reply, Some(&FRESH))?;
        reply.extend(br#""contents":[{"uri":"#)?;
        put(&mut reply, &shown)?;
        reply.extend(br#","mimeType":"#)?;
        put(&mut reply, &MIME_TYPE)?;
        reply.extend(br#","text":"#)?;
        put(&mut reply, &text_of(&text))?;
        // Its closing quote belongs to what comes behind the content.
        reply.truncate(reply.len() - 1);
        reply.extend(read::tail(call)?.as_ref())?;
        Ok(Some(reply))
    })();
    match written {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(unknown(call, shown)),
        Err(overflow) => Err(Error::overflow(overflow, None)),
    }
}

/// There is no such entry.
pub fn unknown(call: &Call<'_>, shown: &str) -> Error {
    Error::unknown_resource(call.era, shown, "the registry has no such agent; the tool `search` finds agents")
}

/// Whether the registry has an agent.
pub fn has(call: &Call<'_>, agent: &str) -> bool {
    call.service.agents.document().record(agent).is_some()
}

/// Subscribes to an agent's entry.
pub fn watch(call: &Call<'_>, listener: &Listener, agent: &str) -> Result<(), Unwatched> {
    listener.watch_of_host(&uri(agent), call.service.limits.subscriptions as usize)
}

/// An agent's entry, as subscriptions name it.
pub fn topic(agent: &str) -> Topic {
    Topic::of_host(&uri(agent))
}

/// Writes the entries of the list of resources, behind the agent `after`; stops when `full` says so, with the last that was
/// written.
pub fn write_resources(
    call: &Call<'_>,
    after: Option<String>,
    out: &mut Buffer,
    entries: &mut usize,
    full: impl Fn(&Buffer, usize) -> bool,
) -> Result<Option<String>, Overflow> {
    let document = call.service.agents.document();
    let mut after = after;
    loop {
        let page = document.page(after.as_deref(), ENTRIES_AT_ONCE);
        let Some((last, _)) = page.last() else { return Ok(None) };
        let last = last.to_string();
        for (name, record) in page {
            if full(out, *entries) {
                return Ok(after);
            }
            let resource = Resource {
                uri: uri(&name),
                name: name.to_string(),
                title: record.text("title").map(str::to_owned),
                description: record.text("description").map(|text| excerpt(text).to_owned()),
                mime_type: Some(MIME_TYPE.to_owned()),
                size: None,
                version: None,
                annotations: None,
                icons: Vec::new(),
            };
            let end = out.len();
            match write_entry(&ResourceView::new(&resource, OWN), out, entries) {
                Err(Overflow::Cap { .. }) if *entries > 0 => {
                    out.truncate(end);
                    return Ok(after);
                }
                written => written?,
            }
            after = Some(name.to_string());
        }
        after = Some(last);
    }
}

/// Writes the template of all entries.
pub fn write_template(out: &mut Buffer, entries: &mut usize) -> Result<(), Overflow> {
    let template = Template {
        uri_template: format!("{URI}{{name}}"),
        name: "agent".to_owned(),
        title: Some("An agent of this registry".to_owned()),
        description: Some("What the registry says of an agent: version, state, caps, grants; as JSON.".to_owned()),
        mime_type: Some(MIME_TYPE.to_owned()),
        annotations: None,
        icons: Vec::new(),
    };
    write_entry(&TemplateView::new(&template, OWN), out, entries)
}

/// Names of agents that begin so, for who types one.
pub fn suggest(call: &Call<'_>, begun: &str, max: usize) -> Suggestions {
    let page = call.service.agents.document().page_from(begun, max + 1);
    let names = page.iter().map(|(name, _)| &**name).take_while(|name| name.starts_with(begun));
    let mut values: Vec<String> = names.map(str::to_owned).collect();
    let more = values.len() > max;
    values.truncate(max);
    // One more than are shown says that there are more; how many is nobody's business to count.
    let total = u32::try_from(values.len() + usize::from(more)).ok();
    Suggestions { values, total }
}

/// The beginning of a text that stands among many.
fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)]
}

/// What was written as JSON.
fn text_of(buffer: &Buffer) -> &str {
    std::str::from_utf8(buffer.as_ref()).expect("JSON that was written here is text")
}

#[cfg(test)]
mod tests;
