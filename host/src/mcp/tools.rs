//! `tools/call`: arguments go to the agent as they came, its result goes back as MCP shows it.
//!
//! A tool that fails answers a result with `isError`, which the model sees; only what the model cannot mend is an
//! error.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::buffer::{Buffer, Overflow};
use super::call::{Answer, Call, Target};
use super::error::{self, Error, ToolFailure};
use super::name::Names;
use super::server::Meta;
use super::version::Era;
use super::view::ContentView;
use super::{catalog, json, mark};
use crate::agent::contract::{Content, ToolResult};
use crate::agent::{Charged, Failure};

/// Pages of an agent's list that are read to learn which parameters are marked.
const PAGES_MAX: usize = 16;

/// Answers a call of the tool that clients know as `shown`.
pub async fn answer(call: &Call<'_>, shown: &str, arguments: &str) -> Result<Answer, Error> {
    if let Some(own) = catalog::Tool::named(call.endpoint, shown) {
        return catalog::call(call, own, arguments).await.map(Answer::Whole);
    }
    let (target, name) = call.named("tool", shown)?;
    let agent = || target.identity();
    if !target.offer.tools {
        return Err(Error::unknown("tool", shown, ""));
    }
    if call.era == Era::Modern {
        let marks = marks(call, &target).await?;
        mark::check(&marks, name, arguments, call.headers)?;
    }
    let outcome = target.agent.call_tool(&call.caller, name, arguments).await;
    let failure = match outcome {
        Ok(Charged { value, charge: _charge }) => match success(call, &target, &value)? {
            Ok(reply) => return Ok(Answer::Whole(reply)),
            Err(overflow) => error::of_tool_overflow(overflow, &agent())?,
        },
        Err(Failure::Asks(asked)) => return Ok(Answer::Asks(target, asked)),
        Err(failure) => error::of_tool(failure, call.era, &agent())?,
    };
    let ToolFailure { text, limit } = failure;
    let result = ResultView {
        result_type: call.result_type(),
        content: [TextView { kind: "text", text: &text }],
        structured_content: None,
        is_error: true,
        meta: Meta { limit, ..call.meta() },
    };
    call.reply(&result).map(Answer::Whole).map_err(|overflow| Error::overflow(overflow, Some(&agent())))
}

/// The outer error is the agent's fault, the inner one a reply that does not fit.
fn success(call: &Call, target: &Target, result: &ToolResult) -> Result<Result<Buffer, Overflow>, Error> {
    let structured = result.structured.as_deref().map(json::check).transpose().map_err(|why| {
        let reason = format!("a structured result that is {why}");
        Error::broken(&target.identity(), &reason)
    })?;
    let view = ResultView {
        result_type: call.result_type(),
        content: Contents { list: &result.content, names: call.names(target) },
        // Before 2026-07-28 it could only be an object, and clients of then check.
        structured_content: structured.filter(|value| call.era == Era::Modern || json::is_object(value)),
        is_error: result.is_error,
        meta: call.meta(),
    };
    Ok(call.reply(&view))
}

/// The marked parameters of an agent's tools, listed now if nobody has listed them yet.
async fn marks(call: &Call<'_>, target: &Target) -> Result<std::sync::Arc<[mark::Mark]>, Error> {
    let (agent, digest) = (target.agent.name(), &target.offer.digest);
    if let Some(known) = call.service.marks.of(agent, digest) {
        return Ok(known);
    }
    let (mut marks, mut at) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        match target.agent.list_tools(&call.caller, at.as_deref()).await {
            Ok(page) => {
                marks.extend(page.value.tools.iter().flat_map(mark::of_tool));
                match page.value.next {
                    Some(next) => at = Some(next),
                    None => break,
                }
            }
            // Not run; the call itself would not be either.
            Err(failure @ Failure::Refused(_)) => {
                return Err(Error::of(failure, call.era, error::About::Other, &target.identity()));
            }
            // An agent that cannot list its tools marks none, but may well be able to run them.
            Err(failure) => {
                tracing::warn!(agent, ?failure, "cannot list tools to learn which parameters are marked");
                break;
            }
        }
    }
    Ok(call.service.marks.learn(&agent.into(), digest, marks))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultView<'a, C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_type: Option<&'static str>,
    pub content: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_content: Option<&'a RawValue>,
    pub is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta<'a>,
}

#[derive(Serialize)]
pub struct TextView<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub text: &'a str,
}

struct Contents<'a> {
    list: &'a [Content],
    names: Names<'a>,
}

impl Serialize for Contents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.list.iter().map(|content| ContentView::new(content, self.names)))
    }
}
