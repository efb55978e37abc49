//! Revision 2026-07-28: every request says by itself what it speaks, and headers repeat what intermediaries want to
//! know.
//!
//! Owns the order of the checks, which decides the error a wrong request gets: `_meta`, version header, version,
//! `Mcp-Method`, method, `Mcp-Name`; marked parameters are compared when the tool is known. No state between requests: what
//! an agent wants to remember travels with the client, under a `seal`.
//!
//! `listen`: notices of changes. `round`: questions of an agent, and the answers to them.

mod listen;
mod round;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Answer, Call};
use super::error::Error;
use super::follow::{self, Follower};
use super::parse::{Text, present};
use super::reply::Reply;
use super::request::{self, Request};
use super::server::{Capabilities, Implementation, Instructions, Meta};
use super::version::{self, Era, MODERN, SUPPORTED};
use super::{Asked, headers, json};
use crate::agent::Caller;
use round::Round;
use seal::Seal;

/// Capabilities of a client that a guest may learn of; more are left out.
pub(super) const CAPABILITIES_MAX: usize = 64;

/// Bytes of the name of such a capability; longer ones are left out.
pub(super) const CAPABILITY_BYTES_MAX: usize = 128;

/// For how long a client may keep what `server/discover` said. Agents come and go, so not at all.
const DISCOVER_TTL_MS: u32 = 0;

/// The keys of a request's `_meta` that this revision defines, unread.
#[derive(Debug, Default, Deserialize)]
pub struct RequestMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion", borrow, default, deserialize_with = "present")]
    version: Option<&'a RawValue>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", borrow, default, deserialize_with = "present")]
    capabilities: Option<&'a RawValue>,
    #[serde(rename = "io.modelcontextprotocol/clientInfo", borrow, default, deserialize_with = "present")]
    client: Option<&'a RawValue>,
    #[serde(rename = "io.modelcontextprotocol/logLevel", borrow, default, deserialize_with = "present")]
    log_level: Option<&'a RawValue>,
    /// Of every era.
    #[serde(rename = "progressToken", borrow, default, deserialize_with = "present")]
    pub progress_token: Option<&'a RawValue>,
    /// What stands beside `_meta` for a further round: `inputResponses`, `requestState`.
    #[serde(skip)]
    answers: Option<&'a RawValue>,
    #[serde(skip)]
    state: Option<&'a RawValue>,
}

impl<'a> RequestMeta<'a> {
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct WithMeta<'a> {
            #[serde(borrow, rename = "_meta")]
            meta: Option<&'a RawValue>,
            #[serde(borrow, rename = "inputResponses")]
            answers: Option<&'a RawValue>,
            #[serde(borrow, rename = "requestState")]
            state: Option<&'a RawValue>,
        }
        let WithMeta { meta, answers, state } = request::params(params)?;
        let read = match meta.filter(|meta| json::is_object(meta)) {
            Some(meta) => request::params(Some(meta))?,
            None => Self::default(),
        };
        Ok(Self { answers, state, ..read })
    }

    /// Whether a request is of this era: decided from `_meta`, before anybody looks at the method. A legacy revision
    /// named in `_meta` is served as that revision.
    pub fn is_modern(&self, header: Option<&str>, method: &str) -> bool {
        if self.legacy_version().is_some() {
            return false;
        }
        let keys = [self.version, self.capabilities, self.client, self.log_level];
        keys.iter().any(Option::is_some) || header == Some(MODERN) || method == "server/discover"
    }

    pub fn legacy_version(&self) -> Option<&'static str> {
        version::legacy(&self.version_text()?)
    }

    fn version_text(&self) -> Option<std::borrow::Cow<'a, str>> {
        let Text(version) = serde_json::from_str(self.version?.get()).ok()?;
        Some(version)
    }
}

/// What this era keeps: nothing about clients, only the key under which their agents' states are sealed.
pub struct State {
    seal: Seal,
}

impl State {
    /// # Errors
    ///
    /// When the system has no random bytes for the key.
    pub fn new(state_good_for: Duration) -> anyhow::Result<Self> {
        Ok(Self { seal: Seal::new(state_good_for)? })
    }
}

/// Checks a request of this era, then answers it.
pub async fn serve(asked: &Asked<'_>) -> Result<Reply, Error> {
    let &Asked { post, header, meta, method, params, .. } = asked;
    let mut caller = Caller::new(post.principal.name.clone(), MODERN);
    caller.capabilities = capability_names(check(&post.headers, meta, header, method)?);
    let mut call = asked.call(Era::Modern, caller);
    match method {
        "server/discover" => return discover(&call),
        "subscriptions/listen" => return listen::open(&call, params).await,
        _ => {}
    }
    let request = Request::parse(method, params)?.ok_or_else(|| Error::method_not_found(method))?;
    headers::check_name(&post.headers, &request)?;
    let round = Round::of(&request, method, &post.principal);
    if let Some(round) = &round {
        let (answers, state) = round.returned(&call, meta)?;
        let caller = Arc::make_mut(&mut call.caller);
        (caller.answers, caller.state) = (answers, state);
    }
    let level = meta.log_level.map(follow::level).transpose()?;
    let follower = Follower::of(&mut call, meta.progress_token, level)?;
    let answer = follow::followed(follower.as_ref(), &call, method, &request).await?;
    match (answer, round) {
        (Answer::Whole(buffer), _) => Ok(Reply::json(buffer.into_bytes())),
        (Answer::Stream(stream), _) => Ok(Reply::stream(stream)),
        (Answer::Asks(target, asked), Some(round)) => round.ask(&call, &target, &asked.value),
        // `Call::dispatch` asks on behalf of nothing else.
        (Answer::Asks(target, _), None) => {
            Err(Error::broken(&target.identity(), "a question that cannot be asked here"))
        }
    }
}

/// The checks that come before the method, in their order; what the client says it can do.
pub fn check<'a>(
    headers: &HeaderMap,
    meta: &RequestMeta<'a>,
    header: Option<&str>,
    method: &str,
) -> Result<&'a RawValue, Error> {
    let required = |key| Error::invalid_params(format!("`_meta` lacks `io.modelcontextprotocol/{key}`"));
    let version = meta.version_text().ok_or_else(|| required("protocolVersion"))?;
    let capabilities =
        meta.capabilities.filter(|raw| json::is_object(raw)).ok_or_else(|| required("clientCapabilities"))?;
    match header {
        Some(said) if said == version => {}
        Some(_) => return Err(Error::header_mismatch("header `mcp-protocol-version` is not the version in `_meta`")),
        None => return Err(headers::missing(&headers::VERSION)),
    }
    if version != MODERN {
        return Err(Error::unsupported_version(&version));
    }
    headers::check_method(headers, method)?;
    Ok(capabilities)
}

/// What is read of `subscriptions/listen` before anybody is asked; for fuzzers.
pub fn listens(params: Option<&RawValue>) -> Result<(), Error> {
    listen::read(params).map(drop)
}

fn discover(call: &Call) -> Result<Reply, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Discovered<'a> {
        result_type: Option<&'static str>,
        supported_versions: [&'static str; SUPPORTED.len()],
        capabilities: Capabilities,
        #[serde(skip_serializing_if = "Instructions::is_empty")]
        instructions: Instructions<'a>,
        ttl_ms: u32,
        cache_scope: &'static str,
        #[serde(rename = "_meta")]
        meta: Meta<'a>,
    }
    let targets = call.targets();
    let discovered = Discovered {
        result_type: call.result_type(),
        supported_versions: SUPPORTED,
        capabilities: Capabilities::of_all(call.endpoint, targets),
        instructions: Instructions { endpoint: call.endpoint, targets },
        ttl_ms: DISCOVER_TTL_MS,
        cache_scope: "private",
        meta: Meta { server_info: Some(Implementation::full(call.endpoint)), ..Meta::default() },
    };
    let reply = call.reply(&discovered).map_err(|overflow| Error::overflow(overflow, None))?;
    Ok(Reply::json(reply.into_bytes()))
}

/// `{"elicitation":{"url":{}}}` -> `elicitation`, `elicitation.url`. An elicitation without modes means the form.
pub fn capability_names(capabilities: &RawValue) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: String| {
        if names.len() < CAPABILITIES_MAX && name.len() <= CAPABILITY_BYTES_MAX {
            names.push(name);
        }
    };
    json::for_each_member(capabilities, |name, settings| {
        let mut modes = 0;
        add(name.clone().into_owned());
        if json::is_object(settings) {
            json::for_each_member(settings, |sub, value| {
                modes += 1;
                if !matches!(value.get(), "false" | "null") {
                    add(format!("{name}.{sub}"));
                }
            });
        }
        if name == "elicitation" && modes == 0 {
            add("elicitation.form".into());
        }
    });
    names
}

#[cfg(test)]
mod tests;
