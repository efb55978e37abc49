//! `stockade run`: one agent on this machine, under the caps that it would have in production.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use tokio::sync::oneshot;

use super::serve::{Signals, listen, prepare, until_signals};
use super::single::{Grant, Single, Terms};
use super::{Stop, build, plain, say};
use crate::Host;
use crate::agent::Stock;
use crate::manifest::{CALL_MEMORY_BYTES_DEFAULT, parse_address, size};

const EXAMPLES: &str = "\
Examples:
  stockade run                                build the package in this directory, and serve it
  stockade run hello.wasm                     serve a component at http://127.0.0.1:8080/mcp/hello
  stockade run files.wasm --dir /docs=./docs  let it read a directory
  stockade run hello.wasm --listen 127.0.0.1:0 --memory 8M

Its URL is the first line on standard output, once it can be called. Ctrl-C ends it, and nothing is kept.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// A component, or the directory of an agent in Rust, which is built first
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    agent: PathBuf,
    /// Where MCP clients connect; port 0 is any free port
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What one call may use, as `memory` of an agent in the manifest [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// A directory it may read: the path it sees, and yours; may be given several times
    #[arg(long = "dir", value_name = "GUEST=HOST", value_parser = Grant::from_str)]
    dirs: Vec<Grant>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let Options { agent, listen, memory, dirs } = options;
    let component = if agent.is_dir() { build::component(agent)? } else { agent.clone() };
    report_missing(&component)?;
    let memory = memory.unwrap_or(CALL_MEMORY_BYTES_DEFAULT);
    let single = Single::new(&Terms { component: &component, memory, dirs, listen: *listen })?;
    let runtime = prepare(&single.manifest)?;
    // Of a manifest that nobody has written: a line of it would not help.
    for warning in &single.manifest.warnings {
        tracing::warn!("{}; {}", warning.message, warning.suggestion);
    }
    let done = runtime.block_on(serve(&single));
    runtime.shutdown_background();
    Ok(done?)
}

/// The manifest would say it in words of a file that nobody has written.
fn report_missing(component: &Path) -> Result<(), Stop> {
    match component.metadata() {
        Ok(_) => Ok(()),
        Err(error) => Err(anyhow!("cannot read {}: {error}", component.display()).into()),
    }
}

async fn serve(single: &Single) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let listeners = listen(&single.manifest).await?;
    let address = listeners.public.local_addr()?;
    let mut host = single.host()?;
    let tried = tokio::select! {
        tried = Box::pin(stock(single, &host)) => tried?,
        name = signals.next() => return Err(anyhow!("ended by {name} before it was ready")),
    };
    host.arm(&single.manifest);
    say(&announcement(single.name.as_str(), address, &tried));
    drop(tried);
    let serve = async |stopped: oneshot::Receiver<()>| host.serve(listeners, async { drop(stopped.await) }).await;
    until_signals(&mut signals, single.manifest.drain, serve).await
}

/// Tries the agent before anybody calls it, so that who develops it hears what is wrong here and now.
async fn stock(single: &Single, host: &Host) -> anyhow::Result<Stock> {
    let agent = host.agents().get(single.name.as_str()).context("the manifest has it")?;
    let stock =
        agent.stock().await.map_err(|reason| anyhow!("{} cannot be served: {}", single.name, plain(&reason)))?;
    // Ready before its address is told, so that the first call finds it so.
    host.agents().load().await;
    Ok(stock)
}

/// Where it is, and what to tell a client.
pub(super) fn announcement(name: &str, address: SocketAddr, stock: &Stock) -> String {
    let url = format!("http://{address}/mcp/{name}");
    let said = &stock.offer.description;
    let client = json!({ "mcpServers": { name: { "type": "http", "url": url } } });
    format!(
        "listening on {url}\n{} {}: {}\n\nfor a client's configuration: {client}\nCtrl-C ends it\n",
        plain(&said.title),
        plain(&said.version),
        stock.summary()
    )
}
