//! `stockade inspect`: what a component is, whether it fits the contract, and what it says it offers.

mod report;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use tokio::runtime::{self, Runtime};

use super::serve::Signals;
use super::single::{Single, Terms};
use super::{Stop, plain, say};
use crate::agent::{self, Anatomy, Stock};
use crate::manifest::{CALL_MEMORY_BYTES_DEFAULT, size};

const EXAMPLES: &str = "\
Examples:
  stockade inspect hello.wasm                   does it fit the contract, and what does it offer?
  stockade inspect hello.wasm --json | jq .agent.tools

The component is compiled and called under the caps that it would have in production, and leaves nothing behind. Exit code 1
says that it is no agent.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The component
    file: PathBuf,
    /// What one call may use, as `memory` of an agent in the manifest [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// Print everything as JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What was found out about a file.
#[derive(Debug)]
pub(super) struct Examined {
    pub component: PathBuf,
    pub bytes: u64,
    /// sha256, in hex.
    pub digest: String,
    /// What it is made of, if it is a component.
    pub anatomy: Option<Anatomy>,
    /// What it offers, or why no host would serve it.
    pub stock: Result<Stock, String>,
}

pub(super) fn inspect(options: &Options) -> Result<(), Stop> {
    let examined = examine(&options.file, options.memory.unwrap_or(CALL_MEMORY_BYTES_DEFAULT))?;
    say(&if options.json { report::json(&examined) } else { report::text(&examined) });
    examined.verdict().map(drop)
}

impl Examined {
    /// What it offers; an error for what is no agent.
    pub fn verdict(&self) -> Result<&Stock, Stop> {
        let refused = |reason| anyhow!("{} is no agent: {reason}", self.component.display());
        self.stock.as_ref().map_err(|reason| refused(plain(reason)).into())
    }
}

/// Looks at a file and tries it, with a host of its own that is gone afterwards.
pub(super) fn examine(component: &Path, memory: u64) -> Result<Examined, Stop> {
    let unreadable = || format!("cannot read {}", component.display());
    let mut file = File::open(component).with_context(unreadable)?;
    let metadata = file.metadata().with_context(unreadable)?;
    if !metadata.is_file() {
        return Err(anyhow!("{} is not a file: name the component itself", component.display()).into());
    }
    let misform = agent::misform_of(component).with_context(unreadable)?;
    let digest = agent::digest(&mut file).with_context(unreadable)?;
    let terms = Terms { component, memory, dirs: &[], listen: SocketAddr::from(([127, 0, 0, 1], 0)) };
    let (anatomy, stock) = if let Some(misform) = misform {
        (None, Err(misform.to_owned()))
    } else {
        let runtime = runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
        let _entered = runtime.enter();
        // Before there is anything temporary, so that who ends this by hand leaves nothing behind.
        let signals = Signals::install()?;
        match Single::new(&terms) {
            Ok(single) => try_out(&single, &runtime, signals)?,
            // Too large for any host, say.
            Err(Stop::Usage(reason)) => (None, Err(reason)),
            Err(stop) => return Err(stop),
        }
    };
    Ok(Examined { component: component.to_owned(), bytes: metadata.len(), digest, anatomy, stock })
}

/// What a trial finds: what the component is made of, and what it offers.
type Findings = (Option<Anatomy>, Result<Stock, String>);

/// Compiles the component and puts it on trial.
fn try_out(single: &Single, runtime: &Runtime, mut signals: Signals) -> anyhow::Result<Findings> {
    let trial = async {
        let host = single.host()?;
        let agent = host.agents().get(single.name.as_str()).context("the manifest has it")?;
        let anatomy = match agent.anatomy().await {
            Ok(anatomy) => anatomy,
            Err(reason) => return Ok((None, Err(reason))),
        };
        let stock = match &anatomy.misfit {
            Some(misfit) => Err(misfit.clone()),
            None => agent.stock().await,
        };
        Ok((Some(anatomy), stock))
    };
    runtime.block_on(async {
        tokio::select! {
            done = Box::pin(trial) => done,
            name = signals.next() => Err(anyhow!("ended by {name}")),
        }
    })
}
