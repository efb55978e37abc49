//! The client of Rust's own SDK, `rmcp`, in both of its modes.
//!
//! The steps and the answers they want are those of `tests/interop/walk.mjs` and `live.mjs`.

mod live;
mod person;

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    CallToolRequestParams, ErrorCode, GetPromptRequestParams, ProtocolVersion, ReadResourceRequestParams,
};
use rmcp::model::{ContentBlock, JsonObject, ResourceContents};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};

use person::{Notice, Person};

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// More than a tour hears.
const NOTICES_MAX: usize = 1000;

/// How the client begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Era {
    /// `server/discover`; everything a request needs is in the request.
    Modern,
    /// `initialize`; a session holds what client and host know of each other.
    Legacy,
}

/// Runs the whole tour; what the client saw is in the JSON it returns.
///
/// `agent` is the one whose names carry its own on the shared endpoint; empty on the agent's own endpoint.
pub async fn rmcp_client(url: &str, agent: &str, era: Era) -> Result<Value> {
    let (notices, heard) = channel(NOTICES_MAX);
    let lifecycle = match era {
        Era::Modern => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] },
        Era::Legacy => ClientLifecycleMode::Initialize,
    };
    let transport = StreamableHttpClientTransport::from_uri(url);
    let client = Person { notices }.serve_with_lifecycle(transport, lifecycle).await.context("cannot connect")?;
    let mut tour = Tour { client, heard, agent: agent.into(), era };
    let mut seen = tour.walk().await?;
    seen.append(&mut tour.live().await?);
    tour.client.cancel().await.context("cannot leave")?;
    Ok(Value::Object(seen))
}

/// A connected client on its way.
struct Tour {
    client: RunningService<RoleClient, Person>,
    heard: Receiver<Notice>,
    agent: String,
    era: Era,
}

impl Tour {
    fn name(&self, plain: &str) -> String {
        if self.agent.is_empty() { plain.into() } else { format!("{}__{plain}", self.agent) }
    }

    fn uri(&self, plain: &str) -> String {
        if self.agent.is_empty() { plain.into() } else { format!("{}+{plain}", self.agent) }
    }

    /// Lists, reads, calls, completes.
    async fn walk(&self) -> Result<JsonObject> {
        let client = &self.client;
        let server = client.peer_info().context("the host says nothing of itself")?;
        let tools: Vec<String> = client.list_all_tools().await?.into_iter().map(|it| it.name.into()).collect();
        let resources: Vec<String> = client.list_all_resources().await?.into_iter().map(|it| it.uri).collect();
        let templates: Vec<String> =
            client.list_all_resource_templates().await?.into_iter().map(|it| it.uri_template).collect();
        let prompts: Vec<String> = client.list_all_prompts().await?.into_iter().map(|it| it.name).collect();
        lists(&tools, &[self.name("test_simple_text")])?;
        lists(&prompts, &[self.name("test_prompt_with_arguments")])?;
        lists(&resources, &[self.uri("test://static-text"), self.uri("test://static-binary")])?;
        lists(&templates, &[self.uri("test://template/{id}/data")])?;
        object(json!({
            "revision": server.protocol_version,
            "server": server.server_info.as_ref().map(|info| &info.name),
            "tools": tools.len(),
            "resources": resources.len(),
            "templates": templates.len(),
            "prompts": prompts.len(),
            "text": self.read_text("test://static-text", "text/plain").await?,
            "binaryBytes": self.read_png("test://static-binary").await?,
            "template": self.read_text("test://template/123/data", "application/json").await?,
            "tool": self.call("test_simple_text", json!({})).await?,
            "toolError": self.call_failing("test_error_handling").await?,
            "prompt": self.get_prompt("test_prompt_with_arguments").await?,
            "completion": self.complete("test_prompt_with_arguments").await?,
            "unknownTool": self.unknown_tool().await?,
            "unknownResource": self.unknown_resource().await?,
        }))
    }

    async fn read_one(&self, plain: &str) -> Result<ResourceContents> {
        let uri = self.uri(plain);
        let mut contents = self.client.read_resource(ReadResourceRequestParams::new(&uri)).await?.contents;
        ensure!(contents.len() == 1, "{uri} has one content, not {}", contents.len());
        Ok(contents.remove(0))
    }

    async fn read_text(&self, plain: &str, wanted: &str) -> Result<String> {
        match self.read_one(plain).await? {
            ResourceContents::TextResourceContents { uri, mime_type, text, .. } => {
                ensure!(uri == self.uri(plain) && mime_type.as_deref() == Some(wanted), "{uri} is {mime_type:?}");
                Ok(text)
            }
            other => bail!("{plain} is text, not {other:?}"),
        }
    }

    async fn read_png(&self, plain: &str) -> Result<usize> {
        match self.read_one(plain).await? {
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                ensure!(uri == self.uri(plain) && mime_type.as_deref() == Some("image/png"), "{uri} is {mime_type:?}");
                let bytes = STANDARD.decode(blob)?;
                ensure!(bytes.starts_with(&PNG_SIGNATURE), "{uri} is a PNG");
                Ok(bytes.len())
            }
            other => bail!("{plain} is bytes, not {other:?}"),
        }
    }

    fn params(&self, tool: &str, arguments: Value) -> Result<CallToolRequestParams> {
        Ok(CallToolRequestParams::new(self.name(tool)).with_arguments(object(arguments)?))
    }

    /// The text of a call that succeeds, after every question it asks.
    async fn call(&self, tool: &str, arguments: Value) -> Result<String> {
        let result = self.client.call_tool(self.params(tool, arguments)?).await.with_context(|| tool.to_owned())?;
        ensure!(result.is_error != Some(true), "{tool} succeeds: {result:?}");
        text(&result.content)
    }

    async fn call_failing(&self, tool: &str) -> Result<String> {
        let result = self.client.call_tool(self.params(tool, json!({}))?).await?;
        ensure!(result.is_error == Some(true), "{tool} reports its failure as a result: {result:?}");
        text(&result.content)
    }

    async fn get_prompt(&self, prompt: &str) -> Result<String> {
        let arguments = object(json!({ "arg1": "first", "arg2": "second" }))?;
        let prompt = self.client.get_prompt(GetPromptRequestParams::new(self.name(prompt)).with_arguments(arguments));
        let messages: Vec<_> = prompt.await?.messages.into_iter().map(|message| message.content).collect();
        let text = text(&messages)?;
        ensure!(text.contains("first") && text.contains("second"), "a prompt repeats its arguments: {text}");
        Ok(text)
    }

    async fn complete(&self, prompt: &str) -> Result<Vec<String>> {
        let values = self.client.complete_prompt_argument(self.name(prompt), "arg1", "par", None).await?.values;
        ensure!(
            values.len() <= 100 && values.iter().all(|value| value.starts_with("par")),
            "completes par: {values:?}"
        );
        Ok(values)
    }

    async fn unknown_tool(&self) -> Result<i32> {
        let refused = self.client.call_tool(self.params("no_such_tool", json!({}))?).await;
        refusal(&[ErrorCode::INVALID_PARAMS], refused)
    }

    async fn unknown_resource(&self) -> Result<i32> {
        let refused = self.client.read_resource(ReadResourceRequestParams::new(self.uri("test://no-such"))).await;
        match self.era {
            Era::Modern => refusal(&[ErrorCode::INVALID_PARAMS], refused),
            Era::Legacy => refusal(&[ErrorCode::INVALID_PARAMS, ErrorCode::RESOURCE_NOT_FOUND], refused),
        }
    }
}

fn object(value: Value) -> Result<JsonObject> {
    match value {
        Value::Object(object) => Ok(object),
        other => bail!("an object, not {other}"),
    }
}

/// The texts of `content`, which holds nothing else.
fn text(content: &[ContentBlock]) -> Result<String> {
    let texts: Option<Vec<&str>> = content.iter().map(|block| block.as_text().map(|text| text.text.as_str())).collect();
    let text = texts.with_context(|| format!("texts only: {content:?}"))?.join("\n");
    ensure!(!text.is_empty(), "an answer in words");
    Ok(text)
}

fn lists(found: &[String], wanted: &[String]) -> Result<()> {
    ensure!(found.iter().collect::<HashSet<_>>().len() == found.len(), "listed once each: {found:?}");
    for one in wanted {
        ensure!(found.contains(one), "{one} is missing from {found:?}");
    }
    Ok(())
}

fn refusal<T: std::fmt::Debug>(codes: &[ErrorCode], answer: Result<T, ServiceError>) -> Result<i32> {
    match answer {
        Err(ServiceError::McpError(error)) if codes.contains(&error.code) => Ok(error.code.0),
        other => bail!("refused with one of {codes:?}, not {other:?}"),
    }
}
