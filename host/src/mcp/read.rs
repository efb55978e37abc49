//! `resources/read`: an agent's chunks -> one JSON string inside one reply.
//!
//! Each chunk is written and dropped before the next is asked for. The reply is collected up to the cap on replies, so
//! a failure in the middle is still a proper error.

use super::buffer::{Buffer, Overflow};
use super::error::{About, Error};
use super::name::Shown;
use super::server::Meta;
use super::stream::{PieceError, StringWriter};
use super::version::Era;
use super::{Call, Target, put};
use crate::agent::contract::{Cache, CacheScope, Form, Head};

/// Answers a read of the resource that clients know as `shown`.
pub async fn answer(call: &Call<'_>, shown: &str) -> Result<Buffer, Error> {
    let (target, uri) = call.located(shown)?;
    if !target.offer.resources {
        return Err(Error::unknown_resource(call.era, shown, "this agent has none"));
    }
    let failed = |failure| Error::of(failure, call.era, About::Resource(shown), &target.identity());
    let overflow = |overflow| Error::overflow(overflow, Some(&target.identity()));

    let mut read = target.agent.read(&call.caller, uri);
    let mut chunk = read.next().await.map_err(failed)?;
    let Some(head) = chunk.as_ref().and_then(|chunk| chunk.value.head.as_ref()) else {
        return Err(Error::broken(&target.identity(), "a read began without saying what is read"));
    };
    let mut buffer = call.open().map_err(overflow)?;
    open(call, &mut buffer, call.names(&target).uri(uri), head).map_err(overflow)?;
    let mut writer = StringWriter::new(head.form);
    while let Some(piece) = chunk {
        writer.write(&piece.value.bytes, &mut buffer).map_err(|e| piece_error(e, &mut buffer, &target))?;
        drop(piece);
        chunk = read.next().await.map_err(failed)?;
    }
    writer.finish(&mut buffer).map_err(|e| piece_error(e, &mut buffer, &target))?;
    close(&mut buffer, &call.meta()).map_err(overflow)?;
    Ok(buffer)
}

/// Everything before the content. What caches want to know stands first, so that it is there before a long content
/// ends.
fn open(call: &Call<'_>, buffer: &mut Buffer, uri: Shown<'_>, head: &Head) -> Result<(), Overflow> {
    buffer.extend(b"{")?;
    if call.era == Era::Modern {
        let (ttl_ms, scope) = freshness(head.cache.as_ref());
        buffer.extend(br#""resultType":"complete","ttlMs":"#)?;
        put(buffer, &ttl_ms)?;
        buffer.extend(br#","cacheScope":"#)?;
        put(buffer, &scope)?;
        buffer.extend(b",")?;
    }
    buffer.extend(br#""contents":[{"uri":"#)?;
    put(buffer, &uri)?;
    if let Some(mime_type) = &head.mime_type {
        buffer.extend(br#","mimeType":"#)?;
        put(buffer, mime_type)?;
    }
    buffer.extend(match head.form {
        Form::Text => br#","text":""#,
        Form::Binary => br#","blob":""#,
    })
}

fn close(buffer: &mut Buffer, meta: &Meta) -> Result<(), Overflow> {
    buffer.extend(br#""}]"#)?;
    if !meta.is_empty() {
        buffer.extend(br#","_meta":"#)?;
        put(buffer, meta)?;
    }
    buffer.extend(b"}}")
}

/// An agent's hint as MCP's two fields; without one, nobody is to keep the answer.
pub fn freshness(cache: Option<&Cache>) -> (u32, &'static str) {
    match cache {
        Some(Cache { ttl_ms, scope: CacheScope::Public }) => (*ttl_ms, "public"),
        Some(Cache { ttl_ms, scope: CacheScope::Private }) => (*ttl_ms, "private"),
        None => (0, "private"),
    }
}

fn piece_error(error: PieceError, buffer: &mut Buffer, target: &Target) -> Error {
    match error {
        PieceError::NotText => Error::broken(&target.identity(), "a text resource that is not UTF-8"),
        PieceError::Full => {
            let overflow = buffer.overflow().expect("only a buffer that is full refuses a write");
            Error::overflow(overflow, Some(&target.identity()))
        }
    }
}
