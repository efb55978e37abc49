//! Clients of other makes, and the official conformance suite, pointed at a host.
//!
//! What they are and where they come from stands in `tests/interop`; the first call of a fresh checkout installs them.

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

/// The suite's own limit is 30 s for each of its scenarios; most take milliseconds.
const CONFORMANCE_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs a TypeScript client, `sdk1.mjs` or `client2.mjs`; what it saw is in the JSON it printed.
///
/// `agent` is the one whose names carry its own on the shared endpoint; empty on the agent's own endpoint.
pub async fn node_client(script: &str, url: &str, agent: &str) -> Result<Value> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("node/bin/node"));
    command.arg(interop.join("node").join(script)).args([url, agent]);
    seen(&output(command, CLIENT_TIMEOUT).await?)
}

/// Runs the Python client; otherwise as [`node_client`].
pub async fn python_client(url: &str, agent: &str) -> Result<Value> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("venv/bin/python"));
    command.arg(interop.join("node/client.py")).args([url, agent]);
    seen(&output(command, CLIENT_TIMEOUT).await?)
}

/// Runs every scenario that a protocol revision requires of a server, and leaves the details in `out`.
///
/// Fails unless exactly the scenarios and checks listed in `expected` fail. Returns the summary.
pub async fn conformance(url: &str, requirements: &str, expected: &Path, out: &Path) -> Result<String> {
    let interop = installation().await?;
    let mut command = Command::new(interop.join("node/bin/node"));
    command.arg(interop.join("node/node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    command.args(["server", "--url", url, "--requirements", requirements]);
    command.arg("--expected-failures").arg(expected).arg("--output-dir").arg(out);
    output(command, CONFORMANCE_TIMEOUT).await
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

/// Runs `command` to its end and returns its stdout; a failure shows both outputs.
async fn output(mut command: Command, limit: Duration) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let finished = timeout(limit, command.output()).await;
    let Output { status, stdout, stderr } = finished
        .with_context(|| format!("{command:?} was killed after {limit:?}"))?
        .with_context(|| format!("cannot start {command:?}"))?;
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
