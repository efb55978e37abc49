//! The four lists, across agents: in the order of their names, each agent's own pages one after the other.
//!
//! A reply holds as many of the agents' pages as its bounds allow; then a cursor says where to go on. On the common
//! endpoint an agent that fails is left out and named in `_meta`, so that one cannot take the list from all; on its own
//! endpoint its failure is the answer. A thing that MCP could not carry (bad schema, bad name) is left out with a
//! warning.
//!
//! `own`: what the registry itself has, before all agents.

mod own;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffer::{Buffer, Overflow};
use super::call::{Call, Endpoint, Target};
use super::error::{self, About, Error};
use super::kept::{Question, What, Written};
use super::mark::{self, Mark};
use super::name::Cursor;
use super::page::Page;
use super::read::freshness;
use super::request::List;
use super::server::{Meta, Unavailable};
use super::version::Era;
use super::{catalog, put};
use crate::agent::contract::{Cache, Error as Answer};
use crate::agent::{Agent, Failure};

/// Entries after which a reply takes no further page.
const ENTRIES_MAX: usize = 1_000;

/// Bytes after which a reply takes no further page.
const BYTES_MAX: usize = 1 << 20;

/// Pages for one reply.
const CALLS_MAX: usize = 64;

/// Time after which a reply takes no further page.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Agents that are named as missing; of more it is said how many.
const UNAVAILABLE_MAX: usize = 50;

/// Bytes of the reason why an agent is missing.
const REASON_BYTES_MAX: usize = 300;

/// Answers one of the lists, from `cursor` on.
pub async fn answer(call: &Call<'_>, list: List, cursor: Option<&str>) -> Result<Buffer, Error> {
    let from = cursor.map(|cursor| Cursor::decode(cursor, list.letter()).ok_or_else(bad_cursor)).transpose()?;
    let is_common = matches!(call.endpoint, Endpoint::Common);
    // The registry's own come before those of all agents.
    let (own, from) = match from {
        None => (is_common.then_some(None), None),
        Some(Cursor { agent, at, .. }) if is_common && agent == catalog::CURSOR => (Some(at), None),
        from => (None, from),
    };
    let roster = roster(call, from.as_ref())?;
    let mut reply = ListReply::open(call, list).map_err(|overflow| Error::overflow(overflow, None))?;
    if let Some(at) = own
        && let Progress::Full(next) = reply.add_own(at).map_err(|overflow| Error::overflow(overflow, None))?
    {
        return reply.close(Some(next));
    }
    for entry in roster {
        let at = from.as_ref().filter(|from| from.agent == entry.name()).and_then(|from| from.at.clone());
        match entry {
            Entry::Loaded(target) if list.capability().is_of(&target.offer) => {
                if let Progress::Full(next) = reply.add_agent(&target, at).await? {
                    return reply.close(Some(next));
                }
            }
            Entry::Loaded(_) => {}
            Entry::Missing { name, reason } => reply.leave_out(&name, &reason),
        }
    }
    reply.close(None)
}

/// An agent whose turn is yet to come.
enum Entry {
    Loaded(Target),
    Missing { name: String, reason: String },
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Loaded(target) => target.agent.name(),
            Self::Missing { name, .. } => name,
        }
    }
}

/// The agents from the cursor on, one at a time. One that is gone since is simply not there; the list goes on with the next.
fn roster<'a>(call: &Call<'a>, from: Option<&Cursor>) -> Result<impl Iterator<Item = Entry> + use<'a>, Error> {
    let (own, all) = match (call.endpoint, from) {
        (Endpoint::Own(target), Some(from)) if from.agent != target.agent.name() => return Err(bad_cursor()),
        (Endpoint::Own(target), _) => (Some(Entry::Loaded(target.clone())), None),
        (Endpoint::Common, from) => {
            let from = from.map_or("", |from| from.agent.as_str());
            (None, Some(call.service.agents.from(from)))
        }
    };
    let entry = |agent: Arc<Agent>| match Target::of(&agent) {
        Ok(target) => Entry::Loaded(target),
        Err(error) => Entry::Missing { name: agent.name().to_owned(), reason: error.body.message },
    };
    Ok(own.into_iter().chain(all.into_iter().flatten().map(entry)))
}

fn bad_cursor() -> Error {
    Error::invalid_params("invalid cursor: start again without one")
}

/// How far an agent's list was taken over.
enum Progress {
    Done,
    Full(Cursor),
}

/// A list reply while it is written.
struct ListReply<'c, 'a> {
    call: &'c Call<'a>,
    list: List,
    buffer: Buffer,
    start: usize,
    entries: usize,
    calls: usize,
    started: Instant,
    /// Of all pages together: the shortest time, the narrowest scope.
    freshness: Option<(u32, &'static str)>,
    /// Agents that are missing, and the first of them with their reasons.
    missing: usize,
    unavailable: Vec<Unavailable>,
}

impl<'c, 'a> ListReply<'c, 'a> {
    fn open(call: &'c Call<'a>, list: List) -> Result<Self, Overflow> {
        let mut buffer = call.open()?;
        buffer.extend(b"{")?;
        if let Some(kind) = call.result_type() {
            buffer.extend(br#""resultType":"#)?;
            put(&mut buffer, &kind)?;
            buffer.extend(b",")?;
        }
        put(&mut buffer, &list.member())?;
        buffer.extend(b":[")?;
        let start = buffer.len();
        let started = Instant::now();
        Ok(Self {
            call,
            list,
            buffer,
            start,
            entries: 0,
            calls: 0,
            started,
            freshness: None,
            missing: 0,
            unavailable: Vec::new(),
        })
    }

    /// Takes an agent's pages over, from its own cursor `at` on.
    async fn add_agent(&mut self, target: &Target, mut at: Option<String>) -> Result<Progress, Error> {
        let agent = target.identity();
        let letter = self.list.letter();
        let here = |at| Cursor { list: letter, agent: agent.name.to_string(), at };
        // What its tools mark is worth remembering only when all of them are seen.
        let mut marks = at.is_none().then(Vec::new);
        loop {
            if self.is_full() {
                return Ok(Progress::Full(here(at)));
            }
            let question = Question::of(self.call, target, What::Page(letter, at.as_deref()));
            if let Some((kept, cache)) = question.as_ref().and_then(Question::answer) {
                if let Some(progress) = self.take_kept(&kept, &cache, &agent, || here(at.clone()))? {
                    return Ok(progress);
                }
                // Pages that are there cost no call, but they may lead in a circle.
                self.calls += 1;
                tokio::task::yield_now().await;
                // What its tools mark was learnt when it was fetched.
                (marks, at) = (None, kept.next.as_deref().map(str::to_owned));
                continue;
            }
            self.calls += 1;
            let fetched = Page::fetch(self.list, target, &self.call.caller, at.as_deref()).await;
            let page = match fetched {
                Ok(page) => page,
                // The client's cursor, not the agent, is at fault.
                Err(Failure::Answered(Answer::InvalidInput(_))) if at.is_some() => return Err(bad_cursor()),
                Err(failure) => {
                    let error = Error::of(failure, self.call.era, About::Other, &agent);
                    return self.agent_failed(&agent, error).map(|()| Progress::Done);
                }
            };
            let (end, entries) = (self.buffer.len(), self.entries);
            match self.add_page(&page, target) {
                Ok(()) => {}
                Err(overflow @ Overflow::Refused(_)) => return Err(Error::overflow(overflow, Some(&agent))),
                Err(overflow) => {
                    self.buffer.truncate(end);
                    self.entries = entries;
                    if entries > 0 {
                        return Ok(Progress::Full(here(at)));
                    }
                    let error = Error::overflow(overflow, Some(&agent));
                    return self.agent_failed(&agent, error).map(|()| Progress::Done);
                }
            }
            self.keep_fresh(page.cache());
            if let Some(question) = question {
                let written = &self.buffer.as_ref()[end..];
                // The comma before it belongs to whoever stands before it.
                let written = if entries > 0 { written.strip_prefix(b",").unwrap_or(written) } else { written };
                question.keep(page.cache(), written, self.entries - entries, page.next());
            }
            if let (Some(marks), Page::Tools(tools)) = (&mut marks, &page) {
                marks.extend(tools.value.tools.iter().flat_map(mark::of_tool));
            }
            let Some(next) = page.next() else {
                self.learn(target, marks);
                return Ok(Progress::Done);
            };
            at = Some(next.to_owned());
        }
    }

    fn is_full(&self) -> bool {
        self.entries >= ENTRIES_MAX
            || self.buffer.len() - self.start >= BYTES_MAX
            || self.calls >= CALLS_MAX
            || self.started.elapsed() >= TIME_MAX
    }

    fn add_page(&mut self, page: &Page, target: &Target) -> Result<(), Overflow> {
        let (buffer, entries) = (&mut self.buffer, &mut self.entries);
        page.write(self.call.names(target), self.call.era, buffer, entries)
    }

    /// Takes over a page that was kept: how far that came, if it is not to go on with the next.
    fn take_kept(
        &mut self,
        kept: &Written,
        cache: &Cache,
        agent: &error::Agent,
        here: impl FnOnce() -> Cursor,
    ) -> Result<Option<Progress>, Error> {
        match self.add_kept(kept, cache) {
            Ok(()) => Ok(kept.next.is_none().then_some(Progress::Done)),
            Err(overflow @ Overflow::Refused(_)) => Err(Error::overflow(overflow, Some(agent))),
            // Fetched anew it would not fit either.
            Err(_) if self.entries > 0 => Ok(Some(Progress::Full(here()))),
            Err(overflow) => {
                let error = Error::overflow(overflow, Some(agent));
                self.agent_failed(agent, error).map(|()| Some(Progress::Done))
            }
        }
    }

    /// Writes a page that was written before, or nothing.
    fn add_kept(&mut self, kept: &Written, cache: &Cache) -> Result<(), Overflow> {
        let end = self.buffer.len();
        let comma: &[u8] = if self.entries > 0 && kept.entries > 0 { b"," } else { b"" };
        let written = self.buffer.extend(comma).and_then(|()| self.buffer.extend(&kept.bytes));
        if written.is_err() {
            self.buffer.truncate(end);
            return written;
        }
        self.entries += kept.entries;
        self.keep_fresh(Some(cache));
        Ok(())
    }

    fn keep_fresh(&mut self, cache: Option<&Cache>) {
        let (ttl_ms, scope) = freshness(cache);
        self.freshness = Some(match self.freshness {
            None => (ttl_ms, scope),
            Some((shortest, narrowest)) => (shortest.min(ttl_ms), if scope == "private" { scope } else { narrowest }),
        });
    }

    fn learn(&self, target: &Target, marks: Option<Vec<Mark>>) {
        if let (List::Tools, Some(marks)) = (self.list, marks) {
            self.call.service.marks.learn(&target.agent.name().into(), &target.offer.digest, marks);
        }
    }

    /// One agent's failure: the answer on its own endpoint, a gap on the common one.
    fn agent_failed(&mut self, agent: &error::Agent, error: Error) -> Result<(), Error> {
        match self.call.endpoint {
            Endpoint::Own(_) => Err(error),
            Endpoint::Common => {
                self.leave_out(&agent.name, &error.body.message);
                Ok(())
            }
        }
    }

    fn leave_out(&mut self, agent: &str, reason: &str) {
        tracing::debug!(agent, reason, list = self.list.member(), "agent is missing from a list");
        self.missing += 1;
        if self.unavailable.len() < UNAVAILABLE_MAX {
            let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
            self.unavailable.push(Unavailable { agent: agent.to_owned(), reason });
        }
    }

    fn close(mut self, next: Option<Cursor>) -> Result<Buffer, Error> {
        self.write_end(next).map_err(|overflow| Error::overflow(overflow, None))?;
        Ok(self.buffer)
    }

    fn write_end(&mut self, next: Option<Cursor>) -> Result<(), Overflow> {
        let buffer = &mut self.buffer;
        buffer.extend(b"]")?;
        if let Some(next) = next {
            buffer.extend(br#","nextCursor":"#)?;
            put(buffer, &next.encode())?;
        }
        if self.call.era == Era::Modern {
            // One scope for all pages of a list. Pages of several agents agree only on the narrower one.
            let (ttl_ms, scope) = match self.call.endpoint {
                Endpoint::Own(_) => self.freshness.unwrap_or((0, "private")),
                Endpoint::Common => (self.freshness.map_or(0, |(ttl_ms, _)| ttl_ms), "private"),
            };
            let ttl_ms = if self.unavailable.is_empty() { ttl_ms } else { 0 };
            buffer.extend(br#","ttlMs":"#)?;
            put(buffer, &ttl_ms)?;
            buffer.extend(br#","cacheScope":"#)?;
            put(buffer, &scope)?;
        }
        let unnamed = self.missing - self.unavailable.len();
        let meta = Meta { unavailable: &self.unavailable, unavailable_more: unnamed, ..self.call.meta() };
        if !meta.is_empty() {
            buffer.extend(br#","_meta":"#)?;
            put(buffer, &meta)?;
        }
        buffer.extend(b"}}")
    }
}

impl List {
    /// The member of the result that holds the entries.
    fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// Its letter in cursors.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Tools => 't',
            Self::Resources => 'r',
            Self::Templates => 'u',
            Self::Prompts => 'p',
        }
    }
}

#[cfg(test)]
mod tests;
