//! Resources: what can be listed and read. [`catalog`] says what there is, [`source`] holds the bytes.

mod catalog;
mod source;

pub use catalog::{PAGED, TEMPLATES, static_text};

use crate::Everything;
use crate::exports::stockade::agent::resources::{Chunk, Guest, Head, Position, ResourcePage, TemplatePage};
use crate::stockade::agent::types::Error;
use catalog::Found;

impl Guest for Everything {
    fn list_resources(cursor: Option<String>) -> Result<ResourcePage, Error> {
        catalog::resource_page(cursor)
    }

    fn list_templates(cursor: Option<String>) -> Result<TemplatePage, Error> {
        catalog::template_page(cursor)
    }

    fn read(uri: String, at: Position, max: u32) -> Result<Chunk, Error> {
        let found = catalog::find(&uri)?;
        let size = found.source.size();
        let from = match &at {
            Position::Start => 0,
            Position::Offset(offset) => *offset,
            // Our cursors are offsets; the host cannot tell, and must not.
            Position::Cursor(cursor) => {
                cursor.parse().map_err(|_| Error::InvalidInput(format!("cursor {cursor} is not one of ours")))?
            }
        };
        if from > size {
            return Err(Error::InvalidInput(format!("position {from} is past the end; {uri} has {size} bytes")));
        }
        let length = (size - from).min(max.into()).min(found.chunk_bytes_max);
        if length == 0 && from < size {
            return Err(Error::InvalidInput("a chunk needs room for at least one byte".into()));
        }
        let to = from + length;
        let head = (!matches!(at, Position::Cursor(_))).then(|| head(&found, size));
        let next = (to < size).then(|| to.to_string());
        Ok(Chunk { bytes: found.source.bytes(from, to), head, next })
    }
}

fn head(found: &Found, size: u64) -> Head {
    Head {
        mime_type: Some(found.mime_type.into()),
        form: found.form,
        size: Some(size),
        version: found.version.clone(),
        cache: found.cache,
    }
}
