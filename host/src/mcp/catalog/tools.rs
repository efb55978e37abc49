//! The tools of the registry: `list`, `info`, `details`, `search`.
//!
//! What a model can mend (a wrong argument, an agent that there is not) is a result with `isError`, as of any tool.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use serde::Deserialize;

use super::entry::{Extent, write, write_record};
use super::{ENTRIES_AT_ONCE, text_of};
use crate::agent::contract;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::call::{Call, Endpoint};
use crate::mcp::error::{Error, excerpt};
use crate::mcp::put;
use crate::mcp::tools::{ResultView, TextView};
use crate::registry::Record;

/// Agents that one answer names: by itself, and at most.
const AGENTS_DEFAULT: usize = 50;
const AGENTS_MAX: usize = 100;

/// Bytes of what is searched for, and words of it.
const QUERY_BYTES_MAX: usize = 256;
const WORDS_MAX: usize = 16;

/// One of our tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    List,
    Info,
    Details,
    Search,
}

const ALL: [Tool; 4] = [Tool::List, Tool::Info, Tool::Details, Tool::Search];

/// What all agents of an answer have.
const AGENTS_SCHEMA: &str = r#"{"type":"array","items":{"type":"object","required":["name","state","endpoint","uri"],"properties":{"name":{"type":"string"},"title":{"type":"string"},"description":{"type":"string"},"version":{"type":"string"},"state":{"type":"string"},"endpoint":{"type":"string"},"uri":{"type":"string"}}}}"#;

impl Tool {
    /// The tool of this name; only on the common endpoint, where those of agents are called `agent__tool`.
    pub fn named(endpoint: &Endpoint, name: &str) -> Option<Self> {
        ALL.into_iter().find(|tool| matches!(endpoint, Endpoint::Common) && tool.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Info => "info",
            Self::Details => "details",
            Self::Search => "search",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::List => "List agents",
            Self::Info => "About an agent",
            Self::Details => "All about an agent",
            Self::Search => "Search agents",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::List => "Lists the agents of this registry, in the order of their names, some at a time.",
            Self::Info => "Says what an agent is for, what it offers, and at which endpoint.",
            Self::Details => "Says all that the registry knows of an agent: caps, grants, versions, its whole entry.",
            Self::Search => {
                "Finds agents by words of their names, titles and descriptions; all words must be there. The best come first."
            }
        }
    }

    fn input(self) -> String {
        let agent = r#"{"type":"object","required":["agent"],"properties":{"agent":{"type":"string","description":"Its name."}},"additionalProperties":false}"#;
        let limit = format!(
            r#""limit":{{"type":"integer","minimum":1,"maximum":{AGENTS_MAX},"description":"How many agents to name; {AGENTS_DEFAULT} by default."}}"#
        );
        match self {
            Self::List => format!(
                r#"{{"type":"object","properties":{{"cursor":{{"type":"string","description":"The `nextCursor` of the answer before."}},{limit}}},"additionalProperties":false}}"#
            ),
            Self::Info | Self::Details => agent.to_owned(),
            Self::Search => format!(
                r#"{{"type":"object","required":["query"],"properties":{{"query":{{"type":"string","maxLength":{QUERY_BYTES_MAX}}},{limit}}},"additionalProperties":false}}"#
            ),
        }
    }

    fn output(self) -> String {
        match self {
            Self::List => format!(
                r#"{{"type":"object","required":["agents","total"],"properties":{{"agents":{AGENTS_SCHEMA},"total":{{"type":"integer"}},"nextCursor":{{"type":"string"}}}}}}"#
            ),
            Self::Search => format!(
                r#"{{"type":"object","required":["agents","matches"],"properties":{{"agents":{AGENTS_SCHEMA},"matches":{{"type":"integer"}}}}}}"#
            ),
            Self::Info | Self::Details => r#"{"type":"object","required":["name","state"]}"#.to_owned(),
        }
    }
}

/// All of them, as an agent would list its own.
pub fn definitions() -> Vec<contract::Tool> {
    let hints =
        contract::Hints { read_only: Some(true), destructive: None, idempotent: Some(true), open_world: Some(false) };
    let tool = |tool: Tool| contract::Tool {
        name: tool.name().to_owned(),
        title: Some(tool.title().to_owned()),
        description: Some(tool.description().to_owned()),
        input_schema: tool.input(),
        output_schema: Some(tool.output()),
        hints: Some(hints),
        icons: Vec::new(),
    };
    ALL.into_iter().map(tool).collect()
}

/// Why a tool gives no result.
enum Failed {
    /// The model can mend it.
    Wrong(String),
    Overflow(Overflow),
}

impl From<Overflow> for Failed {
    fn from(overflow: Overflow) -> Self {
        Self::Overflow(overflow)
    }
}

/// Answers a call of one of our tools.
pub async fn call(call: &Call<'_>, tool: Tool, arguments: &str) -> Result<Buffer, Error> {
    let mut found = call.service.buffer();
    let ran = match tool {
        Tool::List => list(call, arguments, &mut found),
        Tool::Info => about(call, arguments, Extent::Info, &mut found),
        Tool::Details => about(call, arguments, Extent::All, &mut found),
        Tool::Search => search(call, arguments, &mut found).await,
    };
    let wrong = match ran {
        Ok(()) => None,
        Err(Failed::Wrong(why)) => Some(why),
        Err(Failed::Overflow(overflow)) => return Err(Error::overflow(overflow, None)),
    };
    let text = wrong.as_deref().unwrap_or_else(|| text_of(&found));
    let structured = match &wrong {
        Some(_) => None,
        None => Some(serde_json::from_slice(found.as_ref()).expect("it was written as JSON here")),
    };
    let result = ResultView {
        result_type: call.result_type(),
        content: [TextView { kind: "text", text }],
        structured_content: structured,
        is_error: wrong.is_some(),
        meta: call.meta(),
    };
    call.reply(&result).map_err(|overflow| Error::overflow(overflow, None))
}

/// The arguments of a call.
fn read<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, Failed> {
    serde_json::from_str(arguments)
        .map_err(|error| Failed::Wrong(format!("arguments: {}", excerpt(&error.to_string()))))
}

fn checked(limit: Option<usize>) -> Result<usize, Failed> {
    match limit {
        None => Ok(AGENTS_DEFAULT),
        Some(limit @ 1..=AGENTS_MAX) => Ok(limit),
        Some(limit) => Err(Failed::Wrong(format!("`limit` is 1 to {AGENTS_MAX}, not {limit}"))),
    }
}

fn about(call: &Call<'_>, arguments: &str, extent: Extent, out: &mut Buffer) -> Result<(), Failed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments<'a> {
        #[serde(borrow)]
        agent: Cow<'a, str>,
    }
    let Arguments { agent } = read(arguments)?;
    match write(call, &agent, extent, out) {
        Some(written) => Ok(written?),
        None => Err(Failed::Wrong(format!("the registry has no agent `{}`; `search` finds agents", excerpt(&agent)))),
    }
}

fn list(call: &Call<'_>, arguments: &str, out: &mut Buffer) -> Result<(), Failed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments<'a> {
        #[serde(borrow)]
        cursor: Option<Cow<'a, str>>,
        limit: Option<usize>,
    }
    let Arguments { cursor, limit } = read(arguments)?;
    let (limit, document) = (checked(limit)?, call.service.agents.document());
    // One more, to know whether there is one more.
    let mut page = document.page(cursor.as_deref(), limit + 1);
    let more = page.len() > limit;
    page.truncate(limit);
    write_agents(call, &page, out)?;
    out.extend(br#","total":"#)?;
    put(out, &document.count())?;
    if let Some((last, _)) = page.last().filter(|_| more) {
        out.extend(br#","nextCursor":"#)?;
        put(out, last)?;
    }
    Ok(out.extend(b"}")?)
}

async fn search(call: &Call<'_>, arguments: &str, out: &mut Buffer) -> Result<(), Failed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments<'a> {
        #[serde(borrow)]
        query: Cow<'a, str>,
        limit: Option<usize>,
    }
    let Arguments { query, limit } = read(arguments)?;
    let limit = checked(limit)?;
    if query.len() > QUERY_BYTES_MAX {
        return Err(Failed::Wrong(format!("`query` has {} bytes; at most {QUERY_BYTES_MAX} are read", query.len())));
    }
    let query = query.to_lowercase();
    let words: Vec<&str> = query.split_whitespace().take(WORDS_MAX + 1).collect();
    if words.is_empty() || words.len() > WORDS_MAX {
        return Err(Failed::Wrong(format!("`query` is 1 to {WORDS_MAX} words; `list` names all agents")));
    }
    // The worst of the best on top, to be replaced.
    let mut best: BinaryHeap<Reverse<(Rank, Reverse<Arc<str>>)>> = BinaryHeap::with_capacity(limit + 1);
    let (mut matches, mut after) = (0_usize, None);
    loop {
        let page = call.service.agents.document().page(after.as_deref(), ENTRIES_AT_ONCE);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (name, record) in &page {
            let Some(rank) = rank(name, record, &words) else { continue };
            matches += 1;
            best.push(Reverse((rank, Reverse(name.clone()))));
            if best.len() > limit {
                best.pop();
            }
        }
        tokio::task::yield_now().await;
    }
    let document = call.service.agents.document();
    let named = best.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(name)))| name);
    let found: Vec<_> = named.filter_map(|name| document.record(&name).map(|record| (name, record))).collect();
    write_agents(call, &found, out)?;
    out.extend(br#","matches":"#)?;
    put(out, &matches)?;
    Ok(out.extend(b"}")?)
}

/// How well an agent fits: the whole name, its beginning, a part of it, the title, the description.
type Rank = u8;

/// How well an agent fits words; none if one of them is nowhere.
fn rank(name: &str, record: &Record, words: &[&str]) -> Option<Rank> {
    let title = record.text("title").unwrap_or_default().to_lowercase();
    let description = record.text("description").unwrap_or_default().to_lowercase();
    let of_word = |word: &&str| match () {
        () if name == *word => Some(5),
        () if name.starts_with(word) => Some(4),
        () if name.contains(word) => Some(3),
        () if title.contains(word) => Some(2),
        () if description.contains(word) => Some(1),
        () => None,
    };
    words.iter().map(of_word).try_fold(0, |best, rank| Some(best.max(rank?)))
}

fn write_agents(call: &Call<'_>, agents: &[(Arc<str>, Arc<Record>)], out: &mut Buffer) -> Result<(), Overflow> {
    out.extend(br#"{"agents":["#)?;
    for (place, (name, record)) in agents.iter().enumerate() {
        if place > 0 {
            out.extend(b",")?;
        }
        write_record(call, name, record, Extent::Brief, out)?;
    }
    out.extend(b"]")
}
