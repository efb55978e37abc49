//! The Inspector of the protocol's makers, without its window.
//!
//! It brings two commands. `--cli` runs one method for one connection: it lists, reads and calls, and can neither
//! subscribe, nor be asked anything, nor cancel. `mcpdo` keeps connections in a daemon of its own: it subscribes and can
//! be asked, and when it is interrupted its call runs on, for it tells the host nothing. So what cancels a call of the
//! Inspector is that the Inspector goes away, which is how a client cancels since 2026-07-28.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use super::{CLIENT_TIMEOUT, node, output};
use crate::rmcp_client::Era;

const CLI: &str = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
const MCPDO: &str = "node_modules/@modelcontextprotocol/inspector/clients/mcpdo/build/mcp-bin.js";

/// The connection's name in the daemon.
const CONNECTION: &str = "@stockade";

/// Lists, reads, calls, subscribes and answers; what it saw is in the JSON it returns.
///
/// `agent` is the one whose names carry its own on the shared endpoint; empty on the agent's own endpoint.
pub async fn inspector(url: &str, agent: &str, era: Era) -> Result<Value> {
    let inspector = Inspector::new(url, agent, era)?;
    let server = inspector.cli(&["--method", "initialize"]).await?;
    let tools = inspector.cli(&["--method", "tools/list"]).await?;
    let resources = inspector.cli(&["--method", "resources/list"]).await?;
    let templates = inspector.cli(&["--method", "resources/templates/list"]).await?;
    let prompts = inspector.cli(&["--method", "prompts/list"]).await?;
    let (text, tool) = (inspector.uri("test://static-text"), inspector.name("test_simple_text"));
    let text = inspector.cli(&["--method", "resources/read", "--uri", &text]).await?;
    let tool = inspector.cli(&["--method", "tools/call", "--tool-name", &tool]).await?;
    let (text, tool) = (&text["contents"][0]["text"], &tool["content"][0]["text"]);
    ensure!(text.is_string() && tool.is_string(), "a resource and a tool answer with text: {text}, {tool}");
    let kept = inspector.kept_connection().await;
    // The daemon outlives whoever started it, so it is stopped in any case.
    let _ = inspector.mcpdo(&["daemon", "stop"]).await;
    let (updated, answered) = kept?;
    Ok(json!({
        "revision": server["protocolVersion"],
        "server": server["serverInfo"]["name"],
        "tools": count(&tools["tools"]),
        "resources": count(&resources["resources"]),
        "templates": count(&templates["resourceTemplates"]),
        "prompts": count(&prompts["prompts"]),
        "text": text,
        "tool": tool,
        "updated": updated,
        "answered": [answered],
    }))
}

/// Begins a call that sleeps, and is gone once `begun`; then a call that waits for its place must get it.
pub async fn inspector_that_goes_away(url: &str, agent: &str, begun: impl FnOnce() -> bool) -> Result<()> {
    let inspector = Inspector::new(url, agent, Era::Modern)?;
    let sleep = inspector.name("sleep");
    let mut command = inspector.cli_command().await?;
    command.args(["--method", "tools/call", "--tool-name", &sleep, "--tool-arg", "ms=30000"]);
    let mut sleeper = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
    ensure!(begun(), "the call does not begin");
    sleeper.kill().await?;
    let tool = inspector.name("test_simple_text");
    inspector.cli(&["--method", "tools/call", "--tool-name", &tool]).await?;
    Ok(())
}

/// How the Inspector is started, and where it keeps what it keeps.
struct Inspector {
    url: String,
    agent: String,
    era: &'static str,
    home: TempDir,
}

impl Inspector {
    fn new(url: &str, agent: &str, era: Era) -> Result<Self> {
        let era = match era {
            Era::Modern => "modern",
            Era::Legacy => "legacy",
        };
        Ok(Self { url: url.into(), agent: agent.into(), era, home: tempfile::tempdir()? })
    }

    fn name(&self, plain: &str) -> String {
        if self.agent.is_empty() { plain.into() } else { format!("{}__{plain}", self.agent) }
    }

    fn uri(&self, plain: &str) -> String {
        if self.agent.is_empty() { plain.into() } else { format!("{}+{plain}", self.agent) }
    }

    fn daemon_folder(&self) -> PathBuf {
        self.home.path().join("daemon")
    }

    /// A command that keeps to its own folder, and out of the machine's keyring.
    async fn command(&self, script: &str) -> Result<Command> {
        let mut command = node(script).await?;
        command.env("HOME", self.home.path()).env("MCP_INSPECTOR_SECRET_STORE", "file");
        command.env("MCP_INSPECTOR_DAEMON_DIR", self.daemon_folder()).env("MCP_INSPECTOR_DAEMON_TOKEN", "interop");
        Ok(command)
    }

    async fn cli_command(&self) -> Result<Command> {
        let mut command = self.command(CLI).await?;
        command.args(["--cli", "--server-url", &self.url, "--transport", "http", "--protocol-era", self.era]);
        command.args(["--format", "json", "--quiet"]);
        Ok(command)
    }

    /// One method over a connection of its own.
    async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.cli_command().await?;
        command.args(arguments);
        let mut answer = answer(command).await?;
        Ok(answer["result"].take())
    }

    /// One command to the daemon, which the first one starts.
    async fn mcpdo(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command(MCPDO).await?;
        command.args(["--format", "json"]).args(arguments);
        answer(command).await
    }

    /// What needs a connection that lasts: a change that is told, and a question that is answered.
    async fn kept_connection(&self) -> Result<(String, Value)> {
        let connect = ["connect", "--server-url", &self.url, "--transport", "http", "--era", self.era, CONNECTION];
        self.mcpdo(&connect).await?;
        let updated = self.subscribe().await?;
        let answered = self.answer_a_question().await?;
        self.mcpdo(&["disconnect", CONNECTION]).await?;
        Ok((updated, answered))
    }

    async fn subscribe(&self) -> Result<String> {
        let watched = self.uri("test://watched-resource");
        let mut command = self.command(MCPDO).await?;
        command.args(["--format", "json", CONNECTION, "resources/subscribe", &watched]);
        let mut listener = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(listener.stdout.take().context("its stdout is ours")?).lines();
        wait_for(&mut lines, r#""type": "subscribed""#).await?;
        self.mcpdo(&[CONNECTION, "tools/call", &self.name("trigger_watched_change"), "{}"]).await?;
        wait_for(&mut lines, r#""type": "resources/updated""#).await?;
        wait_for(&mut lines, &format!(r#""uri": "{watched}""#)).await?;
        listener.kill().await?;
        Ok(watched)
    }

    /// The call is put aside while the question is open; the answer brings its result.
    async fn answer_a_question(&self) -> Result<Value> {
        let asking = self.name("test_input_required_result_elicitation");
        let asked = self.mcpdo(&[CONNECTION, "tools/call", &asking, "{}"]).await?;
        let question = asked["elicitationPending"]["elicitationId"].as_str();
        let question = question.with_context(|| format!("a question, not {asked}"))?;
        let mut result = self.mcpdo(&["elicitation/respond", question, "name:=Ada"]).await?;
        let said = result["content"][0]["text"].take();
        ensure!(said == "Hello, Ada!", "the tool repeats the answer: {said}");
        Ok(said)
    }
}

/// What `command` prints.
async fn answer(command: Command) -> Result<Value> {
    let stdout = output(command, CLIENT_TIMEOUT).await?;
    serde_json::from_str(&stdout).with_context(|| format!("the Inspector prints JSON, not {stdout:?}"))
}

async fn wait_for(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str) -> Result<()> {
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains(wanted) {
                return Ok(());
            }
        }
        anyhow::bail!("the subscription ended before {wanted}")
    };
    timeout(CLIENT_TIMEOUT, found).await.with_context(|| format!("no {wanted} within {CLIENT_TIMEOUT:?}"))?
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}
