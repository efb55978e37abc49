//! Method and raw `params` -> one typed request. Past this room nobody compares method names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{self, Error};
use super::json;
use super::parse::Text;
use crate::agent::Offer;

/// Arguments of a prompt, or known to a completion. Each costs the host more than the client who sends it.
const ARGUMENTS_MAX: usize = 256;

/// What a client asks of an agent; the same in both eras.
#[derive(Debug)]
pub enum Request<'a> {
    List(List, Option<Cow<'a, str>>),
    Read {
        uri: Cow<'a, str>,
    },
    /// `arguments` is a JSON object, as the client sent it.
    CallTool {
        name: Cow<'a, str>,
        arguments: &'a str,
    },
    GetPrompt {
        name: Cow<'a, str>,
        arguments: Option<&'a RawValue>,
    },
    Complete(Completion<'a>),
}

/// What an agent must offer to be asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    Tools,
    Resources,
    Prompts,
    Completions,
}

impl Capability {
    pub fn is_of(self, offer: &Offer) -> bool {
        match self {
            Self::Tools => offer.tools,
            Self::Resources => offer.resources,
            Self::Prompts => offer.prompts,
            Self::Completions => offer.completion,
        }
    }
}

/// The four lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

#[derive(Debug)]
pub struct Completion<'a> {
    pub of: Reference<'a>,
    pub argument: Cow<'a, str>,
    pub value: Cow<'a, str>,
    /// The arguments already filled in: an object of strings.
    pub known: Option<&'a RawValue>,
}

/// What is being completed.
#[derive(Debug)]
pub enum Reference<'a> {
    Prompt(Cow<'a, str>),
    Template(Cow<'a, str>),
}

impl<'a> Request<'a> {
    /// None for a method that no agent serves.
    pub fn parse(method: &str, params: Option<&'a RawValue>) -> Result<Option<Self>, Error> {
        let list = match method {
            "tools/list" => List::Tools,
            "resources/list" => List::Resources,
            "resources/templates/list" => List::Templates,
            "prompts/list" => List::Prompts,
            _ => return Self::parse_call(method, params),
        };
        let ListParams { cursor } = self::params(params)?;
        Ok(Some(Self::List(list, cursor.map(|Text(cursor)| cursor))))
    }

    fn parse_call(method: &str, params: Option<&'a RawValue>) -> Result<Option<Self>, Error> {
        let request = match method {
            "resources/read" => {
                let ReadParams { uri } = self::params(params)?;
                Self::Read { uri }
            }
            "tools/call" => {
                let NamedParams { name, arguments } = self::params(params)?;
                let arguments = arguments.map_or("{}", RawValue::get);
                if !arguments.starts_with('{') {
                    return Err(Error::invalid_params("`arguments` must be an object"));
                }
                Self::CallTool { name, arguments }
            }
            "prompts/get" => {
                let NamedParams { name, arguments } = self::params(params)?;
                Self::GetPrompt { name, arguments }
            }
            "completion/complete" => Self::Complete(Completion::parse(params)?),
            _ => return Ok(None),
        };
        Ok(Some(request))
    }

    pub fn capability(&self) -> Capability {
        match self {
            Self::List(list, _) => list.capability(),
            Self::Read { .. } => Capability::Resources,
            Self::CallTool { .. } => Capability::Tools,
            Self::GetPrompt { .. } => Capability::Prompts,
            Self::Complete(_) => Capability::Completions,
        }
    }

    /// What the header `Mcp-Name` must repeat.
    pub fn header_name(&self) -> Option<&str> {
        match self {
            Self::Read { uri } => Some(uri),
            Self::CallTool { name, .. } | Self::GetPrompt { name, .. } => Some(name),
            Self::List(..) | Self::Complete(_) => None,
        }
    }
}

impl List {
    pub fn capability(self) -> Capability {
        match self {
            Self::Tools => Capability::Tools,
            Self::Resources | Self::Templates => Capability::Resources,
            Self::Prompts => Capability::Prompts,
        }
    }
}

impl<'a> Completion<'a> {
    fn parse(params: Option<&'a RawValue>) -> Result<Self, Error> {
        let CompleteParams { of, argument, context } = self::params(params)?;
        let of: RefParams = object("ref", of.get())?;
        let argument: ArgumentParams = object("argument", argument.get())?;
        let context: Option<ContextParams> = context.map(|context| object("context", context.get())).transpose()?;
        let of = match (&*of.kind, of.name, of.uri) {
            ("ref/prompt", Some(Text(name)), _) => Reference::Prompt(name),
            ("ref/resource", _, Some(Text(uri))) => Reference::Template(uri),
            _ => {
                let text = "`ref` must be a `ref/prompt` with a `name`, or a `ref/resource` with a `uri`";
                return Err(Error::invalid_params(text));
            }
        };
        let known = context.and_then(|context| context.arguments);
        Ok(Self { of, argument: argument.name, value: argument.value, known })
    }
}

/// Parameters of one method. Members we do not know are skipped; `_meta` was read before.
pub fn params<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, Error> {
    object("params", params.map_or("{}", RawValue::get))
}

/// The fields of an object. serde would also take an array of them, and quote a string at any length.
fn object<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, Error> {
    if !text.starts_with('{') {
        return Err(Error::invalid_params(format!("`{what}` must be an object")));
    }
    serde_json::from_str(text)
        .map_err(|e| Error::invalid_params(format!("invalid parameters: {}", error::excerpt(&e.to_string()))))
}

/// An object of strings, as prompts and completions take their arguments.
pub fn strings(object: Option<&RawValue>) -> Result<Vec<(String, String)>, Error> {
    let Some(object) = object else { return Ok(Vec::new()) };
    let wrong = |why: &str| Error::invalid_params(format!("`arguments` must be an object of strings{why}"));
    let mut count = 0;
    if !json::for_each_member(object, |_, _| count += 1) {
        return Err(wrong(""));
    }
    if count > ARGUMENTS_MAX {
        return Err(wrong(&format!(", at most {ARGUMENTS_MAX}")));
    }
    let arguments: BTreeMap<String, String> =
        serde_json::from_str(object.get()).map_err(|e| wrong(&format!(": {}", error::excerpt(&e.to_string()))))?;
    Ok(arguments.into_iter().collect())
}

#[derive(Deserialize)]
struct ListParams<'a> {
    #[serde(borrow)]
    cursor: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ReadParams<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
}

#[derive(Deserialize)]
struct NamedParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CompleteParams<'a> {
    #[serde(borrow, rename = "ref")]
    of: &'a RawValue,
    #[serde(borrow)]
    argument: &'a RawValue,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RefParams<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uri: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ArgumentParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ContextParams<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests;
