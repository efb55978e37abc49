//! Parameters that a tool wants repeated in a header: `x-mcp-header` in its input schema, `Mcp-Param-*` in the request.
//!
//! Owns a small memory of which parameters are marked, by agent and component: learned whenever an agent's tools are
//! listed, so that a call need not list them first. Bounded per agent; an agent's marks go when its component changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName};
use serde_json::value::RawValue;

use super::error::Error;
use super::{headers, json};
use crate::agent::contract::Tool;

/// Marked parameters remembered for one agent; more are not checked.
pub(super) const MARKS_MAX: usize = 64;

/// Bytes of one mark: header, tool and path together; a longer one is not checked.
const MARK_BYTES_MAX: usize = 512;

/// A parameter that must be repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    tool: Box<str>,
    header: HeaderName,
    /// From the root of the arguments, through objects only.
    path: Vec<Box<str>>,
}

/// The marks of every agent whose tools were listed.
#[derive(Debug, Default)]
pub struct Marks {
    agents: Mutex<HashMap<Arc<str>, Known>>,
}

#[derive(Debug)]
struct Known {
    /// Of the component whose tools these are.
    digest: Box<str>,
    marks: Arc<[Mark]>,
}

impl Marks {
    /// None when the tools of this component have not been listed yet.
    pub fn of(&self, agent: &str, digest: &str) -> Option<Arc<[Mark]>> {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.get(agent).filter(|known| *known.digest == *digest).map(|known| known.marks.clone())
    }

    /// Remembers what all pages of an agent's list were found to mark.
    pub fn learn(&self, agent: &Arc<str>, digest: &str, mut marks: Vec<Mark>) -> Arc<[Mark]> {
        marks.truncate(MARKS_MAX);
        let marks: Arc<[Mark]> = marks.into();
        let known = Known { digest: digest.into(), marks: marks.clone() };
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.clone(), known);
        marks
    }
}

/// The marks of one tool. A schema that cannot be read has none; the list leaves such a tool out anyway.
pub fn of_tool(tool: &Tool) -> Vec<Mark> {
    let mut marks = Vec::new();
    // Nearly no tool has one, and this looks at each byte once.
    if tool.input_schema.contains("x-mcp-header")
        && let Ok(schema) = json::object_schema(&tool.input_schema)
    {
        collect(&tool.name, schema, &mut Vec::new(), &mut marks);
    }
    marks
}

/// Follows `properties`, the only way on which a mark counts.
fn collect(tool: &str, schema: &RawValue, path: &mut Vec<Box<str>>, marks: &mut Vec<Mark>) {
    let Ok(Some(properties)) = json::member(schema, "properties") else { return };
    json::for_each_member(properties, |key, property| {
        if marks.len() >= MARKS_MAX {
            return;
        }
        path.push(key.into());
        if let Some(header) = header(property) {
            let bytes = tool.len() + header.as_str().len() + path.iter().map(|key| key.len()).sum::<usize>();
            if bytes <= MARK_BYTES_MAX {
                marks.push(Mark { tool: tool.into(), header, path: path.clone() });
            }
        }
        collect(tool, property, path, marks);
        path.pop();
    });
}

/// The header of a property that is marked as the specification allows: a primitive one, under a name that is a token.
fn header(property: &RawValue) -> Option<HeaderName> {
    let mark = json::member(property, "x-mcp-header").ok()??;
    let mark: String = serde_json::from_str(mark.get()).ok()?;
    let kind = json::member(property, "type").ok()??;
    let is_primitive = matches!(kind.get(), r#""string""# | r#""integer""# | r#""boolean""#);
    if is_primitive && !mark.is_empty() { format!("mcp-param-{mark}").parse().ok() } else { None }
}

/// Compares every marked argument of a call with its header.
pub fn check(marks: &[Mark], tool: &str, arguments: &str, given: &HeaderMap) -> Result<(), Error> {
    for Mark { header, path, .. } in marks.iter().filter(|mark| &*mark.tool == tool) {
        let said = headers::value(given, header)?.map(|value| headers::decode(value, header)).transpose()?;
        match (argument(arguments, path)?, said) {
            (None, None) => {}
            (Some(value), Some(said)) if is_same(value, &said) => {}
            (Some(_), None) => return Err(headers::missing(header)),
            (_, Some(_)) => {
                let path = path.join(".");
                return Err(Error::header_mismatch(format!("header `{header}` is not the argument `{path}`")));
            }
        }
    }
    Ok(())
}

/// The argument at `path`; none when it is absent or `null`.
fn argument<'a>(arguments: &'a str, path: &[Box<str>]) -> Result<Option<&'a RawValue>, Error> {
    let invalid = |e| Error::invalid_params(format!("invalid `arguments`: {e}"));
    let mut value: &RawValue = serde_json::from_str(arguments).map_err(invalid)?;
    for key in path {
        if !json::is_object(value) {
            return Ok(None);
        }
        match json::member(value, key).map_err(invalid)? {
            Some(member) if member.get() != "null" => value = member,
            _ => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn is_same(value: &RawValue, said: &str) -> bool {
    match value.get() {
        text if text.starts_with('"') => serde_json::from_str::<String>(text).is_ok_and(|text| text == said),
        text if text == said => true,
        // `42` and `42.0` are the same integer.
        text => integer(text).is_some_and(|value| integer(said) == Some(value)),
    }
}

/// An integer in any of its spellings. None beyond those that a float can tell apart: there, two numbers would be one.
fn integer(text: &str) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

#[cfg(test)]
mod tests;
