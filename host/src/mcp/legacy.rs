//! The era of `initialize`: 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05.
//!
//! Served without sessions: `initialize` is answered and forgotten, so what the client said in it is not known later;
//! each request stands for itself. Versions differ only in what they lack, and clients skip fields they do not know, so
//! all get the same replies; only what is of another *type* in older schemas is left out (see `tools`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Call;
use super::buffer::Buffer;
use super::error::{Empty, Error};
use super::modern::RequestMeta;
use super::request::{self, Request};
use super::server::{Capabilities, Implementation, Instructions};
use super::version;

/// The revision a request is served by. Clients get the header wrong often enough (absent, or another known revision
/// than the agreed one) that every known revision is as good as another; one we do not know is refused.
pub fn version(meta: &RequestMeta, header: Option<&str>, method: &str) -> Result<&'static str, Error> {
    if let Some(version) = meta.legacy_version() {
        return Ok(version);
    }
    match header {
        None => Ok(version::WITHOUT_HEADER),
        // It asks for a version in its parameters.
        Some(_) if method == "initialize" => Ok(version::NEWEST_LEGACY),
        Some(said) => version::legacy(said).ok_or_else(|| Error::unsupported_version(said)),
    }
}

/// Answers a request of this era.
pub async fn serve(call: Call<'_>, method: &str, params: Option<&RawValue>) -> Result<Buffer, Error> {
    match method {
        "initialize" => initialize(&call, params),
        "ping" => call.reply(&Empty {}).map_err(|overflow| Error::overflow(overflow, None)),
        _ => match Request::parse(method, params)? {
            Some(request) => call.dispatch(method, request).await,
            None => Err(Error::method_not_found(method)),
        },
    }
}

fn initialize(call: &Call, params: Option<&RawValue>) -> Result<Buffer, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeParams<'a> {
        #[serde(borrow)]
        protocol_version: Cow<'a, str>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized<'a> {
        protocol_version: &'static str,
        capabilities: Capabilities,
        server_info: Implementation<'a>,
        #[serde(skip_serializing_if = "Instructions::is_empty")]
        instructions: Instructions<'a>,
    }
    let InitializeParams { protocol_version: proposed } = request::params(params)?;
    let targets = &call.targets();
    let initialized = Initialized {
        protocol_version: version::legacy(&proposed).unwrap_or(version::NEWEST_LEGACY),
        capabilities: Capabilities::of_all(targets),
        server_info: Implementation::full(call.endpoint),
        instructions: Instructions { endpoint: call.endpoint, targets },
    };
    call.reply(&initialized).map_err(|overflow| Error::overflow(overflow, None))
}

#[cfg(test)]
mod tests;
