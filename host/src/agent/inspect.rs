//! A component seen from outside, whether or not it is an agent; and all that an agent says it has.
//!
//! What `stockade inspect` and `build` tell a publisher. The component is compiled by the child, and the agent runs under
//! its caps, as at a start: a file that nobody trusts yet may be looked at on any machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use stockade_ledger::Charge;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::admit::OWN_REVISION;
use super::contract::{Prompt, Resource, Template, Tool};
use super::{Agent, Called, Caller, Charged, Failure, NOTHING_PUBLISHED, Offer, fit};

/// Pages of one list that are looked at.
const PAGES_MAX: usize = 64;

/// Bytes of a page of linear memory, the unit in which components declare theirs.
const PAGE_BYTES: u64 = 64 << 10;

/// How WebAssembly begins, and the version and layer behind that, by which core modules differ from components.
const MAGIC: &[u8] = b"\0asm";
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

/// What a component is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anatomy {
    /// Names of interfaces, and of functions beside them.
    pub exports: Vec<String>,
    pub imports: Vec<String>,
    /// Bytes of linear memory that an instance begins with.
    pub initial_memory: u64,
    /// Why it is no agent, if it is none.
    pub misfit: Option<String>,
}

/// What an agent says it has.
#[derive(Debug)]
pub struct Stock {
    pub offer: Arc<Offer>,
    pub tools: Vec<Tool>,
    pub resources: Vec<Resource>,
    pub templates: Vec<Template>,
    pub prompts: Vec<Prompt>,
    /// Lists that failed. A host serves such an agent all the same.
    pub failed: Vec<String>,
    /// Pay for what the lists hold.
    charges: Vec<Charge>,
}

/// Why what begins like this is no component, if its first eight bytes say so (Component Model, `Binary.md`).
pub fn misform(bytes: &[u8]) -> Option<&'static str> {
    match bytes.strip_prefix(MAGIC) {
        None => Some("it is no WebAssembly: name the .wasm file"),
        Some(rest) if rest.starts_with(CORE_MODULE) => Some("it is a core module: build it for wasm32-wasip2"),
        Some(_) => None,
    }
}

/// The same of a file.
///
/// # Errors
///
/// When it cannot be read.
pub fn misform_of(file: &Path) -> io::Result<Option<&'static str>> {
    let mut begin = Vec::new();
    File::open(file)?.take((MAGIC.len() + CORE_MODULE.len()) as u64).read_to_end(&mut begin)?;
    Ok(misform(&begin))
}

impl Agent {
    /// Takes the agent's component apart.
    ///
    /// # Errors
    ///
    /// When it is no component, or cannot be compiled here within the limits.
    pub async fn anatomy(&self) -> Result<Anatomy, String> {
        let release = self.release.as_ref().ok_or(NOTHING_PUBLISHED)?;
        self.home.means.shelf.anatomy(release).await.map_err(|error| format!("{error:#}"))
    }

    /// Puts the agent on trial as a start does, and goes through all its lists.
    ///
    /// # Errors
    ///
    /// Why a host would refuse it.
    pub async fn stock(&self) -> Result<Stock, String> {
        let offer = self.admit(None).await.map_err(|unfit| unfit.to_string())?.offer;
        let by = &Arc::new(Caller::new("host".into(), OWN_REVISION));
        let (tools, resources, templates, prompts) = (vec![], vec![], vec![], vec![]);
        let mut stock = Stock { offer, tools, resources, templates, prompts, failed: vec![], charges: vec![] };
        if stock.offer.tools {
            let list = all(async |at| self.list_tools(by, at.as_deref()).await, |page| (page.tools, page.next)).await;
            stock.tools = stock.keep("tools", list);
        }
        if stock.offer.resources {
            let list = all(async |at| self.list_resources(by, at.as_deref()).await, |page| (page.resources, page.next));
            stock.resources = stock.keep("resources", list.await);
            let list = all(async |at| self.list_templates(by, at.as_deref()).await, |page| (page.templates, page.next));
            stock.templates = stock.keep("templates", list.await);
        }
        if stock.offer.prompts {
            let list =
                all(async |at| self.list_prompts(by, at.as_deref()).await, |page| (page.prompts, page.next)).await;
            stock.prompts = stock.keep("prompts", list);
        }
        Ok(stock)
    }
}

impl Stock {
    /// How much there is of each kind, such as `1 tool, 2 resources`.
    pub fn summary(&self) -> String {
        let counts = [
            (self.tools.len(), "tool"),
            (self.resources.len(), "resource"),
            (self.templates.len(), "template"),
            (self.prompts.len(), "prompt"),
        ];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> =
            some.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    }

    /// What a list holds; nothing, and the reason among those that failed, where there is none.
    fn keep<T>(&mut self, name: &str, list: Result<List<T>, Failure>) -> Vec<T> {
        match list {
            Ok(List { entries, charges }) => {
                self.charges.extend(charges);
                entries
            }
            Err(failure) => {
                self.failed.push(format!("{name}: {failure}"));
                vec![]
            }
        }
    }
}

/// A list, and what pays for it.
struct List<T> {
    entries: Vec<T>,
    charges: Vec<Charge>,
}

/// A list to its end, or as far as it is looked at.
async fn all<P, T>(
    page: impl AsyncFn(Option<String>) -> Called<P>,
    part: impl Fn(P) -> (Vec<T>, Option<String>),
) -> Result<List<T>, Failure> {
    let mut list = List { entries: vec![], charges: vec![] };
    let mut at = None;
    for _ in 0..PAGES_MAX {
        let Charged { value, charge } = page(at).await?;
        let (entries, next) = part(value);
        list.entries.extend(entries);
        list.charges.push(charge);
        at = next;
        if at.is_none() {
            break;
        }
    }
    Ok(list)
}

/// Looks at a component's type.
pub(super) fn anatomy(engine: &Engine, component: &Component) -> Anatomy {
    let kind = component.component_type();
    Anatomy {
        exports: kind.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        imports: kind.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        initial_memory: initial_memory(component),
        misfit: fit::check(engine, component).err().map(|misfit| misfit.to_string()),
    }
}

/// Bytes of linear memory that a component declares: its largest memory, times how many it has.
pub(super) fn initial_memory(component: &Component) -> u64 {
    component.resources_required().map_or(0, |required| {
        let pages = required.max_initial_memory_size.unwrap_or(0);
        u64::from(required.num_memories).saturating_mul(pages).saturating_mul(PAGE_BYTES)
    })
}
