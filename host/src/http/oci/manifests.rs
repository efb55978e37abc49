//! Manifests: sent as they were pushed, taken, deleted.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::refuse::Refused;
use super::{CONTENT_DIGEST, Call, blobs, content_range, empty, shown};
use crate::http::body;
use crate::publish::Report;
use crate::publish::error::{Error, Limit};
use crate::publish::name::Reference;

/// Says that what a manifest refers to is looked at.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Answers GET and HEAD.
pub async fn get(call: &Call<'_>, reference: &str) -> Result<Response, Refused> {
    call.may_begin_reading()?;
    let found = call.publishing().manifest(&call.repository, &existing(reference)?).await?;
    let kind = HeaderValue::try_from(found.media_type).expect("only known types were stored");
    blobs::send(call, found.blob, &found.digest, kind).await
}

/// Takes a manifest.
pub async fn put(call: &Call<'_>, reference: &str, body: Body) -> Result<Response, Refused> {
    call.may_push()?;
    call.may_begin()?;
    let reference: Reference = reference.parse()?;
    let headers = &call.parts.headers;
    let media_type = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let publishing = call.publishing();
    let cap = publishing.limits().manifest_bytes_max;
    let bounds = body::Bounds { bytes: cap, wait: call.desk.app.settings.limits.body_wait };
    let received =
        body::read(headers, body, bounds, publishing.account()).await.map_err(|error| unread(call, error))?;
    let body::Received { bytes, copies } = received;
    let by = (&call.by, call.query("force").is_some_and(|force| force == "true"));
    let put = publishing.put_manifest(&call.repository, &reference, &media_type, bytes.into_bytes(), by).await?;
    drop(copies);
    let mut response = match &put.report {
        Some(report) => told(report),
        None => empty(StatusCode::CREATED),
    };
    let headers = response.headers_mut();
    headers.insert(LOCATION, call.path(format_args!("manifests/{}", put.digest)));
    headers.insert(CONTENT_DIGEST, shown(&put.digest));
    headers.extend(put.subject.map(|subject| (SUBJECT, shown(&subject))));
    Ok(response)
}

/// What came of a version: a few hundred bytes, for whoever published it.
fn told(report: &Report) -> Response {
    let text = serde_json::to_string(report).expect("a report can be written");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Takes a tag away, or a manifest with its tags.
pub async fn delete(call: &Call<'_>, reference: &str) -> Result<Response, Refused> {
    call.may_push()?;
    call.publishing().delete_manifest(&call.repository, &existing(reference)?, &call.by).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// What cannot be referred to is not there.
fn existing(reference: &str) -> Result<Reference, Refused> {
    let unknown = |none: crate::publish::name::NoReference| {
        Refused::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", none.to_string())
    };
    reference.parse().map_err(unknown)
}

fn unread(call: &Call<'_>, error: body::Error) -> Refused {
    let limits = &call.desk.app.settings.limits;
    match error {
        body::Error::TooLarge => {
            let cap = call.publishing().limits().manifest_bytes_max;
            let (name, unit) = ("uploads.manifest_bytes_max", "bytes");
            // How large it is was not waited for, where it did not say so.
            let wanted = content_range::length(&call.parts.headers).unwrap_or(cap + 1);
            Error::TooLarge(Limit { name, unit, cap, used: 0, wanted }).into()
        }
        body::Error::TooSlow => {
            let wait = limits.body_wait.as_millis();
            let text = format!("the body took longer than the limit `http.body_wait` of {wait} ms");
            Refused::new(StatusCode::REQUEST_TIMEOUT, "MANIFEST_INVALID", text)
        }
        body::Error::Refused(refusal) => Error::Unpaid(refusal).into(),
        body::Error::Broken(error) => {
            let text = format!("the body could not be read: {error}");
            Refused::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", text)
        }
    }
}
