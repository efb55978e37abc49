//! The servers to compare with, each run in a process of its own: this program with [`FLAG`].

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Makes this program a server; the name of one follows.
pub const FLAG: &str = "--serve";
pub const HYPER: &str = "hyper";
pub const RMCP: &str = "rmcp";

/// The tool that every server offers.
pub const TOOL: &str = "echo";

/// Serves until killed.
#[tokio::main]
pub async fn run(server: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    match server {
        HYPER => serve(listener, service_fn(echo)).await,
        RMCP => serve(listener, TowerToHyperService::new(rmcp_service())).await,
        other => bail!("no server {other}; there are {HYPER} and {RMCP}"),
    }
}

/// The same accept loop for both: HTTP/1.1, kept alive, no delay.
async fn serve<S, B>(listener: TcpListener, service: S) -> Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
    }
}

/// The least that can answer the call: no header is checked, no tool looked up.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let message: Value = serde_json::from_slice(&body)?;
    let arguments = message.pointer("/params/arguments").context("a call has arguments")?;
    let reply = json!({
        "jsonrpc": "2.0",
        "id": message["id"],
        "result": {
            "resultType": "complete",
            "content": [{ "type": "text", "text": arguments.to_string() }],
            "structuredContent": arguments,
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "hyper", "version": "1.12.0" } },
        },
    });
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    Ok(response.body(Full::from(reply.to_string()))?)
}

/// rmcp at its quickest: no sessions, plain JSON replies, no router before it.
fn rmcp_service() -> StreamableHttpService<Echo, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None);
    StreamableHttpService::new(|| Ok(Echo), Arc::default(), config)
}

struct Echo;

impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("rmcp", "3.11.0"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema: Map<String, Value> = [("type".to_string(), json!("object"))].into_iter().collect();
        let tool = Tool::new(TOOL, "Answers with its own arguments, as text and structured.", Arc::new(schema));
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if call.name != TOOL {
            return Err(ErrorData::invalid_params(format!("no tool {}; there is {TOOL}", call.name), None));
        }
        // Sets the text to the same JSON.
        Ok(CallToolResult::structured(Value::Object(call.arguments.unwrap_or_default())).into())
    }
}
