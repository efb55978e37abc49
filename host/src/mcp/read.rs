//! `resources/read`: an agent's chunks -> one JSON string inside one reply.
//!
//! Each chunk is written and dropped before the next is taken, which the agent makes meanwhile. A small resource is
//! collected, so that a failure in the middle is still a proper error. A larger one is sent while it is read: then a failure
//! breaks the reply off in the middle of the string, so that nobody can take it for a whole one.

use std::fmt;

use bytes::Bytes;

use super::buffer::{Buffer, Overflow};
use super::call::{Answer, Call, Target};
use super::error::{self, About, Error};
use super::exchange::{Aborted, Outlet, Stream};
use super::kept::{Question, What};
use super::name::Shown;
use super::server::Meta;
use super::stream::{PieceError, StringWriter};
use super::version::Era;
use super::{catalog, put};
use crate::agent::contract::{Cache, CacheScope, Chunk, Form, Head};
use crate::agent::{Charged, Failure, Plan, Read};

/// Bytes of a reply that are collected before the rest of it is streamed.
const COLLECTED_BYTES: usize = 64 << 10;

const NOT_TEXT: &str = "a text resource that is not UTF-8";

/// Answers a read of the resource that clients know as `shown`.
pub async fn answer(call: &Call<'_>, shown: &str) -> Result<Answer, Error> {
    if let Some(agent) = catalog::agent_of(call.endpoint, shown) {
        return catalog::read(call, agent, shown).map(Answer::Whole);
    }
    let (target, uri) = call.located(shown)?;
    if !target.offer.resources {
        return Err(Error::unknown_resource(call.era, shown, "this agent has none"));
    }
    let agent = target.identity();
    let failed = |failure| Error::of(failure, call.era, About::Resource(shown), &agent);
    let overflow = |overflow| Error::overflow(overflow, Some(&agent));

    let question = Question::of(call, &target, What::Content(uri));
    if let Some((kept, cache)) = question.as_ref().and_then(Question::answer) {
        let mut buffer = call.open().map_err(overflow)?;
        open(call, &mut buffer, Some(&cache)).map_err(overflow)?;
        buffer.extend(&kept.bytes).map_err(overflow)?;
        buffer.extend(tail(call).map_err(overflow)?.as_ref()).map_err(overflow)?;
        return Ok(Answer::Whole(buffer));
    }
    let mut read = target.agent.read(&call.caller, uri, Plan::WHOLE);
    let mut chunk = match read.next().await {
        Err(Failure::Asks(asked)) => return Ok(Answer::Asks(target, asked)),
        first => first.map_err(failed)?,
    };
    let Some(head) = chunk.as_ref().and_then(|chunk| chunk.value.head.as_ref()) else {
        return Err(Error::broken(&agent, "a read began without saying what is read"));
    };
    let bytes_max = call.service.stream_bytes_max;
    if let Some(size) = head.size.filter(|size| *size > bytes_max) {
        return Err(Error::too_long(bytes_max, size, &agent));
    }
    let cache = head.cache;
    let mut buffer = call.open().map_err(overflow)?;
    open(call, &mut buffer, cache.as_ref()).map_err(overflow)?;
    let content = buffer.len();
    begin(&mut buffer, call.names(&target).uri(uri), head).map_err(overflow)?;
    let mut text = Text { writer: StringWriter::new(head.form), bytes: 0, bytes_max };
    while let Some(piece) = chunk {
        text.write(&piece, &mut buffer).map_err(|broken| broken.into_error(call, shown, &agent))?;
        drop(piece);
        chunk = read.next().await.map_err(failed)?;
        if chunk.is_some() && buffer.len() >= COLLECTED_BYTES {
            let tail = tail(call).map_err(overflow)?;
            let rest = Rest { text, read, chunk, tail };
            return Ok(Answer::Stream(stream(call, buffer, rest, target, shown)));
        }
    }
    if let Some(last) = text.writer.finish().map_err(|error| Broken::Text(error).into_error(call, shown, &agent))? {
        buffer.extend(&last).map_err(overflow)?;
    }
    if let Some(question) = question {
        question.keep(cache.as_ref(), &buffer.as_ref()[content..], 1, None);
    }
    buffer.extend(tail(call).map_err(overflow)?.as_ref()).map_err(overflow)?;
    Ok(Answer::Whole(buffer))
}

/// What caches want to know stands first, so that it is there before a long content ends.
pub fn open(call: &Call<'_>, buffer: &mut Buffer, cache: Option<&Cache>) -> Result<(), Overflow> {
    buffer.extend(b"{")?;
    if call.era == Era::Modern {
        let (ttl_ms, scope) = freshness(cache);
        buffer.extend(br#""resultType":"complete","ttlMs":"#)?;
        put(buffer, &ttl_ms)?;
        buffer.extend(br#","cacheScope":"#)?;
        put(buffer, &scope)?;
        buffer.extend(b",")?;
    }
    Ok(())
}

/// Everything else before the content.
fn begin(buffer: &mut Buffer, uri: Shown<'_>, head: &Head) -> Result<(), Overflow> {
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

/// Everything behind the content.
pub fn tail(call: &Call<'_>) -> Result<Buffer, Overflow> {
    let mut buffer = call.service.buffer();
    let meta: Meta = call.meta();
    buffer.extend(br#""}]"#)?;
    if !meta.is_empty() {
        buffer.extend(br#","_meta":"#)?;
        put(&mut buffer, &meta)?;
    }
    buffer.extend(b"}}")?;
    Ok(buffer)
}

/// What is left of a read that is streamed.
struct Rest {
    text: Text,
    read: Read,
    chunk: Option<Charged<Chunk>>,
    tail: Buffer,
}

fn stream(call: &Call<'_>, begun: Buffer, rest: Rest, target: Target, shown: &str) -> Stream {
    let uri = error::excerpt(shown).into_owned();
    Stream::new(&call.service.streams, move |outlet| async move {
        let sent = rest.send(&outlet, begun).await;
        sent.map_err(|failure| {
            let agent = target.agent.name();
            tracing::warn!(agent, uri, %failure, "a resource broke off while it was sent");
            Aborted
        })
    })
}

impl Rest {
    async fn send(mut self, outlet: &Outlet, begun: Buffer) -> Result<(), Broken> {
        outlet.send(begun.into_bytes()).await;
        let mut chunk = self.chunk.take();
        while let Some(mut piece) = chunk {
            // What the chunk was charged beyond its own bytes is for this.
            let room = piece.charge.bytes() - piece.value.bytes.len() as u64;
            let mut buffer = Buffer::funded(piece.charge.split(room));
            self.text.write(&piece, &mut buffer)?;
            drop(piece);
            outlet.send(buffer.into_bytes()).await;
            chunk = self.read.next().await.map_err(Broken::Agent)?;
        }
        if let Some(last) = self.text.writer.finish().map_err(Broken::Text)? {
            outlet.send(Bytes::copy_from_slice(&last)).await;
        }
        outlet.send(self.tail.into_bytes()).await;
        Ok(())
    }
}

/// The content as a JSON string, and how long it may be.
struct Text {
    writer: StringWriter,
    bytes: u64,
    bytes_max: u64,
}

impl Text {
    fn write(&mut self, piece: &Charged<Chunk>, out: &mut Buffer) -> Result<(), Broken> {
        self.bytes += piece.value.bytes.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(Broken::TooLong { bytes: self.bytes, bytes_max: self.bytes_max });
        }
        self.writer.write(&piece.value.bytes, out).map_err(Broken::Text)
    }
}

/// Why a read cannot go on.
enum Broken {
    Agent(Failure),
    Text(PieceError),
    TooLong { bytes: u64, bytes_max: u64 },
}

impl Broken {
    /// For a client that has seen nothing yet.
    fn into_error(self, call: &Call<'_>, shown: &str, agent: &error::Agent) -> Error {
        match self {
            Self::Agent(failure) => Error::of(failure, call.era, About::Resource(shown), agent),
            Self::Text(PieceError::NotText) => Error::broken(agent, NOT_TEXT),
            Self::Text(PieceError::Full(overflow)) => Error::overflow(overflow, Some(agent)),
            Self::TooLong { bytes, bytes_max } => Error::too_long(bytes_max, bytes, agent),
        }
    }
}

/// For the log.
impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(failure) => failure.fmt(out),
            Self::Text(PieceError::NotText) => out.write_str(NOT_TEXT),
            Self::Text(PieceError::Full(_)) => out.write_str("no room for the encoded bytes"),
            Self::TooLong { bytes_max, .. } => write!(out, "longer than `http.stream_bytes_max` of {bytes_max} bytes"),
        }
    }
}

/// An agent's hint as MCP's two fields; without one, nobody is to keep the answer.
pub fn freshness(cache: Option<&Cache>) -> (u32, &'static str) {
    match cache {
        Some(Cache { ttl_ms, scope: CacheScope::Public }) => (*ttl_ms, "public"),
        Some(Cache { ttl_ms, scope: CacheScope::Private }) => (*ttl_ms, "private"),
        None => (0, "private"),
    }
}
