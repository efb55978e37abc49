//! `initialize`: a client says what it is, and is told who we are and the name of its session.

use std::borrow::Cow;

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::Client;
use super::session::Entered;
use crate::agent::Caller;
use crate::mcp::error::Error;
use crate::mcp::modern::capability_names;
use crate::mcp::reply::Reply;
use crate::mcp::server::{Capabilities, Implementation, Instructions};
use crate::mcp::version::{self, Era};
use crate::mcp::{Asked, json, request};

/// What a client says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
}

impl InitializeParams<'_> {
    /// The revision that both speak; our newest if we do not know the client's.
    fn version(&self) -> &'static str {
        version::legacy(&self.protocol_version).unwrap_or(version::NEWEST_LEGACY)
    }

    /// Its capabilities, as a session remembers them.
    fn capabilities(&self) -> Box<str> {
        let declared = self.capabilities.filter(|declared| json::is_object(declared));
        Client::remembered(&declared.map(capability_names).unwrap_or_default())
    }
}

/// What is read of a client's own words; the revision they come to.
pub fn read(params: Option<&RawValue>) -> Result<&'static str, Error> {
    let params: InitializeParams = request::params(params)?;
    let _ = params.capabilities();
    Ok(params.version())
}

/// Begins a session; over the two paths of 2024-11-05 it has begun with the stream.
pub fn initialize(pair: Option<&Entered>, asked: &Asked<'_>) -> Result<Reply, Error> {
    let &Asked { service, post, .. } = asked;
    let params: InitializeParams = request::params(asked.params)?;
    let version = params.version();
    // The reply first: who cannot be answered needs no session.
    let bytes = welcome(asked, version)?;
    let client = Client {
        principal: post.principal.clone(),
        scope: post.scope.clone(),
        version,
        capabilities: params.capabilities(),
    };
    if let Some(session) = pair {
        session.introduce(client);
        return Ok(Reply::json(bytes));
    }
    let key = service.legacy.sessions.begin(client)?;
    let session = HeaderValue::from_str(&key.name()).expect("hex digits can stand in a header");
    Ok(Reply { session: Some(session), ..Reply::json(bytes) })
}

/// The result of `initialize`.
fn welcome(asked: &Asked<'_>, version: &'static str) -> Result<bytes::Bytes, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized<'a> {
        protocol_version: &'static str,
        capabilities: Capabilities,
        server_info: Implementation<'a>,
        #[serde(skip_serializing_if = "Instructions::is_empty")]
        instructions: Instructions<'a>,
    }
    let &Asked { post, endpoint, .. } = asked;
    let call = asked.call(Era::Legacy, Caller::new(post.principal.name.clone(), version));
    let targets = call.targets();
    let initialized = Initialized {
        protocol_version: version,
        capabilities: Capabilities::of_all(endpoint, targets),
        server_info: Implementation::full(endpoint),
        instructions: Instructions { endpoint, targets },
    };
    let reply = call.reply(&initialized).map_err(|overflow| Error::overflow(overflow, None))?;
    Ok(reply.into_bytes())
}
