//! One round of a request that an agent answers with questions (MCP 2026-07-28, multi round-trip requests).
//!
//! The host keeps nothing between rounds: the client sends the whole request again, with answers, and with the state that
//! the agent wants to have back. A state goes back only to the same component, for the same request, of the same principal.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::RequestMeta;
use super::seal::{Bond, Broken};
use crate::access::Principal;
use crate::agent::contract::InputRequired;
use crate::mcp::call::{Call, Target};
use crate::mcp::error::Error;
use crate::mcp::json;
use crate::mcp::parse::Text;
use crate::mcp::questions::Questions;
use crate::mcp::reply::Reply;
use crate::mcp::request::Request;
use crate::mcp::server::Meta;

/// Answers a client may bring: far more than an agent may ask.
const ANSWERS_MAX: usize = 64;

/// A request that may be answered with questions.
pub struct Round<'a> {
    principal: &'a Arc<Principal>,
    method: &'a str,
    kind: Kind,
    /// As the client knows it: of a tool or a prompt, or a URI.
    name: &'a str,
    arguments: &'a str,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tool,
    Prompt,
    Resource,
}

/// Key and JSON text of each answer.
type Answers = Vec<(String, String)>;

impl<'a> Round<'a> {
    /// None for requests that are answered at once or not at all.
    pub fn of(request: &'a Request<'a>, method: &'a str, principal: &'a Arc<Principal>) -> Option<Self> {
        let (kind, name, arguments) = match request {
            Request::CallTool { name, arguments } => (Kind::Tool, name, *arguments),
            Request::GetPrompt { name, arguments } => (Kind::Prompt, name, arguments.map_or("", RawValue::get)),
            Request::Read { uri } => (Kind::Resource, uri, ""),
            Request::List(..) | Request::Complete(_) => return None,
        };
        Some(Self { principal, method, kind, name, arguments })
    }

    /// Whom the request is about, and its own name for what is asked.
    fn target(&self, call: &Call<'_>) -> Result<(Target, &'a str), Error> {
        match self.kind {
            Kind::Tool => call.named("tool", self.name),
            Kind::Prompt => call.named("prompt", self.name),
            Kind::Resource => call.located(self.name),
        }
    }

    /// Of the request and the component that is to answer it: a newer one may understand by the same state something else.
    fn digest(&self, target: &Target, own_name: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [target.agent.name(), &target.offer.digest, self.method, own_name] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        // A client may write the same arguments with other white space when it sends them again.
        hash_without_space(self.arguments, &mut hasher);
        hasher.finalize().into()
    }

    /// The agent's state, if it belongs to this request.
    fn opened(&self, call: &Call<'_>, sealed: &str) -> Result<String, Error> {
        let (target, own_name) = self.target(call)?;
        let bond = Bond { principal: &self.principal.name, digest: &self.digest(&target, own_name) };
        call.service.modern.seal.open(sealed, bond).map_err(|broken| {
            Error::invalid_params(match broken {
                Broken::Expired => "`requestState` is too old: send the request without it, and answer anew",
                Broken::Foreign => {
                    "`requestState` is not one that this host gave out for this request: send the request without it"
                }
            })
        })
    }

    /// What the client brings back from an earlier round: answers, and the agent's state.
    pub fn returned(&self, call: &Call<'_>, meta: &RequestMeta<'_>) -> Result<(Answers, Option<String>), Error> {
        let state = match meta.state.map(|state| serde_json::from_str(state.get())) {
            Some(Ok(Text(sealed))) => Some(self.opened(call, &sealed)?),
            Some(Err(_)) => return Err(Error::invalid_params("`requestState` must be a string")),
            None => None,
        };
        let (mut answers, mut count) = (Vec::new(), 0);
        let is_object = meta.answers.is_none_or(|responses| {
            json::for_each_member(responses, |key, answer| {
                count += 1;
                if count <= ANSWERS_MAX {
                    answers.push((key.into_owned(), answer.get().to_owned()));
                }
            })
        });
        if count > ANSWERS_MAX {
            return Err(Error::beyond("inputResponses", "answers", ANSWERS_MAX as u64, count as u64));
        }
        if !is_object || answers.iter().any(|(_, answer)| !answer.starts_with('{')) {
            return Err(Error::invalid_params("`inputResponses` must be an object of result objects"));
        }
        Ok((answers, state))
    }

    /// The reply that asks.
    pub fn ask(&self, call: &Call<'_>, target: &Target, asked: &InputRequired) -> Result<Reply, Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Asking<'a> {
            result_type: &'static str,
            #[serde(skip_serializing_if = "Questions::is_empty")]
            input_requests: Questions<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_state: Option<String>,
            #[serde(rename = "_meta")]
            meta: Meta<'a>,
        }
        let input_requests = Questions::new(asked, &call.caller.capabilities, target)?;
        let sealed = asked.state.as_deref().map(|state| {
            let (_, own_name) = self.target(call).map_err(|_| anyhow::anyhow!("the agent is gone"))?;
            let bond = Bond { principal: &self.principal.name, digest: &self.digest(target, own_name) };
            call.service.modern.seal.close(state, bond)
        });
        let sealed = sealed.transpose();
        let request_state = sealed.map_err(|error| Error::internal(format!("cannot seal a state: {error}")))?;
        let asking = Asking { result_type: "input_required", input_requests, request_state, meta: call.meta() };
        let reply = call.reply(&asking).map_err(|overflow| Error::overflow(overflow, Some(&target.identity())))?;
        Ok(Reply::json(reply.into_bytes()))
    }
}

/// Hashes a JSON text without the white space between its tokens.
fn hash_without_space(json: &str, hasher: &mut Sha256) {
    let (mut in_string, mut escaped, mut start) = (false, false, 0);
    let bytes = json.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if !in_string => {
                hasher.update(&bytes[start..at]);
                start = at + 1;
            }
            b'"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *byte == b'\\' && !escaped;
    }
    hasher.update(&bytes[start..]);
}

#[cfg(test)]
mod tests;
