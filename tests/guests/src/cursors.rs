//! Resources that break the rules of reading by cursor, or turn on the host once the first chunk looked well.

use crate::exports::stockade::agent::resources::{Chunk, Form, Head, Position};
use crate::stockade::agent::types::Error;
use crate::{Trap, memory, time};

pub const TRAPS: &[Trap] = &[
    Trap { name: "ok", read: well_behaved },
    Trap { name: "endless", read: endless },
    Trap { name: "empty-next", read: |at, _| chunk(&at, vec![], Some("1".into())) },
    Trap { name: "same-cursor", read: |at, _| chunk(&at, piece(), Some("again".into())) },
    Trap { name: "cursor-cycle", read: cursor_cycle },
    Trap { name: "giant-cursor", read: |at, _| chunk(&at, piece(), Some("x".repeat(CURSOR_BYTES))) },
    Trap { name: "bad-utf8", read: |at, _| chunk(&at, vec![b'a', 0xff, 0xfe], None) },
    Trap { name: "cut-utf8", read: |at, _| chunk(&at, "é".as_bytes()[..1].to_vec(), None) },
    Trap { name: "too-long-chunk", read: |at, max| chunk(&at, vec![b'x'; max as usize + 1], None) },
    Trap { name: "no-head", read: |_, _| Ok(Chunk { bytes: piece(), head: None, next: None }) },
    Trap { name: "second-head", read: second_head },
    Trap { name: "giant-size", read: giant_size },
    Trap { name: "grow", read: |at, _| then(&at, || memory::grow()) },
    Trap { name: "spin", read: |_, _| time::spin() },
    Trap { name: "spin-second", read: |at, _| then(&at, || time::spin()) },
    Trap { name: "late-failure", read: |at, max| late(&at, max, || Err(Error::Failed("the well is dry".into()))) },
    Trap { name: "late-panic", read: |at, max| late(&at, max, || panic!("nothing is left to give")) },
    Trap { name: "late-bad-utf8", read: |at, max| late(&at, max, || Ok(vec![b'a', 0xff, 0xfe])) },
];

/// Within what the host copies, and absurd for a bookmark.
const CURSOR_BYTES: usize = 1 << 20;

/// What a resource gives before it goes wrong: more than the host collects before it begins to send.
const EARLY_BYTES: usize = 128 << 10;
const EARLY_CHUNK_BYTES: usize = 64 << 10;

/// How many chunks the well-behaved resource has.
const PIECES: u32 = 3;

/// Counts in its cursor, and refuses one that it did not give out.
fn well_behaved(at: Position, _max: u32) -> Result<Chunk, Error> {
    let number = match &at {
        Position::Start => 0,
        Position::Cursor(cursor) => match cursor.parse() {
            Ok(number) if (1..PIECES).contains(&number) => number,
            _ => return Err(Error::InvalidInput(format!("{cursor} is no cursor of this resource"))),
        },
        Position::Offset(_) => return Err(Error::InvalidInput("this resource cannot seek".into())),
    };
    chunk(&at, piece(), (number + 1 < PIECES).then(|| (number + 1).to_string()))
}

/// As many bytes as it may give, and never the last ones.
fn endless(at: Position, max: u32) -> Result<Chunk, Error> {
    let number: u64 = match &at {
        Position::Cursor(cursor) => cursor.parse().map_err(|_| Error::InvalidInput(format!("no chunk {cursor}")))?,
        _ => 0,
    };
    chunk(&at, vec![b'x'; max as usize], Some((number + 1).to_string()))
}

/// Start, a, b, a, b: no cursor follows itself.
fn cursor_cycle(at: Position, _max: u32) -> Result<Chunk, Error> {
    let next = if matches!(&at, Position::Cursor(cursor) if cursor == "a") { "b" } else { "a" };
    chunk(&at, piece(), Some(next.into()))
}

/// The second chunk says again what is being read, and something else.
fn second_head(at: Position, _max: u32) -> Result<Chunk, Error> {
    let (form, next) = if starts(&at) { (Form::Text, Some("2".into())) } else { (Form::Binary, None) };
    Ok(Chunk { bytes: piece(), head: Some(Head { form, ..head() }), next })
}

/// Promises more than any host has, and gives little.
fn giant_size(at: Position, _max: u32) -> Result<Chunk, Error> {
    let head = starts(&at).then(|| Head { size: Some(u64::MAX), ..head() });
    Ok(Chunk { bytes: piece(), head, next: None })
}

/// One good chunk, and for the second one something that never comes back.
fn then(at: &Position, attack: fn() -> !) -> Result<Chunk, Error> {
    if starts(at) { chunk(at, piece(), Some("2".into())) } else { attack() }
}

/// Good text for a while, and then the last bytes, or none. Counts the bytes in its cursor.
fn late(at: &Position, max: u32, last: fn() -> Result<Vec<u8>, Error>) -> Result<Chunk, Error> {
    let given = match at {
        Position::Start => 0,
        Position::Cursor(cursor) => cursor.parse().map_err(|_| Error::InvalidInput(format!("no chunk {cursor}")))?,
        Position::Offset(_) => return Err(Error::InvalidInput("this resource cannot seek".into())),
    };
    if given >= EARLY_BYTES {
        return chunk(at, last()?, None);
    }
    let bytes = (EARLY_BYTES - given).min(EARLY_CHUNK_BYTES).min(max as usize);
    chunk(at, vec![b'x'; bytes], Some((given + bytes).to_string()))
}

/// A chunk with the head that its position calls for.
fn chunk(at: &Position, bytes: Vec<u8>, next: Option<String>) -> Result<Chunk, Error> {
    Ok(Chunk { bytes, head: starts(at).then(head), next })
}

fn starts(at: &Position) -> bool {
    !matches!(at, Position::Cursor(_))
}

fn head() -> Head {
    Head { mime_type: Some("text/plain".into()), form: Form::Text, size: None, version: None, cache: None }
}

fn piece() -> Vec<u8> {
    b"a piece of text\n".to_vec()
}
