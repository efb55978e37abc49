//! Who may speak to us through a browser: the `Host` and `Origin` of a request, and the headers browsers ask for.
//!
//! A page on any web site can make its visitor's browser send requests to this host. `Origin` says which page it was;
//! `Host` betrays a page that has bound its own name to our address (DNS rebinding). Requests without `Origin` do not
//! come from a page. Loopback is always allowed.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST, ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;

/// Headers a page may send; `mcp-param-*` besides.
const REQUEST_HEADERS: [&str; 12] = [
    "accept",
    "authorization",
    "content-type",
    "if-match",
    "if-none-match",
    "if-range",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "range",
];

/// Headers a page may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept-ranges, content-range, etag, mcp-protocol-version, mcp-session-id, retry-after, www-authenticate",
);

/// Where a browser says that a request comes from (Fetch Metadata, W3C).
const FETCH_SITE: &str = "sec-fetch-site";

/// How long a browser may remember what it may send, in seconds.
const PREFLIGHT_AGE_SECONDS: HeaderValue = HeaderValue::from_static("3600");

/// The names and pages that are allowed besides loopback, in lower case.
#[derive(Debug)]
pub struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request may not come in.
#[derive(Debug, PartialEq, Eq)]
pub enum Denied {
    Host,
    Origin,
}

/// The page that asks, if one does; goes back in the reply.
pub type Page = Option<HeaderValue>;

impl Gate {
    pub fn new(hosts: &[String], origins: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { hosts: lower(hosts), origins: lower(origins) }
    }

    /// Checks a request before anything of it is read.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Page, Denied> {
        let mut hosts = headers.get_all(HOST).iter();
        let said = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Authority::try_from(host.as_bytes()).map_err(|_| Denied::Host)?,
            // HTTP/1.0, or a client that names us in the request line.
            (None, _) => uri.authority().cloned().ok_or(Denied::Host)?,
            (Some(_), Some(_)) => return Err(Denied::Host),
        };
        let names = uri.authority().into_iter().chain([&said]);
        if !names.map(Authority::host).all(|host| self.is_host(host)) {
            return Err(Denied::Host);
        }
        self.page(headers)
    }

    fn is_host(&self, host: &str) -> bool {
        is_loopback(host) || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// The `Origin`, if it is allowed.
    fn page(&self, headers: &HeaderMap) -> Result<Page, Denied> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (origin, more) = (origins.next(), origins.next());
        let Some(origin) = origin else {
            // A page of another site can have its browser GET us without saying which page it is; the browser says that much.
            let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
            let is_foreign = matches!(site, Some(b"cross-site" | b"same-site"));
            return if is_foreign { Err(Denied::Origin) } else { Ok(None) };
        };
        let text = origin.to_str().map_err(|_| Denied::Origin)?;
        let is_allowed = more.is_none() && (is_loopback_origin(text) || self.is_origin(text));
        if is_allowed { Ok(Some(origin.clone())) } else { Err(Denied::Origin) }
    }

    fn is_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Answers the question a browser asks before it lets a page send a request.
    pub fn preflight(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let Ok(Some(page)) = self.page(headers) else {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response;
        };
        *response.status_mut() = StatusCode::NO_CONTENT;
        let given = response.headers_mut();
        given.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE"));
        given.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_SECONDS);
        given.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(headers));
        admit(&mut response, page);
        response
    }
}

/// Lets the page that asked read the response.
pub fn admit(response: &mut Response, page: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// Of the headers a page wants to send, those it may.
fn allowed_headers(headers: &HeaderMap) -> HeaderValue {
    let wanted =
        headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    let wanted = wanted.to_ascii_lowercase();
    let is_allowed = |name: &&str| REQUEST_HEADERS.contains(name) || name.starts_with("mcp-param-");
    let allowed: Vec<&str> = wanted.split(',').map(str::trim).filter(is_allowed).collect();
    HeaderValue::try_from(allowed.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a host name (without port; IPv6 in brackets) can only be this machine.
pub fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn is_loopback_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.and_then(|rest| rest.parse::<Authority>().ok()).is_some_and(|authority| {
        // An origin has neither user nor path; one that does was not written by a browser.
        !authority.as_str().contains('@') && is_loopback(authority.host())
    })
}

impl std::fmt::Display for Denied {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Host => "this `Host` is not served here: list its name under `hosts` in the manifest",
            Self::Origin => "this `Origin` may not call: list it under `origins` in the manifest",
        })
    }
}

#[cfg(test)]
mod tests;
