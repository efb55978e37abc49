//! Blobs: sent from disk, piece by piece, or taken out of a repository.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::refuse::Refused;
use super::{CONTENT_DIGEST, Call, empty, shown};
use crate::http::range::{self, Asked, Span};
use crate::http::reply::{Connection, Held, Streaming};
use crate::mcp::{Aborted, Stream};
use crate::publish::Blob;
use crate::publish::digest::Digest;

/// What is pushed is foreign: a browser may keep it, and do nothing else with it.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// Answers GET and HEAD.
pub async fn get(call: &Call<'_>, digest: &Digest) -> Result<Response, Refused> {
    call.may_begin_reading()?;
    let blob = call.publishing().blob(&call.repository, digest).await?;
    send(call, blob, digest, HeaderValue::from_static("application/octet-stream")).await
}

/// Takes a blob out of the repository.
pub async fn delete(call: &Call<'_>, digest: &Digest) -> Result<Response, Refused> {
    call.may_push()?;
    call.publishing().delete_blob(&call.repository, digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// Sends what of a file the request asks for.
pub async fn send(call: &Call<'_>, blob: Blob, digest: &Digest, kind: HeaderValue) -> Result<Response, Refused> {
    let headers = &call.parts.headers;
    let etag = HeaderValue::try_from(format!("\"{digest}\"")).expect("hex digits can stand in a header");
    let is_get = call.parts.method == Method::GET;
    let size = blob.bytes;
    let (status, span) = match range::asked(headers, Some(&etag), Some(size).filter(|_| is_get)) {
        Asked::Whole => (StatusCode::OK, Span::whole(size)),
        Asked::Part(span, _) => (StatusCode::PARTIAL_CONTENT, Some(span)),
        Asked::Unchanged => (StatusCode::NOT_MODIFIED, None),
        Asked::Changed => (StatusCode::PRECONDITION_FAILED, None),
        Asked::Beyond(size) => {
            let text = format!("the blob has {size} bytes, none of which were asked for");
            let refused = Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", text);
            return Err(refused.with(CONTENT_RANGE, range::unsatisfied(size)));
        }
    };
    let body = match span {
        Some(span) if is_get => body(call, blob, span).await?,
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_DIGEST, shown(digest));
    headers.insert(ETAG, etag);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    if status.is_success() {
        headers.insert(CONTENT_LENGTH, span.map_or(0, |span| span.length()).into());
    }
    if let Some(span) = span.filter(|_| status == StatusCode::PARTIAL_CONTENT) {
        headers.insert(CONTENT_RANGE, span.content_range(size));
    }
    Ok(response)
}

/// The bytes of a span. The first are there before the head goes out, so that a failure is a proper one.
async fn body(call: &Call<'_>, blob: Blob, span: Span) -> Result<Body, Refused> {
    let (publishing, blob) = (call.publishing().clone(), Arc::new(blob));
    let length = span.length();
    let first = publishing.piece(&blob, span.from, length).await?;
    let stream = Stream::new(call.desk.app.mcp.streams_account(), move |outlet| async move {
        let (mut piece, mut at, end) = (first, span.from, span.from + length);
        loop {
            at += piece.len() as u64;
            if !outlet.send(piece).await {
                return Err(Aborted);
            }
            if at == end {
                return Ok(());
            }
            piece = publishing.piece(&blob, at, end - at).await.map_err(|error| {
                tracing::warn!(?error, "a blob broke off while it was sent");
                Aborted
            })?;
        }
    });
    let connection = call.parts.extensions.get::<Connection>().cloned();
    let held = Held { connection, place: Some(call.place.clone()) };
    Ok(Body::new(Streaming::new(stream, held, Some(length))))
}
