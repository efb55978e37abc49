//! What clients say of themselves, for as long as they are there (y-protocols, `awareness.js`).

use crate::bytes::{Bytes, put_buffer, put_number};
use crate::{CLIENT_MAX, Malformed};

/// Bytes of one state.
pub const STATE_BYTES_MAX: usize = 4 << 10;

/// The state of a client that has gone.
const GONE: &str = "null";

/// What one client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<'a> {
    /// Who says it.
    pub client: u64,
    /// Later ones take the place of earlier ones.
    pub clock: u64,
    /// As JSON; none when the client has gone.
    pub json: Option<&'a str>,
}

/// Reads a message (`applyAwarenessUpdate`). It may speak of any number of clients, with any clock: y-websocket repeats all that
/// it is told of others, and tells at once of all that it takes for gone.
///
/// # Errors
///
/// When it is none, goes beyond a limit, or has states that are not JSON: stock clients die of those.
pub fn read(bytes: &[u8]) -> Result<Vec<State<'_>>, Malformed> {
    let mut bytes = Bytes(bytes);
    let count = bytes.count("clients of an awareness message", usize::MAX, 3)?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        let client = bytes.client()?;
        let clock = bytes.number_within("clock of a state of awareness", CLIENT_MAX)?;
        let json = bytes.text()?;
        if json.len() > STATE_BYTES_MAX {
            return Err(Malformed::beyond("bytes of a state of awareness", STATE_BYTES_MAX as u64, json.len() as u64));
        }
        serde_json::from_str::<serde::de::IgnoredAny>(json).map_err(|_| Malformed::Json)?;
        states.push(State { client, clock, json: (json != GONE).then_some(json) });
    }
    bytes.end()?;
    Ok(states)
}

/// Writes a message (`encodeAwarenessUpdate`).
pub fn write<'a>(states: impl ExactSizeIterator<Item = State<'a>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(states.len() as u64, &mut bytes);
    for State { client, clock, json } in states {
        put_number(client, &mut bytes);
        put_number(clock, &mut bytes);
        put_buffer(json.unwrap_or(GONE).as_bytes(), &mut bytes);
    }
    bytes
}
