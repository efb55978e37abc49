//! Lists: the tags of a repository, and what refers to a manifest.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::refuse::Refused;
use super::{Call, PREFIX};
use crate::mcp::buffer::{Buffer, Overflow};
use crate::publish::Referrer;
use crate::publish::digest::Digest;
use crate::publish::error::Error;
use crate::publish::manifest::INDEX;
use crate::publish::name::TAG_BYTES_MAX;

/// Says that a list was filtered as asked.
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Bytes of one list.
const LIST_BYTES_MAX: u64 = 4 << 20;

/// Bytes of referrers that one list has, after which another one begins.
const REFERRERS_BYTES: usize = 1 << 20;

/// Bytes that a tag takes before it is written, at most.
const TAG_BYTES: u64 = TAG_BYTES_MAX as u64 + size_of::<String>() as u64;

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a str,
    tags: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: &'a [Referrer],
}

/// The tags of a repository, sorted.
pub async fn tags(call: &Call<'_>) -> Result<Response, Refused> {
    let wanted = call.query("n").map(|n| n.parse::<u32>()).transpose().map_err(|_| {
        Refused::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "`n` is a whole number, how many tags to list")
    })?;
    let all = call.publishing().limits().tags;
    let count = wanted.unwrap_or(all).min(all);
    let last = call.query("last").unwrap_or_default();
    let replies = &call.desk.app.settings.replies;
    let _list = replies.charge(u64::from(count) * TAG_BYTES).map_err(Error::from)?;
    let found = call.publishing().tags(&call.repository, &last, count as usize).await?;
    let last = found.tags.last().filter(|_| found.has_more);
    let next = last.map(|last| next(&format!("{}/tags/list?n={count}&last={last}", call.repository)));
    let said = TagList { name: call.repository.as_str(), tags: &found.tags };
    let mut response = written(call, &said, HeaderValue::from_static("application/json"))?;
    response.headers_mut().extend(next.map(|next| (LINK, next)));
    Ok(response)
}

/// What refers to a manifest, as an index; of one type, if one is asked for.
pub async fn referrers(call: &Call<'_>, subject: &Digest) -> Result<Response, Refused> {
    let artifact_type = call.query("artifactType");
    let last = call.query("last").and_then(|last| last.parse().ok());
    let replies = &call.desk.app.settings.replies;
    let _list = replies.charge(2 * REFERRERS_BYTES as u64).map_err(Error::from)?;
    let of = (&call.repository, subject);
    let found = call.publishing().referrers(of, artifact_type.clone(), last, REFERRERS_BYTES).await?;
    let said = Index { schema_version: 2, media_type: INDEX, manifests: &found.manifests };
    let mut response = written(call, &said, HeaderValue::from_static(INDEX))?;
    let next = found.more_after.map(|last| {
        let kind = artifact_type.iter().map(|kind| ("artifactType", kind.as_str()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(kind).append_pair("last", last.as_str()).finish();
        next(&format!("{}/referrers/{subject}?{query}", call.repository))
    });
    response.headers_mut().extend(next.map(|next| (LINK, next)));
    if artifact_type.is_some() {
        response.headers_mut().insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

/// Where a list goes on.
fn next(path: &str) -> HeaderValue {
    HeaderValue::try_from(format!("<{PREFIX}{path}>; rel=\"next\"")).expect("all of it can stand in a URL")
}

fn written(call: &Call<'_>, said: &impl Serialize, kind: HeaderValue) -> Result<Response, Refused> {
    let mut buffer = Buffer::new(&call.desk.app.settings.replies, LIST_BYTES_MAX);
    if serde_json::to_writer(&mut buffer, said).is_err() {
        return Err(match buffer.overflow() {
            Some(Overflow::Refused(refusal)) => Error::Unpaid(refusal).into(),
            _ => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the list cannot be written"),
        });
    }
    let mut response = Response::new(Body::from(buffer.into_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
