//! The rules of reading (`resources.read` in the contract), and how an agent can break them.

use std::time::Duration;

use super::loops::Loops;
use crate::agent::calls::CURSOR_BYTES_MAX;
use crate::agent::contract::{Chunk, Position};

/// Bytes of what a head says in text.
const HEAD_BYTES_MAX: usize = 4 << 10;

/// A chunk of fewer bytes is small, and only so many of them may come: a guest must not hold its place for ever by giving a
/// byte at a time.
pub const SMALL_CHUNK_BYTES: usize = 4 << 10;
pub const SMALL_CHUNKS_MAX: u32 = 256;

/// Wall clock of all guest calls of one read together: so much in any case, and more for a resource that is long.
pub const GUEST_TIME_MAX: Duration = Duration::from_secs(120);
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;

/// What the client has taken so far. Chunks that were taken back are not in it: how often a client stalls is no fault of the
/// agent's.
#[derive(Debug, Default)]
pub struct Taken {
    bytes: u64,
    /// Wall clock of the guest calls.
    guest_time: Duration,
    /// Chunks that were hardly worth a call.
    small_chunks: u32,
    loops: Loops,
}

impl Taken {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts a chunk.
    ///
    /// # Errors
    ///
    /// The rule that only many chunks can break, and that was broken with this one.
    pub fn count(&mut self, bytes: usize, time: Duration, next: Option<&str>) -> Result<(), String> {
        self.bytes += bytes as u64;
        let Some(next) = next else { return Ok(()) };
        self.guest_time += time;
        let time_max = GUEST_TIME_MAX + Duration::from_secs(self.bytes / BYTES_PER_SECOND_MIN);
        if self.guest_time > time_max {
            return Err(format!("more than {} s of the agent's time for so many bytes", time_max.as_secs()));
        }
        if bytes < SMALL_CHUNK_BYTES {
            self.small_chunks += 1;
        }
        if self.small_chunks > SMALL_CHUNKS_MAX {
            return Err(format!("more than {SMALL_CHUNKS_MAX} chunks of less than {SMALL_CHUNK_BYTES} bytes"));
        }
        if self.loops.closes_with(next) {
            return Err("a cursor came twice".into());
        }
        Ok(())
    }
}

/// Looks at one chunk that was asked for `at` some place.
///
/// # Errors
///
/// The rule that it breaks.
pub fn check(chunk: &Chunk, at: &Position, bytes_max: u32) -> Result<(), String> {
    let bytes = chunk.bytes.len();
    if bytes > bytes_max as usize {
        return Err(format!("a chunk of {bytes} bytes, where {bytes_max} were asked for"));
    }
    let first = !matches!(at, Position::Cursor(_));
    if first != chunk.head.is_some() {
        return Err(if first { "the first chunk has no head" } else { "a later chunk has a head" }.into());
    }
    let told = chunk.head.iter().flat_map(|head| head.mime_type.iter().chain(&head.version)).map(String::len);
    if told.sum::<usize>() > HEAD_BYTES_MAX {
        return Err(format!("a media type and version of more than {HEAD_BYTES_MAX} bytes"));
    }
    let Some(next) = &chunk.next else { return Ok(()) };
    if bytes == 0 {
        return Err("an empty chunk before the end".into());
    }
    if next.len() > CURSOR_BYTES_MAX {
        return Err(format!("a cursor of {} bytes; at most {CURSOR_BYTES_MAX} are allowed", next.len()));
    }
    Ok(())
}
