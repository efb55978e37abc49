//! `GET /agents/{agent}/resources?uri=...`: a resource as plain bytes, for people and pipelines that want no JSON.
//!
//! With the agent's media type; with an `ETag` when the agent says a version; with ranges where the agent can begin at an
//! offset (RFC 9110, sections 13 and 14). What an agent serves is foreign: a browser that opens it gets it in a sandbox,
//! where it can neither run scripts nor call this host in the person's name.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use stockade_ledger::Charge;

use super::gate;
use super::post::{bears, come_in};
use super::range::{self, Asked};
use super::reply::{Connection, Held, Streaming, closing, plain};
use super::route::Desk;
use crate::access::Principal;
use crate::agent::contract::{Chunk, Error, Form, Head};
use crate::agent::{Agent, Caller, Charged, Failure, Plan, Read, Use};
use crate::mcp::{Aborted, NEWEST, Outlet, Stream, excerpt};

/// Nothing that a browser could do with a resource but show it.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// Keeps pages of other origins from embedding what is served here.
const CORP: &str = "cross-origin-resource-policy";

/// Bytes of a resource's URI, which is kept as long as it is read.
const URI_BYTES_MAX: usize = 8 << 10;

/// Answers GET and HEAD.
pub async fn get(desk: &Desk, agent: &str, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let (principal, page) = match come_in(desk, &request) {
        Ok(who) => who,
        Err(refused) => return *refused,
    };
    let app = &desk.app;
    let named = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
    let Some((_, uri)) = named.into_iter().find(|(key, _)| key == "uri") else {
        let text = "name the resource, such as /agents/files/resources?uri=file:///docs/welcome.md";
        return plain(app.mcp.refuse(StatusCode::BAD_REQUEST, text), page);
    };
    let Some(agent) = &app.agents.get(agent) else {
        return plain(app.mcp.refuse(StatusCode::NOT_FOUND, "there is no such agent"), page);
    };
    if uri.len() > URI_BYTES_MAX {
        return plain(app.mcp.refuse(StatusCode::URI_TOO_LONG, "the resource's name is too long"), page);
    }
    if let Err(full) = bears(app) {
        return closing(*full, page);
    }
    let place = match app.in_flight.take(&principal) {
        Ok(place) => place,
        Err(full) => return closing(app.mcp.refuse_full(&full), page),
    };
    let head_only = request.method == Method::HEAD;
    let whole = match Whole::open(agent, &principal, &uri, if head_only { 1 } else { u64::MAX }).await {
        Ok(whole) => whole,
        Err(failure) => return plain(app.mcp.refuse_read(failure, agent, &uri), page),
    };
    if whole.head.size.is_some_and(|size| size > app.mcp.stream_bytes_max()) {
        return plain(app.mcp.refuse_long(agent, whole.head.size.unwrap_or_default()), page);
    }
    let held = Held { connection: request.extensions.get::<Connection>().cloned(), place: Some(Arc::new(place)) };
    // Ranges are for GET alone (RFC 9110, 14.2).
    let mut response = match whole.part(&request.headers, !head_only).await {
        Ok(part) => part.respond(head_only, held, (agent, &uri), desk),
        Err(failure) => plain(app.mcp.refuse_read(failure, agent, &uri), None),
    };
    if let Some(page) = page {
        gate::admit(&mut response, page);
    }
    response
}

/// A resource that is being read from its start.
struct Whole<'a> {
    agent: &'a Arc<Agent>,
    by: Arc<Caller>,
    uri: &'a str,
    head: Head,
    etag: Option<HeaderValue>,
    /// Whether the agent can begin at an offset.
    seeks: bool,
    read: Read,
    first: Charged<Chunk>,
}

/// What of a resource is sent, and how.
struct Part {
    status: StatusCode,
    head: Head,
    etag: Option<HeaderValue>,
    seeks: bool,
    /// For 206 and 416.
    range: Option<HeaderValue>,
    /// Bytes to send, if they are known; none are sent without a read.
    length: Option<u64>,
    read: Option<(Read, Charged<Chunk>)>,
}

/// One read of a resource, with its first chunk and what that says.
async fn begin(
    agent: &Arc<Agent>,
    by: &Arc<Caller>,
    uri: &str,
    plan: Plan,
) -> Result<(Read, Charged<Chunk>, Head), Failure> {
    let mut read = agent.read(by, uri, plan);
    let mut first = read.next().await?;
    match first.as_mut().and_then(|chunk| chunk.value.head.take()) {
        Some(head) => Ok((read, first.expect("it had a head"), head)),
        // The agent's room has looked: a first chunk has a head.
        None => Err(Failure::Answered(Error::Failed("a read began without saying what is read".into()))),
    }
}

impl<'a> Whole<'a> {
    async fn open(agent: &'a Arc<Agent>, principal: &Principal, uri: &'a str, bytes: u64) -> Result<Self, Failure> {
        if agent.offer().is_ok_and(|offer| !offer.resources) {
            return Err(Failure::Answered(Error::NotFound("this agent has none".into())));
        }
        let by = Arc::new(Caller::new(principal.name.clone(), NEWEST));
        let plan = |offset| Plan { offset, bytes, use_as: Use::Raw };
        let (begun, seeks) = match begin(agent, &by, uri, plan(Some(0))).await {
            // It cannot seek, or cannot be read at all: a plain start will tell.
            Err(Failure::Answered(Error::InvalidInput(_))) => (begin(agent, &by, uri, plan(None)).await?, false),
            begun => (begun?, true),
        };
        let (read, first, head) = begun;
        let etag = head.version.as_deref().map(range::etag);
        Ok(Self { agent, by, uri, head, etag, seeks, read, first })
    }

    /// What the request's conditions and ranges leave of it.
    async fn part(self, headers: &HeaderMap, ranges: bool) -> Result<Part, Failure> {
        let Self { agent, by, uri, head, etag, seeks, read, first } = self;
        let size = head.size;
        let whole =
            |head, etag, read| Part { status: StatusCode::OK, head, etag, seeks, range: None, length: size, read };
        let status = match range::asked(headers, etag.as_ref(), size.filter(|_| seeks && ranges)) {
            Asked::Whole => return Ok(whole(head, etag, Some((read, first)))),
            Asked::Unchanged => StatusCode::NOT_MODIFIED,
            Asked::Changed => StatusCode::PRECONDITION_FAILED,
            Asked::Beyond(size) => {
                let range = Some(range::unsatisfied(size));
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(Part { status, head, etag, seeks, range, length: None, read: None });
            }
            Asked::Part(span, size) => {
                // What was read ahead from the start is of no use.
                drop((read, first));
                let plan = Plan { offset: Some(span.from), bytes: span.length(), use_as: Use::Raw };
                let (read, first, now) = begin(agent, &by, uri, plan).await?;
                if now.version != head.version {
                    return Err(Failure::Answered(Error::Busy(0)));
                }
                let (range, length) = (Some(span.content_range(size)), Some(span.length()));
                let status = StatusCode::PARTIAL_CONTENT;
                return Ok(Part { status, head, etag, seeks, range, length, read: Some((read, first)) });
            }
        };
        Ok(Part { status, head, etag, seeks, range: None, length: None, read: None })
    }
}

impl Part {
    fn respond(self, head_only: bool, held: Held, (agent, uri): (&Arc<Agent>, &str), desk: &Desk) -> Response {
        let Self { status, head, etag, seeks, range, length, read } = self;
        let body = match read {
            Some((read, first)) if !head_only => {
                let bytes_max = desk.app.mcp.stream_bytes_max();
                let (agent, uri) = (agent.clone(), excerpt(uri).into_owned());
                let stream = Stream::new(desk.app.mcp.streams_account(), move |outlet| async move {
                    let length = Length { bytes: length, is_all: status == StatusCode::OK };
                    send(&outlet, read, first, length, bytes_max).await.map_err(|why| {
                        tracing::warn!(agent = agent.name(), uri, %why, "a resource broke off while it was sent");
                        Aborted
                    })
                });
                Body::new(Streaming::new(stream, held, length))
            }
            _ => Body::empty(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media_type(&head));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static(if seeks { "bytes" } else { "none" }));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
        headers.insert(CORP, HeaderValue::from_static("same-origin"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        let length = length.filter(|_| status.is_success()).map(|length| (CONTENT_LENGTH, length.into()));
        let etag = etag.map(|etag| (ETAG, etag));
        let range = range.map(|range| (CONTENT_RANGE, range));
        headers.extend([length, etag, range].into_iter().flatten());
        response
    }
}

/// Sends `length` bytes, or all there are. A whole resource that turns out shorter or longer than was said, or longer than
/// any may be, breaks off before its last byte; of a range that begins in the middle only the length is known.
async fn send(
    outlet: &Outlet,
    mut read: Read,
    first: Charged<Chunk>,
    length: Length,
    bytes_max: u64,
) -> Result<(), BrokeOff> {
    let mut left = length.bytes.unwrap_or(bytes_max);
    let mut chunk = Some(first);
    while let Some(Charged { value, charge }) = chunk {
        let (count, has_next) = (value.bytes.len() as u64, value.next.is_some());
        let bytes = Bytes::from_owner(Paid { bytes: value.bytes, _charge: charge });
        let is_beyond = count > left || (count == left && has_next);
        if is_beyond && length.is_all {
            return Err(BrokeOff::TooLong);
        }
        let now = count.min(left);
        left -= now;
        outlet.send(bytes.slice(..usize::try_from(now).expect("no longer than a chunk"))).await;
        if left == 0 || !has_next {
            break;
        }
        chunk = read.next().await.map_err(BrokeOff::Failed)?;
    }
    if length.bytes.is_some() && left > 0 { Err(BrokeOff::TooShort(left)) } else { Ok(()) }
}

/// Why the rest of a resource was not sent; for the log.
#[derive(Debug, thiserror::Error)]
enum BrokeOff {
    #[error("{0}")]
    Failed(Failure),
    #[error("it is longer than was said, or than `http.stream_bytes_max` allows")]
    TooLong,
    #[error("it ends {0} bytes earlier than was said")]
    TooShort(u64),
}

/// How much is to be sent.
#[derive(Debug, Clone, Copy)]
struct Length {
    /// If it is known.
    bytes: Option<u64>,
    /// Whether that is all to the end of the resource.
    is_all: bool,
}

/// Bytes of a chunk, with what pays for them.
struct Paid {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The agent's media type; text says that it is UTF-8.
fn media_type(head: &Head) -> HeaderValue {
    let said = head.mime_type.as_deref();
    let shown = match (said, head.form) {
        (Some(said), Form::Text) if said.starts_with("text/") && !said.contains(';') => {
            format!("{said}; charset=utf-8")
        }
        (Some(said), _) => said.to_owned(),
        (None, Form::Text) => "text/plain; charset=utf-8".to_owned(),
        (None, Form::Binary) => "application/octet-stream".to_owned(),
    };
    HeaderValue::try_from(shown).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
