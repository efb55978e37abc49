//! The first call of a freshly loaded agent: what it says of itself, and whether its names will do.
//!
//! Runs under the caps of any other call. An agent that fails its trial is not served; its neighbours are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::Instance;

use super::admit::Shape;
use super::contract::{Description, Tool};
use super::live::{Live, Thread, instantiated};
use super::shelf::Loaded;
use super::state::State;
use super::{Agent, Caller, Failure};

/// Pages of a list that are looked at, and names that are remembered to find doubled ones.
const PAGES_MAX: usize = 64;
const NAMES_MAX: usize = 4096;

/// Bytes of the schemas of all tools of a version that is to be published.
const SCHEMAS_BYTES_MAX: usize = 1 << 20;

/// Bytes of a tool's or prompt's name, alone and as `agent__name`.
const NAME_BYTES_MAX: usize = 64;

impl Agent {
    /// Calls `describe`, which also compares every exported function with the contract's types. Says how long a fresh
    /// instance and its answer took.
    pub(super) async fn describe(&self, by: &Arc<Caller>) -> Result<(Description, Duration), Failure> {
        let mut live = self.enter(self.spec(), by, Thread::Shared, false).await?;
        let began = Instant::now();
        let Live { store, instance, loaded, clock, .. } = &mut live;
        let store = &mut **store;
        let call = async {
            let instance = instantiated(&mut *store, loaded, instance).await?;
            check_types(&mut *store, loaded, &instance)?;
            Ok(Ok(loaded.describe.load(&mut *store, &instance)?.call_describe(&mut *store).await?))
        };
        let outcome = clock.bound(call).await;
        let cost = super::stats::Cost { wall: began.elapsed(), ..live.cost() };
        Ok((self.judge(&live, "describe", cost, outcome)?, cost.wall))
    }

    /// Goes through the names of all tools and prompts; `tools` takes what callers of tools depend on.
    pub(super) async fn look_through(
        &self,
        by: &Arc<Caller>,
        mut tools: Option<&mut Vec<Shape>>,
    ) -> Result<(), Failure> {
        let loaded = self.loaded().await?;
        if loaded.tools.is_some() {
            let mut names = Names::new(self, "tool");
            let mut cursor = None;
            for _ in 0..PAGES_MAX {
                let page = self.list_tools(by, cursor.as_deref()).await?.value;
                page.tools.iter().try_for_each(|Tool { name, .. }| names.add(name))?;
                if let Some(shapes) = tools.as_deref_mut() {
                    self.keep(page.tools, shapes)?;
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        if loaded.prompts.is_some() {
            let mut names = Names::new(self, "prompt");
            let mut cursor = None;
            for _ in 0..PAGES_MAX {
                let page = self.list_prompts(by, cursor.as_deref()).await?.value;
                page.prompts.iter().try_for_each(|prompt| names.add(&prompt.name))?;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Keeps the schemas of tools, as far as there is room for them.
    fn keep(&self, tools: Vec<Tool>, shapes: &mut Vec<Shape>) -> Result<(), Failure> {
        let shape = |tool: Tool| Shape { name: tool.name, input: tool.input_schema, output: tool.output_schema };
        shapes.extend(tools.into_iter().map(shape));
        let length = |shape: &Shape| shape.input.len() + shape.output.as_ref().map_or(0, String::len);
        let bytes: usize = shapes.iter().map(length).sum();
        if bytes > SCHEMAS_BYTES_MAX {
            let text = format!("the schemas of its tools have more than {SCHEMAS_BYTES_MAX} bytes together");
            return Err(self.broke(text));
        }
        Ok(())
    }
}

/// Looks every exported function up, which compares it with the contract's type.
fn check_types(store: &mut Store<State>, loaded: &Loaded, instance: &Instance) -> wasmtime::Result<()> {
    let named = |interface, checked: Option<wasmtime::Error>| checked.map(|error| (interface, error));
    let checks = [
        named("describe", loaded.describe.load(&mut *store, instance).err()),
        named("resources", loaded.resources.as_ref().and_then(|it| it.load(&mut *store, instance).err())),
        named("tools", loaded.tools.as_ref().and_then(|it| it.load(&mut *store, instance).err())),
        named("prompts", loaded.prompts.as_ref().and_then(|it| it.load(&mut *store, instance).err())),
        named("completion", loaded.completion.as_ref().and_then(|it| it.load(&mut *store, instance).err())),
    ];
    match checks.into_iter().flatten().next() {
        Some((interface, error)) => {
            Err(wasmtime::Error::msg(format!("`{interface}` does not have the contract's types: {error:#}")))
        }
        None => Ok(()),
    }
}

/// The names of one kind that an agent uses.
struct Names<'a> {
    agent: &'a Agent,
    kind: &'static str,
    seen: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(agent: &'a Agent, kind: &'static str) -> Self {
        Self { agent, kind, seen: BTreeSet::new() }
    }

    fn add(&mut self, name: &str) -> Result<(), Failure> {
        check_name(self.agent.name(), self.kind, name).map_err(|reason| self.agent.broke(reason))?;
        if self.seen.len() >= NAMES_MAX {
            return Err(self.agent.broke(format!("more than {NAMES_MAX} {}s", self.kind)));
        }
        if !self.seen.insert(name.to_owned()) {
            return Err(self.agent.broke(format!("a {} name comes twice: `{name}`; rename one of them", self.kind)));
        }
        Ok(())
    }
}

/// The contract's rule for names of tools and prompts, with room for the agent's own name before it.
pub(super) fn check_name(agent: &str, kind: &str, name: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    if name.is_empty() || !name.bytes().all(legal) {
        let shown = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
        return Err(format!("the {kind} name `{shown}` is not made of A-Z a-z 0-9 _ . / -"));
    }
    let whole = agent.len() + "__".len() + name.len();
    if whole > NAME_BYTES_MAX {
        let shown = &name[..name.len().min(NAME_BYTES_MAX)];
        return Err(format!(
            "the {kind} name `{agent}__{shown}` has {whole} bytes; at most {NAME_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
