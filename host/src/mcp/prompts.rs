//! `prompts/get` and `completion/complete`: what a person picks, and what is suggested while they type.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::buffer::Buffer;
use super::call::{Answer, Call};
use super::catalog;
use super::error::{About, Error};
use super::name::Names;
use super::request::{self, Completion, Reference};
use super::server::Meta;
use super::view::MessageView;
use crate::agent::Failure;
use crate::agent::contract::{self, Message, Suggestions};

/// Suggestions MCP allows in one answer.
const SUGGESTIONS_MAX: usize = 100;

/// Answers with the prompt that clients know as `shown`.
pub async fn get(call: &Call<'_>, shown: &str, arguments: Option<&RawValue>) -> Result<Answer, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PromptView<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        result_type: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: &'a Option<String>,
        messages: Messages<'a>,
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta<'a>,
    }
    let (target, name) = call.named("prompt", shown)?;
    let agent = || target.identity();
    if !target.offer.prompts {
        return Err(Error::unknown("prompt", shown, ""));
    }
    let arguments = request::strings(arguments)?;
    let outcome = target.agent.get_prompt(&call.caller, name, &arguments).await;
    let result = match outcome {
        Err(Failure::Asks(asked)) => return Ok(Answer::Asks(target, asked)),
        outcome => outcome.map_err(|failure| Error::of(failure, call.era, About::Other, &agent()))?,
    };
    let view = PromptView {
        result_type: call.result_type(),
        description: &result.value.description,
        messages: Messages { list: &result.value.messages, names: call.names(&target) },
        meta: call.meta(),
    };
    call.reply(&view).map(Answer::Whole).map_err(|overflow| Error::overflow(overflow, Some(&agent())))
}

/// Answers with suggestions for an argument.
pub async fn complete(call: &Call<'_>, completion: &Completion<'_>) -> Result<Buffer, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct CompletionView<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        result_type: Option<&'static str>,
        completion: SuggestionsView<'a>,
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta<'a>,
    }
    let (target, of) = match &completion.of {
        Reference::Prompt(shown) => {
            let (target, name) = call.named("prompt", shown)?;
            (target, contract::Reference::Prompt(name.to_owned()))
        }
        Reference::Template(shown) if catalog::is_template(call.endpoint, shown) => {
            let suggestions = catalog::suggest(call, &completion.value, SUGGESTIONS_MAX);
            let view = CompletionView {
                result_type: call.result_type(),
                completion: SuggestionsView::new(Some(&suggestions)),
                meta: call.meta(),
            };
            return call.reply(&view).map_err(|overflow| Error::overflow(overflow, None));
        }
        Reference::Template(shown) => {
            let (target, uri) = call.located(shown)?;
            (target, contract::Reference::Template(uri.to_owned()))
        }
    };
    let agent = || target.identity();
    let Completion { argument, value, known, .. } = completion;
    let suggestions = if target.offer.completion {
        let known = request::strings(*known)?;
        let outcome = target.agent.complete(&call.caller, &of, argument, value, &known).await;
        Some(outcome.map_err(|failure| Error::of(failure, call.era, About::Other, &agent()))?)
    } else {
        // Others on this endpoint suggest; this agent knows nothing to suggest.
        None
    };
    let view = CompletionView {
        result_type: call.result_type(),
        completion: SuggestionsView::new(suggestions.as_ref().map(|suggestions| &suggestions.value)),
        meta: call.meta(),
    };
    call.reply(&view).map_err(|overflow| Error::overflow(overflow, Some(&agent())))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SuggestionsView<'a> {
    values: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u32>,
    has_more: bool,
}

impl<'a> SuggestionsView<'a> {
    fn new(suggestions: Option<&'a Suggestions>) -> Self {
        let Some(Suggestions { values, total }) = suggestions else {
            return Self { values: &[], total: None, has_more: false };
        };
        let shown = &values[..values.len().min(SUGGESTIONS_MAX)];
        let has_more = values.len() > shown.len() || total.is_some_and(|total| total as usize > shown.len());
        Self { values: shown, total: *total, has_more }
    }
}

struct Messages<'a> {
    list: &'a [Message],
    names: Names<'a>,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.list.iter().map(|message| MessageView::new(message, self.names)))
    }
}

#[cfg(test)]
mod tests;
