//! Uploads: begun, continued, ended.
//!
//! A body comes frame by frame and may take long, but not stand still. What goes wrong while it comes ends the upload, unless
//! the connection was all that failed: then the client may ask how far it came, and go on.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::header::{LOCATION, RANGE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::refuse::Refused;
use super::{CONTENT_DIGEST, Call, content_range, empty, shown};
use crate::http::range::Span;
use crate::publish::Receiving;
use crate::publish::digest::Digest;
use crate::publish::error::Error;

/// The name of an upload, for clients that like it on its own.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Begins an upload, or takes a blob in one go, or from another repository.
pub async fn begin(call: &Call<'_>, body: Body) -> Result<Response, Refused> {
    call.may_push()?;
    call.may_begin()?;
    if let (Some(mount), Some(from)) = (call.query("mount"), call.query("from")) {
        let digest = digest(&mount)?;
        // A repository that cannot be is one that does not have it.
        if let Ok(from) = from.parse()
            && call.publishing().mount(&call.repository, &digest, &from, &call.by).await?
        {
            return Ok(created(call, &digest));
        }
    }
    let whole = call.query("digest").map(|text| digest(&text)).transpose()?;
    let id = call.publishing().begin(&call.repository, &call.by).await?;
    let Some(digest) = whole else { return Ok(accepted(call, StatusCode::ACCEPTED, &id, 0)) };
    let mut receiving = match call.publishing().resume(&call.repository, &id, &call.by).await {
        Ok(receiving) => receiving,
        Err(error) => {
            call.publishing().cancel(&call.repository, &id, &call.by).await?;
            return Err(error.into());
        }
    };
    receiving.doom();
    receive(call, &mut receiving, None, body).await?;
    receiving.finish(&digest).await?;
    Ok(created(call, &digest))
}

/// Takes a part of an upload.
pub async fn append(call: &Call<'_>, id: &str, body: Body) -> Result<Response, Refused> {
    call.may_push()?;
    call.may_begin()?;
    let span = content_range::read(&call.parts.headers).map_err(unreadable)?;
    let mut receiving = call.publishing().resume(&call.repository, id, &call.by).await?;
    in_order(call, &receiving, id, span)?;
    if let Err(broke) = receive(call, &mut receiving, span, body).await {
        // What has come is kept, unless it may not be.
        receiving.pause().await?;
        return Err(broke);
    }
    let received = receiving.pause().await?;
    Ok(accepted(call, StatusCode::ACCEPTED, id, received))
}

/// Takes the last part of an upload, if there is one, and ends it.
pub async fn finish(call: &Call<'_>, id: &str, body: Body) -> Result<Response, Refused> {
    call.may_push()?;
    let said = call.query("digest").ok_or_else(|| {
        let text = "an upload ends with its digest: PUT it with ?digest=sha256:...";
        Refused::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", text)
    })?;
    let digest = digest(&said)?;
    let span = content_range::read(&call.parts.headers).map_err(unreadable)?;
    let mut receiving = call.publishing().resume(&call.repository, id, &call.by).await?;
    in_order(call, &receiving, id, span)?;
    receive(call, &mut receiving, span, body).await?;
    receiving.finish(&digest).await?;
    Ok(created(call, &digest))
}

/// Says how far an upload has come.
pub async fn standing(call: &Call<'_>, id: &str) -> Result<Response, Refused> {
    call.may_push()?;
    let received = call.publishing().received(&call.repository, id, &call.by).await?;
    Ok(accepted(call, StatusCode::NO_CONTENT, id, received))
}

/// Ends an upload, of which nothing stays.
pub async fn cancel(call: &Call<'_>, id: &str) -> Result<Response, Refused> {
    call.may_push()?;
    call.publishing().cancel(&call.repository, id, &call.by).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Refuses a part that belongs elsewhere, and says where the upload stands.
fn in_order(call: &Call<'_>, receiving: &Receiving, id: &str, span: Option<Span>) -> Result<(), Refused> {
    let received = receiving.received();
    let Some(span) = span.filter(|span| span.from != received) else { return Ok(()) };
    let refused = Refused::from(Error::OutOfOrder { received, said: span.from });
    Err(refused.with(LOCATION, location(call, id)).with(RANGE, range(received)))
}

/// Takes a body, which belongs at `span` if it said so.
async fn receive(
    call: &Call<'_>,
    receiving: &mut Receiving,
    span: Option<Span>,
    mut body: Body,
) -> Result<(), Refused> {
    let before = receiving.received();
    let announced = content_range::length(&call.parts.headers);
    let expected = span.map(|span| span.length()).or(announced);
    if let (Some(said), Some(came)) = (expected, announced)
        && said != came
    {
        return Err(Error::Truncated { said, came }.into());
    }
    receiving.expect(expected.unwrap_or(0))?;
    let stall = call.desk.app.settings.limits.stream_stall;
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match tokio::time::timeout(stall, next).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                let text = format!("the body broke off: {error}");
                return Err(Refused::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", text));
            }
            Err(_) => {
                receiving.doom();
                let text = format!(
                    "nothing came for longer than the limit `http.stream_stall` of {} ms: the upload is over",
                    stall.as_millis()
                );
                return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID", text));
            }
        };
        // Trailers say nothing to us.
        if let Ok(bytes) = frame.into_data() {
            receiving.take(&bytes).await?;
        }
    }
    let came = receiving.received() - before;
    match expected {
        Some(said) if said != came => {
            receiving.doom();
            Err(Error::Truncated { said, came }.into())
        }
        _ => Ok(()),
    }
}

fn digest(text: &str) -> Result<Digest, Refused> {
    text.parse().map_err(|error: crate::publish::digest::NoDigest| {
        Refused::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", error.to_string())
    })
}

fn unreadable(malformed: content_range::Malformed) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", malformed.to_string())
}

fn location(call: &Call<'_>, id: &str) -> HeaderValue {
    HeaderValue::try_from(format!("/v2/{}/blobs/uploads/{id}", call.repository))
        .unwrap_or(HeaderValue::from_static("/v2/"))
}

/// The bytes that have come; with none, clients know this form.
fn range(received: u64) -> HeaderValue {
    let text = format!("0-{}", received.saturating_sub(1));
    HeaderValue::try_from(text).expect("digits can stand in a header")
}

fn accepted(call: &Call<'_>, status: StatusCode, id: &str, received: u64) -> Response {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(LOCATION, location(call, id));
    headers.insert(RANGE, range(received));
    headers.extend(HeaderValue::try_from(id).map(|id| (UPLOAD_ID, id)));
    response
}

fn created(call: &Call<'_>, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, call.path(format_args!("blobs/{digest}")));
    headers.insert(CONTENT_DIGEST, shown(digest));
    response
}
