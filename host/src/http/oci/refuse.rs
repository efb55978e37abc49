//! The one place that turns a refusal of publishing into HTTP, in the shape that clients of OCI know.

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::access::Full;
use crate::http::gate::Denied;
use crate::http::identify::Unauthorized;
use crate::mcp::HostLimit;
use crate::publish::error::{Error, Limit};
use crate::publish::name::{NoReference, Repository};

use super::path::Nothing;

/// What a client sends its token with: as the password of any user.
pub const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="stockade""#);

/// When to come back if something is full for now, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Characters of a message: some repeat what a client has sent.
const MESSAGE_CHARS_MAX: usize = 600;

/// A refusal that is about to go out.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Boxed, as it is the largest part and mostly missing.
    limit: Option<Box<Limit>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), limit: None, headers: Vec::new() }
    }

    /// A path has no such method.
    pub fn method(allowed: &'static str) -> Self {
        let text = format!("this path has the methods {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", text).with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// Nothing may be pushed to this repository by the one who asks: `known` if he has said who he is.
    pub fn push(repository: &Repository, known: bool) -> Self {
        let agent = repository.last();
        if known {
            let text = format!("this token may not publish `{agent}`: the manifest's `tokens` say who may");
            Self::new(StatusCode::FORBIDDEN, "DENIED", text)
        } else {
            let text = format!("to publish `{agent}`, send a token that may, as the password of any user");
            Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text).with(WWW_AUTHENTICATE, CHALLENGE)
        }
    }

    /// The host takes nothing new for now.
    pub fn for_now(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TOOMANYREQUESTS", message).again()
    }

    /// All connections are taken.
    pub fn connections(cap: usize) -> Self {
        Self::for_now(format!("limit `connections` of {cap} connections: {cap} used, 1 wanted"))
    }

    /// A header that goes with it.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn again(self) -> Self {
        self.with(RETRY_AFTER, RETRY_AFTER_SECONDS.into())
    }

    /// The reply; after one to a request whose body nobody may have read, the connection ends.
    pub fn into_response(self, closes: bool) -> Response {
        let Self { status, code, message, limit, headers } = self;
        let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
        let detail = limit.map_or(Value::Null, |limit| {
            let Limit { name, unit, cap, used, wanted } = *limit;
            json!({ "limit": name, "unit": unit, "cap": cap, "used": used, "wanted": wanted })
        });
        let said = json!({ "errors": [{ "code": code, "message": message, "detail": detail }] });
        let mut response = Response::new(Body::from(said.to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(headers);
        if closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::NameUnknown(_)
            | Error::BlobUnknown(_)
            | Error::UploadUnknown
            | Error::ManifestUnknown(_)
            | Error::NoVersions(_)
            | Error::ManifestBlobUnknown(_) => StatusCode::NOT_FOUND,
            Error::UploadBusy | Error::VersionTaken(..) | Error::NotServed(_) => StatusCode::CONFLICT,
            Error::OutOfOrder { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Error::Truncated { .. }
            | Error::DigestDiffers { .. }
            | Error::ManifestInvalid(_)
            | Error::NotAdmitted(_)
            | Error::SizeDiffers { .. } => StatusCode::BAD_REQUEST,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::InUse(_) | Error::Unsupported(_) | Error::Fixed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::Quota(_) | Error::NotYours(_) => StatusCode::FORBIDDEN,
            Error::DiskQuota(_) | Error::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Error::TooManyUploads(_) | Error::Crowded(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Unpaid(_) | Error::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Error::Disk(why) = &error {
            tracing::error!("what was pushed cannot be read or written: {why:#}");
        }
        let refused = Self { limit: error.limit().map(Box::new), ..Self::new(status, error.code(), error.to_string()) };
        match status {
            StatusCode::METHOD_NOT_ALLOWED => refused.with(ALLOW, HeaderValue::from_static("GET, HEAD")),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => refused.again(),
            _ => refused,
        }
    }
}

impl From<Nothing> for Refused {
    fn from(nothing: Nothing) -> Self {
        let (status, code) = match nothing {
            Nothing::Repository(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            Nothing::Digest(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Nothing::Path => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        };
        Self::new(status, code, nothing.to_string())
    }
}

impl From<NoReference> for Refused {
    fn from(none: NoReference) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", none.to_string())
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", denied.to_string())
    }
}

impl From<Unauthorized> for Refused {
    fn from(unauthorized: Unauthorized) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", unauthorized.to_string()).with(WWW_AUTHENTICATE, CHALLENGE)
    }
}

impl From<HostLimit> for Refused {
    fn from(limit: HostLimit) -> Self {
        let HostLimit { limit: name, unit, cap, used, wanted, .. } = limit;
        let limit = Limit { name, unit, cap, used, wanted };
        Self { limit: Some(Box::new(limit)), ..Self::for_now(limit.to_string()) }
    }
}

impl From<Full> for Refused {
    fn from(full: Full) -> Self {
        let limit = Limit { name: full.limit, unit: full.unit, cap: full.cap, used: full.used, wanted: 1 };
        Self { limit: Some(Box::new(limit)), ..Self::for_now(limit.to_string()) }
    }
}
