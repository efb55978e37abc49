//! Asking the client for input, and understanding what it answers.
//!
//! Shared by tools, prompts and reads. Never asks for what the client has not declared: that is a missing capability.

use crate::stockade::agent::host::{self, RequestContext};
use crate::stockade::agent::types::{Error, InputRequest, InputRequired};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Stands for what a person would not say.
const DECLINED: &str = "(not told)";

/// The call being served, with what the client has answered so far.
pub struct Round(pub RequestContext);

/// What a person said to a form.
#[derive(serde::Deserialize)]
pub struct Elicited {
    pub action: Action,
    #[serde(default)]
    pub content: serde_json::Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Accept,
    Decline,
    Cancel,
}

/// What the client's model said. Only text is looked at.
#[derive(serde::Deserialize)]
pub struct Sampled {
    content: Value,
}

/// Which directories the client works in.
#[derive(serde::Deserialize)]
pub struct Roots {
    pub roots: Vec<Root>,
}

#[derive(serde::Deserialize)]
pub struct Root {
    pub uri: String,
}

impl Round {
    /// As the host tells it.
    pub fn current() -> Self {
        Round(host::request())
    }

    /// The answer under `key`. One that has the wrong shape counts as not given, so the question is asked again.
    pub fn answer<A: DeserializeOwned>(&self, key: &str) -> Option<A> {
        let (_, answer) = self.0.answers.iter().find(|(k, _)| k == key)?;
        serde_json::from_str(answer).ok()
    }

    /// The text a person put into `field` of the form under `key`. A refusal is an answer too: [`DECLINED`].
    pub fn field(&self, key: &str, field: &str) -> Option<String> {
        let elicited: Elicited = self.answer(key)?;
        match elicited.action {
            Action::Accept => Some(elicited.content.get(field)?.as_str()?.into()),
            Action::Decline | Action::Cancel => Some(DECLINED.into()),
        }
    }

    /// Whether the client can be asked in this way.
    pub fn declares(&self, capability: &str) -> bool {
        self.0.capabilities.iter().any(|declared| declared == capability)
    }

    /// Asks `questions`, or says which of the capabilities they need are missing.
    pub fn ask(&self, questions: Vec<(&str, InputRequest)>, state: Option<String>) -> Error {
        let mut missing: Vec<String> = Vec::new();
        for (_, question) in &questions {
            let needed = capability(question);
            if !self.declares(needed) && !missing.iter().any(|m| m == needed) {
                missing.push(needed.into());
            }
        }
        if !missing.is_empty() {
            return Error::MissingCapability(missing);
        }
        let requests = questions.into_iter().map(|(key, question)| (key.into(), question)).collect();
        Error::InputRequired(InputRequired { requests, state })
    }
}

impl Elicited {
    /// As the conformance suite words it: `action=accept, content={…}`.
    pub fn summary(&self) -> String {
        let action = match self.action {
            Action::Accept => "accept",
            Action::Decline => "decline",
            Action::Cancel => "cancel",
        };
        format!("action={action}, content={}", Value::Object(self.content.clone()))
    }
}

impl Sampled {
    pub fn text(&self) -> &str {
        self.content.get("text").and_then(Value::as_str).unwrap_or("(no text)")
    }
}

fn capability(question: &InputRequest) -> &'static str {
    match question {
        InputRequest::Elicitation(_) => "elicitation",
        InputRequest::Sampling(_) => "sampling",
        InputRequest::Roots => "roots",
    }
}

/// A form with one required field.
pub fn form(message: &str, field: &str, kind: &str) -> InputRequest {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
    InputRequest::Elicitation(json!({ "message": message, "requestedSchema": schema }).to_string())
}

/// A prompt for the client's model.
pub fn sampling(prompt: &str, tokens_max: u32) -> InputRequest {
    let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    InputRequest::Sampling(json!({ "messages": [message], "maxTokens": tokens_max }).to_string())
}
