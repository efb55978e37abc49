//! `stockade new`: the beginning of an agent in Rust, which builds and has a test.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::{Stop, say};
use crate::manifest::AgentName;

/// What is written, and where. The contract comes along: an agent needs nothing else of this repository.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("new/manifest.toml")),
    ("README.md", include_str!("new/README.md")),
    (".gitignore", include_str!("new/gitignore")),
    ("src/lib.rs", include_str!("new/lib.rs")),
    ("wit/agent.wit", include_str!("../../../wit/agent.wit")),
    ("wit/host.wit", include_str!("../../../wit/host.wit")),
    ("wit/types.wit", include_str!("../../../wit/types.wit")),
];

/// What stands for the agent's name in those files.
const NAME: &str = "{{name}}";

const EXAMPLES: &str = "\
Examples:
  stockade new price-list                   in ./price-list
  stockade new price-list --path agents/pl  elsewhere";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What the agent will be called: lower-case letters, digits, single hyphens
    #[arg(value_parser = agent_name)]
    name: AgentName,
    /// The directory to make [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

pub(super) fn new(options: &Options) -> Result<(), Stop> {
    let Options { name, path } = options;
    let directory = path.clone().unwrap_or_else(|| name.as_str().into());
    make(&directory)?;
    write(&directory, name).with_context(|| format!("cannot write into {}", directory.display()))?;
    let directory = directory.display();
    say(&format!(
        "made the agent {name} in {directory}\n\n  cd {directory}\n  cargo test        its logic, on this machine\n  \
         stockade build    the component, checked against the contract\n  stockade run      serve it to an MCP client\n"
    ));
    Ok(())
}

/// Makes the directory, which nobody may have made before: nothing of theirs is overwritten.
fn make(directory: &Path) -> Result<(), Stop> {
    let failed = |error: &io::Error| anyhow!("cannot make {}: {error}", directory.display());
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    fs::create_dir(directory).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} is there already: choose another --path", directory.display()).into(),
        _ => failed(&error).into(),
    })
}

fn write(directory: &Path, name: &AgentName) -> io::Result<()> {
    for folder in ["src", "wit"] {
        fs::create_dir(directory.join(folder))?;
    }
    FILES.iter().try_for_each(|(file, text)| fs::write(directory.join(file), text.replace(NAME, name.as_str())))
}

fn agent_name(text: &str) -> Result<AgentName, String> {
    AgentName::parse(text).map_err(|error| match AgentName::nearest(text) {
        Some(name) => format!("{error}; `{name}` would do"),
        None => format!("{error}; choose a name such as `files` or `price-list`"),
    })
}
