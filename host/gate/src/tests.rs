//! Bytes that are refused before anything is known of a document, and those that are not.

use crate::bytes::{Bytes, put_buffer, put_number};
use crate::draft::*;
use crate::*;

fn read(draft: &Draft) -> Result<(), Malformed> {
    Update::read(&draft.bytes(), &Limits::LIVE).map(drop)
}

fn refused(bytes: &[u8]) -> String {
    Update::read(bytes, &Limits::LIVE).unwrap_err().to_string()
}

fn number(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut bytes = Bytes(bytes);
    let number = bytes.number()?;
    bytes.end()?;
    Ok(number)
}

#[test]
fn numbers_are_as_short_as_they_can_be() {
    for expected in [0, 1, 127, 128, 300, CLIENT_MAX, u64::MAX] {
        let mut bytes = Vec::new();
        put_number(expected, &mut bytes);
        assert_eq!(number(&bytes), Ok(expected));
    }
    for long in
        [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
    {
        assert_eq!(number(long), Err(Malformed::Number), "{long:?}");
    }
    assert_eq!(number(&[0x80]), Err(Malformed::Truncated));
}

#[test]
fn what_clients_of_the_document_write_is_read() {
    let update = Draft::default()
        .section(7, 0, [root("files", map()), within(at(7, 0), "title", value(1)), instead_of(at(7, 1), value(2))])
        .section(9, 3, [gone(4), instead_of(at(7, 0), deleted(2))])
        .delete(7, &[[1, 1], [5, 2]]);
    read(&update).unwrap();
    assert!(Update::read(&[0, 0], &Limits::LIVE).unwrap().is_empty());
    for cut in 0..update.bytes().len() {
        assert!(Update::read(&update.bytes()[..cut], &Limits::LIVE).is_err(), "{cut} bytes of it");
    }
    let long = [update.bytes(), vec![0]].concat();
    assert_eq!(refused(&long), "1 bytes follow behind its end");
}

#[test]
fn what_none_of_them_writes_is_not() {
    let one = |bytes: Vec<u8>| refused(&Draft::default().section(7, 0, [bytes]).bytes());
    let flagged = |flags: u8, mut bytes: Vec<u8>| {
        bytes[0] |= flags;
        bytes
    };
    let cases = [
        (one(flagged(0x40, instead_of(at(1, 1), value(1)))), "right neighbour"),
        (one(flagged(0x10, root("a", value(1)))), "content number 24"),
        (one(root("a", (2, vec![1, 1, b'1']))), "content number 2"),
        (one(root("a", (4, vec![1, b'x']))), "content number 4"),
        (one(root("a", (9, vec![1, b'x', 118, 0]))), "content number 9"),
        (one(root("a", (7, vec![2]))), "type number 2"),
        (one(root("a", (8, vec![0]))), "an item is empty"),
        (one(root("a", (8, vec![2, 126, 126]))), "values of an item: 2, and 1 are allowed"),
        (one(root("a", (8, vec![1, 115]))), "value number 115"),
        (one(root("a", (8, vec![1, 116, 1, 0]))), "value number 116"),
        (one(root("a", deleted(0))), "without a length"),
        (one(gone(0)), "without a length"),
        (one(root(&"k".repeat(513), value(1))), "bytes of a key: 513, and 512 are allowed"),
        (one(vec![0x28, 1, 1, b'x', 1, b'a', 1, 126]), "the only root is `agents`"),
        (one(vec![0x28, 2, 1, b'x', 1, b'a', 1, 126]), "parent number 2"),
        (one(vec![8, 0, 1, 1, 1, 126]), "an item has no key"),
        (one(vec![0x28, 0, 1, 1, 1, 0xff, 1, 126]), "not UTF-8"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said}, not {expected}");
    }
    // Nothing leaves holes.
    assert!(one(vec![10, 5]).contains("parent number 5"), "{}", one(vec![10, 5]));
}

#[test]
fn every_limit_is_met() {
    let many = |count: u64| {
        let sections = (0..count).fold(Draft::default(), |draft, client| draft.section(client, 0, [gone(1)]));
        read(&sections)
    };
    many(256).unwrap();
    assert_eq!(many(257), Err(Malformed::beyond("clients of an update", 256, 257)));
    let structs = |count: usize| read(&Draft::default().section(1, 0, vec![gone(1); count]).section(2, 0, [gone(1)]));
    structs(1_999).unwrap();
    assert_eq!(structs(2_000), Err(Malformed::beyond("structs of an update", 2_000, 2_001)));
    let twice = Draft::default().section(1, 0, [gone(1)]).section(1, 1, [gone(1)]);
    assert_eq!(read(&twice), Err(Malformed::Broken("a client comes twice")));
    let twice = Draft::default().delete(1, &[[0, 1]]).delete(1, &[[1, 1]]);
    assert_eq!(read(&twice), Err(Malformed::Broken("a client comes twice")));
    assert_eq!(read(&Draft::default().section(1, 0, [])), Err(Malformed::Truncated));
    let ids = |client, clock| read(&Draft::default().section(client, clock, [gone(1)]));
    ids(CLIENT_MAX, CLOCK_MAX - 1).unwrap();
    assert!(matches!(ids(CLIENT_MAX + 1, 0), Err(Malformed::Beyond { limit: "client id", .. })));
    assert!(matches!(ids(1, CLOCK_MAX), Err(Malformed::Beyond { limit: "clock", .. })));
    for ranges in [&[[5, 1], [4, 1]][..], &[[5, 2], [6, 1]]] {
        let refused = read(&Draft::default().delete(1, ranges));
        assert_eq!(refused, Err(Malformed::Broken("deleted ranges do not ascend")));
    }
    let list = |parts: u8| (8, [vec![1, 117, 0x80 | (parts & 0x7f), parts >> 7], vec![126; parts.into()]].concat());
    let values = |parts: u8, times: usize| {
        let bytes = Draft::default().section(1, 0, vec![root("a", list(parts)); times]).bytes();
        Update::read(&bytes, &Limits::LIVE).map(|update| update.values_cost())
    };
    assert_eq!(values(255, 1), Ok(256 * PART_BYTES));
    let long = [vec![1, 117, 0x80, 2], vec![126; 256]].concat();
    let long = read(&Draft::default().section(1, 0, [root("a", (8, long))]));
    assert_eq!(long, Err(Malformed::beyond("parts of a value", 256, 257)));
    assert_eq!(values(249, 40), Ok(10_000 * PART_BYTES));
    assert_eq!(values(249, 41), Err(Malformed::beyond("parts of values of an update", 10_000, 10_250)));
    let vector = |clients: usize| {
        let mut bytes = Vec::new();
        put_number(clients as u64, &mut bytes);
        bytes.extend(vec![1; 2 * clients]);
        StateVector::read(&bytes)
    };
    vector(16_384).unwrap();
    assert_eq!(vector(16_385), Err(Malformed::beyond("clients of a state vector", 16_384, 16_385)));
    let long = vec![0; MESSAGE_BYTES_MAX + 1];
    assert!(refused(&long).contains("bytes of an update: 1048577, and 1048576 are allowed"));
    assert!(Message::read(&long).unwrap_err().to_string().contains("bytes of a message"));
}

#[test]
fn who_was_away_may_bring_more() {
    let structs = |limits: &Limits, count: usize| {
        let bytes = Draft::default().section(1, 0, vec![gone(1); count]).bytes();
        Update::read(&bytes, limits).map(drop)
    };
    let beyond = |limit, max, found| Err(Malformed::beyond(limit, max, found));
    for (limits, max) in [(Limits::LIVE, 2_000), (Limits::SYNC, 20_000)] {
        structs(&limits, max).unwrap();
        assert_eq!(structs(&limits, max + 1), beyond("structs of an update", max as u64, max as u64 + 1));
    }
    // With the list itself, 250 parts.
    let list = [vec![1, 117, 0xf9, 1], vec![126; 249]].concat();
    let values = |times: usize| {
        let bytes = Draft::default().section(1, 0, vec![root("a", (8, list.clone())); times]).bytes();
        Update::read(&bytes, &Limits::SYNC).map(drop)
    };
    values(400).unwrap();
    assert_eq!(values(401), beyond("parts of values of an update", 100_000, 100_250));
    let deleters = |count: u64| {
        let bytes = (1..=count).fold(Draft::default(), |draft, client| draft.delete(client, &[[0, 1]])).bytes();
        Update::read(&bytes, &Limits::SYNC).map(drop)
    };
    deleters(10_000).unwrap();
    assert_eq!(deleters(10_001), beyond("clients of whom an update deletes", 10_000, 10_001));
}

#[test]
fn small_messages_claim_nothing_large() {
    let mut claims = Vec::new();
    put_number(1 << 27, &mut claims);
    assert!(refused(&claims).contains("clients of an update"), "{}", refused(&claims));
    // A hundred maps within each other, each of which claims a million entries.
    let mut bomb = vec![1];
    for _ in 0..100 {
        bomb.extend([118, 0xc0, 0x84, 0x3d, 1, b'k']);
    }
    let said = refused(&Draft::default().section(1, 0, [root("a", (8, bomb))]).bytes());
    assert_eq!(said, "it ends too early");
    let deep = |depth: usize| {
        let mut deep = vec![1];
        deep.extend([117, 1].repeat(depth));
        deep.push(126);
        read(&Draft::default().section(1, 0, [root("a", (8, deep))]))
    };
    deep(ANY_DEPTH_MAX).unwrap();
    assert_eq!(deep(7_000), Err(Malformed::beyond("depth of a value", 32, 33)));
}

#[test]
fn all_kinds_of_values_are_read_over() {
    let mut bytes = vec![1, 118, 11];
    let values: [&[u8]; 11] = [
        &[127],
        &[126],
        &[125, 0x7f],
        &[125, 0xbf, 0xff, 0xff, 0xff, 0x0f],
        &[124, 0, 0, 0, 0],
        &[123, 0, 0, 0, 0, 0, 0, 0, 0],
        &[122, 0, 0, 0, 0, 0, 0, 0, 0],
        &[121],
        &[120],
        &[119, 1, b'x'],
        &[117, 2, 126, 126],
    ];
    for value in values {
        put_buffer(b"k", &mut bytes);
        bytes.extend(value);
    }
    read(&Draft::default().section(1, 0, [root("a", (8, bytes))])).unwrap();
}

#[test]
fn frames_and_what_is_in_them() {
    for message in [
        Message::Step1(&[0]),
        Message::Step2(&[0, 0]),
        Message::KEEP_ALIVE,
        Message::Awareness(&[0]),
        Message::AskAwareness,
    ] {
        assert_eq!(Message::read(&message.write()), Ok(message));
    }
    assert_eq!(Message::KEEP_ALIVE.write(), [0, 2, 2, 0, 0]);
    assert_eq!(Message::Denied("no").write(), [2, 0, 2, b'n', b'o']);
    for frame in [&[][..], &[0], &[0, 3, 0], &[2, 0, 0], &[4], &[0, 0, 5, 1], &[3, 3], &[0xff, 0xff]] {
        assert!(Message::read(frame).is_err(), "{frame:?}");
    }
    let vector = StateVector(vec![(7, 3), (CLIENT_MAX, CLOCK_MAX)]);
    assert_eq!(StateVector::read(&vector.write()), Ok(vector));
    assert_eq!(StateVector::read(&[3, 0, 0, 0, 0]), Err(Malformed::Truncated));
    assert!(matches!(StateVector::read(&vec![0; (64 << 10) + 1]), Err(Malformed::Beyond { .. })));
}

#[test]
fn states_of_awareness_are_few_short_and_json() {
    use awareness::{STATE_BYTES_MAX, State};
    let read = |states: &[State<'_>]| awareness::read(&awareness::write(states.iter().copied())).map(drop);
    let states =
        [State { client: 7, clock: 1, json: Some(r#"{"user":"Ann"}"#) }, State { client: 8, clock: 2, json: None }];
    assert_eq!(awareness::read(&awareness::write(states.into_iter())).unwrap(), states);
    let long = format!("\"{}\"", "x".repeat(STATE_BYTES_MAX - 2));
    read(&[State { json: Some(&long), ..states[0] }]).unwrap();
    assert!(
        read(&[State { json: Some(&format!("{long} ")), ..states[0] }])
            .unwrap_err()
            .to_string()
            .contains("4096 are allowed")
    );
    read(&[State { clock: CLIENT_MAX, ..states[0] }; 1_000]).unwrap();
    assert!(read(&[State { clock: CLIENT_MAX + 1, ..states[0] }]).is_err());
    assert_eq!(awareness::read(&[0xff, 0xff, 3, 0, 0, 0]), Err(Malformed::Truncated));
    for broken in ["", "{", "{\"a\":1}x", "undefined", "'a'", &"[".repeat(1000)] {
        assert_eq!(read(&[State { json: Some(broken), ..states[0] }]), Err(Malformed::Json), "{broken}");
    }
}
