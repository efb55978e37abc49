//! Clients of other makes, and the official conformance suite, pointed at a host.
//!
//! What they are and where they come from stands in `tests/interop`; the first call of a fresh checkout installs them.
//! The client of Rust's own SDK is in [`crate::rmcp_client`].

mod conformance;
mod inspector;

pub use conformance::{conformance_active, conformance_pending, conformance_requirements};
pub use inspector::{inspector, inspector_that_goes_away};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Installing from an empty cache over a slow line.
const SETUP_TIMEOUT: Duration = Duration::from_secs(600);

/// One client's whole tour.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A tour of the document, a minute and a quarter of silence included.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs a TypeScript client, `sdk1.mjs`, `sdk1-sse.mjs` or `client2.mjs`; what it saw is in the JSON it printed.
///
/// `agent` is the one whose names carry its own on the shared endpoint; empty on the agent's own endpoint.
pub async fn node_client(script: &str, url: &str, agent: &str) -> Result<Value> {
    let mut command = node(script).await?;
    command.args([url, agent]);
    seen(&output(command, CLIENT_TIMEOUT).await?)
}

/// Runs the Python client, which begins as `mode` says: `auto` with the newest revision, `legacy` with `initialize`, `sse`
/// over HTTP+SSE. Otherwise as [`node_client`].
pub async fn python_client(mode: &str, url: &str, agent: &str) -> Result<Value> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("venv/bin/python"));
    command.arg(interop.join("node/client.py")).args([url, agent, mode]);
    seen(&output(command, CLIENT_TIMEOUT).await?)
}

/// Has the Python client call `greet` of an agent at its own endpoint.
pub async fn python_greeting(url: &str) -> Result<Value> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("venv/bin/python"));
    command.arg(interop.join("node/greet.py")).arg(url);
    seen(&output(command, CLIENT_TIMEOUT).await?)
}

/// Runs stock Yjs clients, `document.mjs` or `document.py`, on the registry's document of the host at `url`, as its operator
/// and as nobody.
pub async fn document_clients(script: &str, url: &str, token: &str, options: &[&str]) -> Result<Value> {
    let interop = installation().await?;
    let mut command = match script.ends_with(".py") {
        true => Command::new(interop.join("venv/bin/python")),
        false => Command::new(interop.join("node/bin/node")),
    };
    command.arg(interop.join("node").join(script)).args([url, token]).args(options);
    seen(&output(command, DOCUMENT_TIMEOUT).await?)
}

/// An agent of another language, built: `greeter-py` or `greeter-js`.
pub async fn foreign_agent(name: &str) -> Result<PathBuf> {
    Ok(installation().await?.join("agents").join(name).with_extension("wasm"))
}

/// A command that runs one of the installed scripts with the installed Node.
async fn node(script: &str) -> Result<Command> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("node/bin/node"));
    command.arg(interop.join("node").join(script));
    Ok(command)
}

/// The directory that holds the clients, installed once per process at most.
async fn installation() -> Result<&'static Path> {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    let install = || async {
        let command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/setup.sh"));
        let printed = output(command, SETUP_TIMEOUT).await.context("the clients of other makes are not installed")?;
        Ok(PathBuf::from(printed.trim_end()))
    };
    INSTALLED.get_or_try_init(install).await.map(PathBuf::as_path)
}

/// Runs `command` to its end, however it ends.
async fn finished(command: &mut Command, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let finished = timeout(limit, command.output()).await;
    finished
        .with_context(|| format!("{command:?} was killed after {limit:?}"))?
        .with_context(|| format!("cannot start {command:?}"))
}

/// Runs `command` to its end and returns its stdout; a failure shows both outputs.
async fn output(mut command: Command, limit: Duration) -> Result<String> {
    let Output { status, stdout, stderr } = finished(&mut command, limit).await?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{command:?} ended with {status}\n{stdout}\n{stderr}");
    Ok(stdout.into_owned())
}

fn seen(stdout: &str) -> Result<Value> {
    serde_json::from_str(stdout.trim()).with_context(|| format!("a client prints one line of JSON, not {stdout:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_client_shows_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo half; echo surprise >&2; exit 1"]);
        let error = output(command, CLIENT_TIMEOUT).await.unwrap_err().to_string();
        assert!(error.contains("half") && error.contains("surprise"), "{error}");
    }

    #[tokio::test]
    async fn a_client_that_hangs_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error = output(command, Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(error.contains("was killed after 50ms"), "{error}");
    }
}
