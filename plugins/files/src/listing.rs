//! The list of resources, page by page. A page's cursor is the last path looked at.

#[cfg(test)]
mod tests;

use crate::exports::stockade::agent::resources::ResourcePage;
use crate::grants::Grants;
use crate::stockade::agent::types::{Annotations, Error, Resource};
use crate::walk::Walk;
use crate::{media, stamp, uri};
use std::fs;

/// Files on one page.
const PAGE_FILES_MAX: usize = 200;
/// Bytes of URIs and names after which a page ends early; far below what a result may hold.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// The page that starts behind `cursor`. A page may be empty and have a next one, in a tree of many directories and few
/// files.
pub fn page(grants: &Grants, cursor: Option<&str>) -> Result<ResourcePage, Error> {
    if let Some(cursor) = cursor {
        uri::check(cursor).map_err(|why| Error::InvalidInput(format!("not a cursor of this list: {why}")))?;
        let foreign = |_| Error::InvalidInput("not a cursor of this list; start over without one".into());
        grants.check(cursor).map_err(foreign)?;
    }
    let mut walk = Walk::new(grants, grants.paths(), cursor);
    let mut resources: Vec<Resource> = vec![];
    let mut bytes = 0;
    for path in walk.by_ref() {
        if let Some(resource) = resource(&path) {
            bytes += resource.uri.len() + resource.name.len();
            resources.push(resource);
        }
        if resources.len() >= PAGE_FILES_MAX || bytes >= PAGE_BYTES_MAX {
            return Ok(ResourcePage { resources, next: Some(path), cache: None });
        }
    }
    Ok(ResourcePage { resources, next: walk.stopped_at().map(str::to_string), cache: None })
}

/// A file as a list or a link shows it; none if it cannot be looked at.
pub fn resource(path: &str) -> Option<Resource> {
    let metadata = fs::metadata(path).ok()?;
    Some(Resource {
        uri: uri::of_path(path),
        name: path.trim_start_matches('/').into(),
        title: None,
        description: None,
        mime_type: media::by_name(path).map(str::to_string),
        size: Some(metadata.len()),
        version: Some(stamp::version(&metadata)),
        annotations: Some(Annotations {
            audience: vec![],
            priority: None,
            last_modified: Some(stamp::last_modified(&metadata)),
        }),
        icons: vec![],
    })
}
