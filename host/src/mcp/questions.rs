//! What an agent wants to know before it can go on (MCP 2026-07-28, multi round-trip requests): the questions, checked,
//! as either era puts them.
//!
//! An agent asks only what the client has declared that it can answer; what the contract passes on as JSON text is checked
//! here to be an object, so that it can stand in a message.

use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::call::Target;
use super::error::Error;
use super::json;
use crate::agent::contract::{InputRequest, InputRequired};

/// Questions that can be asked of a certain client.
pub struct Questions<'a>(Vec<(&'a str, Question<'a>)>);

/// One question, as a request of MCP: method and parameters.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub method: &'static str,
    pub params: Option<&'a RawValue>,
}

impl<'a> Questions<'a> {
    /// Checks what an agent asks.
    ///
    /// # Errors
    ///
    /// When the agent breaks the contract, or the client lacks a capability that a question needs.
    pub fn new(asked: &'a InputRequired, capabilities: &[String], target: &Target) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let mut questions: Vec<(&str, Question)> = Vec::with_capacity(asked.requests.len());
        for (key, request) in &asked.requests {
            let broken = |why: String| Error::broken(&target.identity(), &format!("a question that is {why}"));
            let question = Question::new(request).map_err(broken)?;
            if questions.iter().any(|(known, _)| *known == key.as_str()) {
                return Err(broken(format!("asked twice under the key `{key}`")));
            }
            let needed = question.capability();
            if !capabilities.iter().any(|declared| declared == needed) && !missing.iter().any(|it| it == needed) {
                missing.push(needed.to_owned());
            }
            questions.push((key, question));
        }
        if missing.is_empty() { Ok(Self(questions)) } else { Err(Error::missing_capability(&missing)) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its key.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Question<'a>)> {
        self.0.iter().copied()
    }
}

impl<'a> Question<'a> {
    fn new(request: &'a InputRequest) -> Result<Self, String> {
        let object = |text: &'a str| {
            let params = json::check(text)?;
            if json::is_object(params) { Ok(Some(params)) } else { Err("not a JSON object".to_owned()) }
        };
        Ok(match request {
            InputRequest::Elicitation(text) => Self { method: "elicitation/create", params: object(text)? },
            InputRequest::Sampling(text) => Self { method: "sampling/createMessage", params: object(text)? },
            InputRequest::Roots => Self { method: "roots/list", params: None },
        })
    }

    /// What a client must have declared.
    fn capability(&self) -> &'static str {
        let is_url =
            |params| json::member(params, "mode").is_ok_and(|mode| mode.is_some_and(|mode| mode.get() == r#""url""#));
        match self.method {
            "sampling/createMessage" => "sampling",
            "roots/list" => "roots",
            _ if self.params.is_some_and(is_url) => "elicitation.url",
            _ => "elicitation.form",
        }
    }
}

impl Serialize for Question<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut request = serializer.serialize_struct("Question", 2)?;
        request.serialize_field("method", self.method)?;
        match self.params {
            Some(params) => request.serialize_field("params", params)?,
            None => request.skip_field("params")?,
        }
        request.end()
    }
}

/// An object: each question under its key.
impl Serialize for Questions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut questions = serializer.serialize_map(Some(self.0.len()))?;
        for (key, question) in &self.0 {
            questions.serialize_entry(key, question)?;
        }
        questions.end()
    }
}
