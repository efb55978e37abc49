//! Does a component fit the contract?
//!
//! Answers with names: what is missing, what is extra. Types are checked later, when the exports are looked up in a trial
//! instance, because only the engine can compare them.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

const PACKAGE: &str = "stockade:agent/";
const VERSION: &str = "@0.1.0";

/// What an agent must export, and what else it may.
const REQUIRED_EXPORT: &str = "describe";
const OPTIONAL_EXPORTS: [&str; 4] = ["resources", "tools", "prompts", "completion"];

/// What it may import from the contract; `types` has no functions, but some toolchains import it.
const OFFERED_IMPORTS: [&str; 2] = ["host", "types"];

/// Worlds of WASI 0.2 that are linked. Sockets are there, because libraries look for them, and refuse everything.
const OFFERED_WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Names by which a component does not fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Misfit {
    pub missing: Vec<String>,
    pub extra_exports: Vec<String>,
    pub extra_imports: Vec<String>,
}

/// Compares the names of a component's imports and exports with the contract's.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<(), Misfit> {
    let kind = component.component_type();
    let mut misfit = Misfit::default();
    let mut described = false;
    for (name, item) in kind.exports(engine) {
        let interface = ours(name);
        described |= interface == Some(REQUIRED_EXPORT);
        let known = interface.is_some_and(|it| it == REQUIRED_EXPORT || OPTIONAL_EXPORTS.contains(&it));
        // Functions beside the interfaces, and interfaces of no package, are a toolchain's own (initialisers, say: those of
        // componentize-py stand in `exports`); nobody can call them here.
        let named = name.contains(':') && matches!(item.ty, ComponentItem::ComponentInstance(_));
        if !known && named {
            misfit.extra_exports.push(name.to_owned());
        }
    }
    if !described {
        misfit.missing.push(format!("{PACKAGE}{REQUIRED_EXPORT}{VERSION}"));
    }
    for (name, _) in kind.imports(engine) {
        if !offered(name) {
            misfit.extra_imports.push(name.to_owned());
        }
    }
    if misfit == Misfit::default() { Ok(()) } else { Err(misfit) }
}

/// The interface's own name, if it is one of this contract in this version.
fn ours(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.strip_suffix(VERSION)
}

fn offered(import: &str) -> bool {
    let wasi = || {
        let (package, rest) = import.strip_prefix("wasi:")?.split_once('/')?;
        let (_, version) = rest.split_once('@')?;
        Some(OFFERED_WASI.contains(&package) && version.starts_with("0.2."))
    };
    ours(import).is_some_and(|it| OFFERED_IMPORTS.contains(&it)) || wasi() == Some(true)
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("it does not export", &self.missing),
            ("it exports what the contract does not know", &self.extra_exports),
            ("it imports what the host does not offer", &self.extra_imports),
        ];
        let mut separator = "not an agent of stockade:agent@0.1.0: ";
        for (text, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{text}: {}", names.join(", "))?;
            separator = "; ";
        }
        Ok(())
    }
}
