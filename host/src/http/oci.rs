//! `/v2/`: the distribution API of OCI (version 1.1), by which clients of container registries push and pull.
//!
//! Pulling is for everybody who may call the host; pushing and deleting for whoever may publish what the last segment of the
//! repository's name says. A token comes as `Bearer`, or as the password of `Basic`, which is what clients of registries
//! send, most of them only after they were asked for it.
//!
//! # Layout
//!
//! - `path`: what is asked for. `refuse`: why it is not done.
//! - `blobs`, `uploads`, `manifests`, `lists`: the answers. `content_range`: where a part of an upload belongs.

mod blobs;
mod content_range;
mod lists;
mod manifests;
mod path;
pub mod refuse;
mod uploads;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::gate;
use super::identify::{Schemes, identify};
use super::route::{Admission, Desk};
use crate::access::{Place, Principal};
use crate::publish::Publishing;
use crate::publish::name::Repository;
use path::{Asked, Target};
pub use refuse::Refused;

/// Where the API begins.
const PREFIX: &str = "/v2/";

/// Says that this is such an API; some clients look.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The digest of what is answered with.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// One request.
struct Call<'a> {
    desk: &'a Desk,
    by: Arc<Principal>,
    parts: Parts,
    repository: Repository,
    /// Its place among the requests in flight.
    place: Arc<Place>,
}

/// Answers any request below `/v2/`, and `/v2` itself.
pub async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let page = desk.app.settings.gate.check(&parts.uri, &parts.headers);
    let closes = !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
    let (page, answered) = match page {
        Ok(page) => (page, dispatch(&desk, parts, body).await),
        Err(denied) => (None, Err(denied.into())),
    };
    let mut response = answered.unwrap_or_else(|refused: Refused| refused.into_response(closes));
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if let Some(page) = page {
        gate::admit(&mut response, page);
    }
    response
}

async fn dispatch(desk: &Desk, parts: Parts, body: Body) -> Result<Response, Refused> {
    let by = identify(&desk.app.settings.access, desk.reach, &parts, Schemes::BearerAndBasic)?;
    if desk.admission == Admission::Full {
        return Err(Refused::connections(desk.connections));
    }
    let place = Arc::new(desk.app.in_flight.take(&by)?);
    let Some(rest) = parts.uri.path().strip_prefix(PREFIX).filter(|rest| !rest.is_empty()) else {
        return hello(&parts.method, &by);
    };
    let Asked { repository, target } = path::read(rest)?;
    let call = Call { desk, by, parts, repository, place };
    match (call.parts.method.clone(), target) {
        (Method::GET | Method::HEAD, Target::Blob(digest)) => blobs::get(&call, &digest).await,
        (Method::DELETE, Target::Blob(digest)) => blobs::delete(&call, &digest).await,
        (_, Target::Blob(_)) => Err(Refused::method("GET, HEAD, DELETE")),
        (Method::POST, Target::Uploads) => uploads::begin(&call, body).await,
        (_, Target::Uploads) => Err(Refused::method("POST")),
        (Method::PATCH, Target::Upload(id)) => uploads::append(&call, &id, body).await,
        (Method::PUT, Target::Upload(id)) => uploads::finish(&call, &id, body).await,
        (Method::GET, Target::Upload(id)) => uploads::standing(&call, &id).await,
        (Method::DELETE, Target::Upload(id)) => uploads::cancel(&call, &id).await,
        (_, Target::Upload(_)) => Err(Refused::method("PATCH, PUT, GET, DELETE")),
        (Method::GET | Method::HEAD, Target::Manifest(reference)) => manifests::get(&call, &reference).await,
        (Method::PUT, Target::Manifest(reference)) => manifests::put(&call, &reference, body).await,
        (Method::DELETE, Target::Manifest(reference)) => manifests::delete(&call, &reference).await,
        (_, Target::Manifest(_)) => Err(Refused::method("GET, HEAD, PUT, DELETE")),
        (Method::GET, Target::Tags) => lists::tags(&call).await,
        (Method::GET, Target::Referrers(digest)) => lists::referrers(&call, &digest).await,
        (_, Target::Tags | Target::Referrers(_)) => Err(Refused::method("GET")),
    }
}

/// Says that the API is there. Who has sent no token is told that one could be: some clients send theirs only if told here.
fn hello(method: &Method, by: &Principal) -> Result<Response, Refused> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refused::method("GET, HEAD"));
    }
    let mut response = Response::new(Body::from("{}"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if by.is_anonymous() {
        response.headers_mut().insert(WWW_AUTHENTICATE, refuse::CHALLENGE);
    }
    Ok(response)
}

impl Call<'_> {
    fn publishing(&self) -> &Publishing {
        &self.desk.app.settings.publishing
    }

    /// Lets those on who may push to this repository, and delete what is there.
    fn may_push(&self) -> Result<(), Refused> {
        if self.by.may_publish(self.repository.last()) {
            Ok(())
        } else {
            Err(Refused::push(&self.repository, !self.by.is_anonymous()))
        }
    }

    /// Lets nothing be pushed while the host is about to stop, or memory is really at its end.
    fn may_begin(&self) -> Result<(), Refused> {
        if self.desk.app.is_draining() {
            return Err(Refused::for_now("this host is about to stop"));
        }
        self.may_begin_reading()
    }

    /// Lets nothing new begin while memory is really at its end.
    fn may_begin_reading(&self) -> Result<(), Refused> {
        self.desk.app.mcp.out_of_memory().map_or(Ok(()), |limit| Err(limit.into()))
    }

    /// What the query says of a key, the first time it says it.
    fn query(&self, key: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
    }

    /// The path of something in this repository.
    fn path(&self, below: std::fmt::Arguments<'_>) -> HeaderValue {
        let path = format!("{PREFIX}{}/{below}", self.repository);
        HeaderValue::try_from(path).expect("names are letters that can stand in a header")
    }
}

/// A reply without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A digest as a header.
fn shown(digest: &crate::publish::digest::Digest) -> HeaderValue {
    HeaderValue::try_from(digest.as_str()).expect("hex digits can stand in a header")
}
