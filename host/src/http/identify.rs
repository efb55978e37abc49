//! Who asks: the principal of a request, from its token or from where it comes.
//!
//! A token comes as `Authorization: Bearer TOKEN`, where clients of registries call also as the password of `Basic`; a WebSocket, for which browsers let a page set no header, may name
//! `stockade.token.TOKEN` among its subprotocols. Never in a query, which ends up in logs. Whoever sends a token and is not
//! known is refused, never taken for somebody without one. Without a token only this machine itself may call: the
//! listener is on loopback, the request names a loopback host, and no proxy has passed it on.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST, SEC_WEBSOCKET_PROTOCOL, UPGRADE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::net::TcpListener;

use super::{gate, reply};
use crate::access::{Access, Principal};
use crate::mcp;

/// What a WebSocket's subprotocol begins with that carries a token.
const TOKEN_PROTOCOL: &str = "stockade.token.";

/// Headers by which proxies say for whom they speak, besides all that begin with `x-forwarded-`.
const PROXY_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// Who can connect to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Processes of this machine, proxies among them.
    Loopback,
    /// Other machines.
    Network,
}

/// How a token may come in `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    Bearer,
    /// Also as the password of any user.
    BearerAndBasic,
}

/// Why nobody is known to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthorized {
    /// No token, and one is needed.
    Missing,
    /// More than one.
    Doubled,
    /// `Authorization` says something else than `Bearer TOKEN`.
    Malformed,
    /// A token that the manifest does not know.
    Unknown,
}

impl Reach {
    /// By the address it is really bound to.
    pub fn of(listener: &TcpListener) -> Self {
        match listener.local_addr() {
            Ok(address) if address.ip().to_canonical().is_loopback() => Self::Loopback,
            _ => Self::Network,
        }
    }
}

/// Finds who asks.
pub fn identify(
    access: &Access,
    reach: Reach,
    request: &Parts,
    schemes: Schemes,
) -> Result<Arc<Principal>, Unauthorized> {
    let Parts { uri, headers, version, .. } = request;
    match token(headers, schemes)? {
        Some(token) => access.by_token(&token).ok_or(Unauthorized::Unknown),
        // Of clients of today only proxies speak HTTP/1.0.
        None if reach == Reach::Loopback && *version != Version::HTTP_10 && is_local(uri, headers) => {
            Ok(access.anonymous())
        }
        None => Err(Unauthorized::Missing),
    }
}

/// The one token of a request.
fn token(headers: &HeaderMap, schemes: Schemes) -> Result<Option<Cow<'_, str>>, Unauthorized> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| authorized(value, schemes));
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter(|_| is_websocket(headers));
    let named = protocols.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let named = named
        .filter_map(|protocol| protocol.trim().strip_prefix(TOKEN_PROTOCOL))
        .map(|token| well_formed(token).map(Cow::Borrowed));
    let mut tokens = bearers.chain(named);
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) => token.map(Some),
        (Some(_), Some(_)) => Err(Unauthorized::Doubled),
    }
}

/// The token of one `Authorization`.
fn authorized(value: &HeaderValue, schemes: Schemes) -> Result<Cow<'_, str>, Unauthorized> {
    let (scheme, said) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Unauthorized::Malformed)?;
    let said = said.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        well_formed(said).map(Cow::Borrowed)
    } else if scheme.eq_ignore_ascii_case("basic") && schemes == Schemes::BearerAndBasic {
        password(said).map(Cow::Owned)
    } else {
        Err(Unauthorized::Malformed)
    }
}

/// The password of `Basic` (RFC 7617); whose it is, the token says itself.
fn password(credentials: &str) -> Result<String, Unauthorized> {
    let decoded = BASE64_STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or(Unauthorized::Malformed)?;
    let (_, password) = decoded.split_once(':').ok_or(Unauthorized::Malformed)?;
    well_formed(password).map(str::to_owned)
}

/// A token as RFC 6750 allows it.
fn well_formed(token: &str) -> Result<&str, Unauthorized> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.is_empty() && token.bytes().all(is_legal) { Ok(token) } else { Err(Unauthorized::Malformed) }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether a request was meant for this machine alone.
fn is_local(uri: &Uri, headers: &HeaderMap) -> bool {
    let passed_on = |name: &str| name.starts_with("x-forwarded-") || PROXY_HEADERS.contains(&name);
    if headers.keys().any(|name| passed_on(name.as_str())) {
        return false;
    }
    let said = headers.get_all(HOST).iter().map(|host| Authority::try_from(host.as_bytes()).ok());
    let mut names = said.chain(uri.authority().cloned().map(Some)).peekable();
    names.peek().is_some() && names.all(|name| name.is_some_and(|name| gate::is_loopback(name.host())))
}

impl Unauthorized {
    /// What a client has to do, in the words of RFC 6750.
    fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Missing => r#"Bearer realm="stockade""#,
            Self::Doubled | Self::Malformed | Self::Unknown => r#"Bearer realm="stockade", error="invalid_token""#,
        })
    }

    /// The refusal, to go out before anything else of the request is read.
    pub fn refuse(self, service: &mcp::Service, page: gate::Page) -> Response {
        let mut response = reply::closing(service.refuse(StatusCode::UNAUTHORIZED, &self.to_string()), page);
        response.headers_mut().insert(WWW_AUTHENTICATE, self.challenge());
        response
    }
}

impl std::fmt::Display for Unauthorized {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Missing => {
                "a token is needed: send `Authorization: Bearer TOKEN`; without one may only call who is on this machine \
                 itself, under a loopback name and not through a proxy, while `listen` is a loopback address; an \
                 operator's pages take an operator's token in any case"
            }
            Self::Doubled => "there is more than one token: send one, as `Authorization: Bearer TOKEN`",
            Self::Malformed => "`Authorization` cannot be read: send `Authorization: Bearer TOKEN`",
            Self::Unknown => "this token is not known: `stockade token NAME` makes one that the manifest can list",
        })
    }
}

#[cfg(test)]
mod tests;
