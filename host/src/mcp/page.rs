//! One page of one agent's list: fetched, then written entry by entry. What MCP could not carry is left out, with a
//! warning.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::buffer::{Buffer, Overflow};
use super::call::Target;
use super::name::Names;
use super::request::List;
use super::version::Era;
use super::view::{PromptView, ResourceView, TemplateView, ToolView};
use super::{json, put};
use crate::agent::contract::{Cache, PromptPage, ResourcePage, TemplatePage, Tool, ToolPage};
use crate::agent::{Caller, Charged, Failure};

/// A page, with the charge that pays for it.
#[derive(Debug)]
pub enum Page {
    Tools(Charged<ToolPage>),
    Resources(Charged<ResourcePage>),
    Templates(Charged<TemplatePage>),
    Prompts(Charged<PromptPage>),
}

impl Page {
    pub async fn fetch(list: List, target: &Target, by: &Arc<Caller>, at: Option<&str>) -> Result<Self, Failure> {
        let agent = &target.agent;
        Ok(match list {
            List::Tools => Self::Tools(agent.list_tools(by, at).await?),
            List::Resources => Self::Resources(agent.list_resources(by, at).await?),
            List::Templates => Self::Templates(agent.list_templates(by, at).await?),
            List::Prompts => Self::Prompts(agent.list_prompts(by, at).await?),
        })
    }

    /// The agent's own cursor of the page after this one.
    pub fn next(&self) -> Option<&str> {
        let next = match self {
            Self::Tools(page) => &page.value.next,
            Self::Resources(page) => &page.value.next,
            Self::Templates(page) => &page.value.next,
            Self::Prompts(page) => &page.value.next,
        };
        next.as_deref()
    }

    pub fn cache(&self) -> Option<&Cache> {
        let cache = match self {
            Self::Tools(page) => &page.value.cache,
            Self::Resources(page) => &page.value.cache,
            Self::Templates(page) => &page.value.cache,
            Self::Prompts(page) => &page.value.cache,
        };
        cache.as_ref()
    }

    /// Writes the entries, each after a comma but the very first; counts them in `entries`.
    pub fn write(&self, names: Names, era: Era, out: &mut Buffer, entries: &mut usize) -> Result<(), Overflow> {
        match self {
            Self::Tools(page) => page.value.tools.iter().try_for_each(|tool| {
                let Some((input, output)) = offered(tool, names, era) else { return Ok(()) };
                write_entry(&ToolView::new(tool, names, input, output), out, entries)
            }),
            Self::Resources(page) => page
                .value
                .resources
                .iter()
                .try_for_each(|resource| write_entry(&ResourceView::new(resource, names), out, entries)),
            Self::Templates(page) => page
                .value
                .templates
                .iter()
                .try_for_each(|template| write_entry(&TemplateView::new(template, names), out, entries)),
            Self::Prompts(page) => page.value.prompts.iter().try_for_each(|prompt| match names.refuses(&prompt.name) {
                Some(why) => {
                    left_out("prompt", &prompt.name, names, why);
                    Ok(())
                }
                None => write_entry(&PromptView::new(prompt, names), out, entries),
            }),
        }
    }
}

/// Writes an entry behind the others of a list.
pub fn write_entry<T: Serialize>(entry: &T, out: &mut Buffer, entries: &mut usize) -> Result<(), Overflow> {
    if *entries > 0 {
        out.extend(b",")?;
    }
    put(out, entry)?;
    *entries += 1;
    Ok(())
}

/// A tool's schemas, if it can be offered.
fn offered<'t>(tool: &'t Tool, names: Names, era: Era) -> Option<(&'t RawValue, Option<&'t RawValue>)> {
    let refused = |why: &str| left_out("tool", &tool.name, names, why);
    if let Some(why) = names.refuses(&tool.name) {
        refused(why);
        return None;
    }
    let input = json::object_schema(&tool.input_schema).inspect_err(|why| refused(&format!("input: {why}"))).ok()?;
    let output = tool.output_schema.as_deref().map(json::schema).transpose();
    let output = output.inspect_err(|why| refused(&format!("output: {why}"))).ok()?;
    // Before 2026-07-28 an output schema had to be of an object, too; a tool with another one is offered without it.
    let output = output.filter(|schema| era == Era::Modern || json::is_of_object(schema));
    Some((input, output))
}

fn left_out(what: &str, name: &str, names: Names, why: &str) {
    let name = &name[..name.floor_char_boundary(64)];
    tracing::warn!(agent = names.agent, what, name, why, "left out of a list");
}

#[cfg(test)]
mod tests;
