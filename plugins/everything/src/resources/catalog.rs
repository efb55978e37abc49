//! What there is to read: the lists, and the way from a URI to a [`Source`].
//!
//! The first page holds the conformance suite's resources, since the suite does not turn pages; `test://static-text`
//! comes first, since the suite reads whatever does.

use super::source::Source;
use crate::exports::stockade::agent::resources::{Form, ResourcePage, Template, TemplatePage};
use crate::question::{Round, form};
use crate::stockade::agent::types::{Annotations, Cache, CacheScope, Error, Resource, Role, Theme};
use crate::{PIXEL_PNG, failure, icon, stable, tools};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many resources there are on the pages after the first.
pub const PAGED: u32 = 25;

/// How many of them stand on one page.
const PAGE_SIZE: u32 = 10;

/// How long the list of resources, and what a resource tells one caller only, may be cached.
const PRIVATE_TTL_MS: u32 = 5_000;

/// Size of `test://straddling-text`, and the chunks it is cut into. Most of their borders fall inside a character.
const STRADDLING_BYTES: u64 = 13_000;
const STRADDLING_CHUNK_BYTES: u64 = 1_021;

const STATIC_TEXT: &str = "This is the content of the static text resource.";
const WATCHED_TEXT: &str = "Watched resource content";

/// A family of resources with one variable.
pub struct Family {
    pub uri_template: &'static str,
    pub variable: &'static str,
    name: &'static str,
    description: &'static str,
    mime_type: Option<&'static str>,
}

/// What the list of templates shows and what completion knows.
pub const TEMPLATES: &[Family] = &[
    family("test://template/{id}/data", "id", "template", "Data for an id.", Some("application/json")),
    family("test://large/{bytes}", "bytes", "large", "Words that count up.", Some("application/octet-stream")),
    family("test://large-text/{bytes}", "bytes", "large-text", "Characters of every width.", Some("text/plain")),
    family("test://page/{number}", "number", "page", "What the later pages list.", Some("text/plain")),
    family("test://fail/{kind}", "kind", "fail", "Cannot be read, in the way named.", None),
];

const fn family(
    uri_template: &'static str,
    variable: &'static str,
    name: &'static str,
    description: &'static str,
    mime_type: Option<&'static str>,
) -> Family {
    Family { uri_template, variable, name, description, mime_type }
}

/// A resource that exists.
pub struct Found {
    pub mime_type: &'static str,
    pub form: Form,
    /// None where the content depends on the caller.
    pub version: Option<String>,
    pub cache: Option<Cache>,
    pub source: Source,
    /// Cuts chunks smaller than the host asks for.
    pub chunk_bytes_max: u64,
}

/// The resource behind `uri`, or why there is none.
pub fn find(uri: &str) -> Result<Found, Error> {
    let path = uri.strip_prefix("test://").ok_or_else(|| absent(uri))?;
    match path {
        "static-text" => return Ok(Found::text("text/plain", STATIC_TEXT.into())),
        "static-binary" => return Ok(Found::bytes("image/png", Source::Whole(PIXEL_PNG.into()))),
        "watched-resource" => return Ok(Found { cache: None, ..Found::text("text/plain", WATCHED_TEXT.into()) }),
        "straddling-text" => return Ok(straddling()),
        "clock" => return Ok(clock()),
        "whoami" => return Ok(Found::personal("application/json", tools::whoami_json())),
        "personal" => return personal(),
        _ => {}
    }
    // Whatever is left belongs to a template.
    let (family, value) = path.split_once('/').ok_or_else(|| absent(uri))?;
    match family {
        "template" => {
            let id = value.strip_suffix("/data").filter(|id| is_segment(id)).ok_or_else(|| absent(uri))?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            Ok(Found::text("application/json", data.to_string()))
        }
        "large" => Ok(Found::bytes("application/octet-stream", Source::Words(size(value)?))),
        "large-text" => Ok(Found { form: Form::Text, ..Found::bytes("text/plain", Source::Characters(size(value)?)) }),
        "page" => {
            let number: u32 = value.parse().map_err(|_| absent(uri))?;
            let listed = (1..=PAGED).contains(&number);
            listed.then(|| Found::text("text/plain", format!("Number {number} of {PAGED}."))).ok_or_else(|| absent(uri))
        }
        "fail" => Err(failure::of_kind(value)),
        _ => Err(absent(uri)),
    }
}

impl Found {
    fn text(mime_type: &'static str, text: String) -> Self {
        Found { form: Form::Text, ..Found::bytes(mime_type, Source::Whole(text.into_bytes())) }
    }

    /// For one caller only.
    fn personal(mime_type: &'static str, text: String) -> Self {
        Found { version: None, cache: private(), ..Found::text(mime_type, text) }
    }

    fn bytes(mime_type: &'static str, source: Source) -> Self {
        let (version, cache) = (Some(env!("CARGO_PKG_VERSION").into()), stable());
        Found { mime_type, form: Form::Binary, version, cache, source, chunk_bytes_max: u64::MAX }
    }
}

fn straddling() -> Found {
    let found = Found::bytes("text/plain", Source::Characters(STRADDLING_BYTES));
    Found { form: Form::Text, chunk_bytes_max: STRADDLING_CHUNK_BYTES, ..found }
}

/// Another version every second, and therefore without a cache hint.
fn clock() -> Found {
    let seconds = seconds();
    let found = Found::text("text/plain", format!("{seconds} s since 1970"));
    Found { version: Some(seconds.to_string()), cache: None, ..found }
}

/// A read that needs the person's answer first.
fn personal() -> Result<Found, Error> {
    let round = Round::current();
    let Some(name) = round.field("user_name", "name") else {
        return Err(round.ask(vec![("user_name", form("Whose copy is this?", "name", "string"))], None));
    };
    Ok(Found::personal("text/plain", format!("The copy of {name}.")))
}

/// The first page is the fixtures; then come [`PAGED`] more, [`PAGE_SIZE`] at a time.
pub fn resource_page(cursor: Option<String>) -> Result<ResourcePage, Error> {
    let Some(cursor) = cursor else {
        return Ok(ResourcePage { resources: first_page(), next: Some("1".into()), cache: private() });
    };
    let first: u32 = cursor
        .parse()
        .ok()
        .filter(|first| (1..=PAGED).contains(first))
        .ok_or_else(|| Error::InvalidInput(format!("cursor {cursor} is not one of ours")))?;
    let last = (first + PAGE_SIZE - 1).min(PAGED);
    let resources = (first..=last)
        .map(|number| listed(&format!("test://page/{number}"), "One of the later pages.", "text/plain", None))
        .collect();
    Ok(ResourcePage { resources, next: (last < PAGED).then(|| (last + 1).to_string()), cache: private() })
}

/// All templates: one page.
pub fn template_page(cursor: Option<String>) -> Result<TemplatePage, Error> {
    if let Some(cursor) = cursor {
        return Err(Error::InvalidInput(format!("no page {cursor}; the templates are one page")));
    }
    let templates = TEMPLATES.iter().map(|family| Template {
        uri_template: family.uri_template.into(),
        name: family.name.into(),
        title: Some(format!("By {}", family.variable)),
        description: Some(family.description.into()),
        mime_type: family.mime_type.map(Into::into),
        annotations: None,
        icons: vec![icon(Theme::Light)],
    });
    Ok(TemplatePage { templates: templates.collect(), next: None, cache: stable() })
}

/// As it is listed and as it is linked to.
pub fn static_text() -> Resource {
    let audience = vec![Role::User, Role::Assistant];
    let last_modified = Some("2026-07-28T00:00:00Z".into());
    Resource {
        annotations: Some(Annotations { audience, priority: Some(0.5), last_modified }),
        icons: vec![icon(Theme::Light)],
        ..listed("test://static-text", "A short text.", "text/plain", Some(STATIC_TEXT.len() as u64))
    }
}

fn first_page() -> Vec<Resource> {
    let png_bytes = PIXEL_PNG.len() as u64;
    let clock = listed("test://clock", "Changes every second.", "text/plain", None);
    let whoami = listed("test://whoami", "What the host says about the caller.", "application/json", None);
    let personal = listed("test://personal", "Asks for a name first.", "text/plain", None);
    vec![
        static_text(),
        listed("test://static-binary", "A red pixel.", "image/png", Some(png_bytes)),
        listed("test://watched-resource", "May be subscribed to.", "text/plain", Some(WATCHED_TEXT.len() as u64)),
        listed("test://straddling-text", "Is cut inside characters.", "text/plain", Some(STRADDLING_BYTES)),
        Resource { version: Some(seconds().to_string()), ..clock },
        Resource { version: None, ..whoami },
        Resource { version: None, ..personal },
    ]
}

fn listed(uri: &str, description: &str, mime_type: &str, size: Option<u64>) -> Resource {
    let name = uri.trim_start_matches("test://");
    Resource {
        uri: uri.into(),
        name: name.into(),
        title: Some(name.replace(['-', '/'], " ")),
        description: Some(description.into()),
        mime_type: Some(mime_type.into()),
        size,
        version: Some(env!("CARGO_PKG_VERSION").into()),
        annotations: None,
        icons: vec![],
    }
}

fn size(value: &str) -> Result<u64, Error> {
    value.parse().map_err(|_| Error::InvalidInput(format!("{value} is not a number of bytes")))
}

fn is_segment(value: &str) -> bool {
    !value.is_empty() && !value.contains('/')
}

fn absent(uri: &str) -> Error {
    Error::NotFound(format!("no resource {uri}; see resources/list and resources/templates/list"))
}

fn private() -> Option<Cache> {
    Some(Cache { ttl_ms: PRIVATE_TTL_MS, scope: CacheScope::Private })
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
