//! The gate against the library it guards, as functions that a fuzzer can call.
//!
//! Owns what must hold whatever comes: what the gate lets through the library applies, with nothing pending and no panic; both
//! know the same structs afterwards; and what the library then sends passes the gate again. No part of a running host:
//! only tests and benches call it.

use stockade_gate::draft::{self, Draft};
use stockade_gate::{Id, Limits, Message, StateVector, Update, awareness};

use super::ceilings::Ceilings;
use super::document::{Document, Epoch};
use super::pace::Paces;
use crate::access::Principal;
use crate::manifest::Role;

/// The host's id, and those of clients.
const HOST: u64 = 100;
const CLIENTS: [u64; 6] = [1, 2, 3, 7, 1 << 31, HOST];

/// Agents and fields, some of which there are from the start.
const AGENTS: [&str; 4] = ["files", "tables", "new", ""];
const FIELDS: [&str; 5] = ["title", "memory", "grants", "aliases", "x"];

/// Updates of one run, and parts of one update.
const UPDATES_MAX: u8 = 16;
const SECTIONS_MAX: u8 = 4;
const STRUCTS_MAX: u8 = 6;

/// Bytes as they come: nothing panics, and what is read can be applied to a document or says why not.
///
/// # Panics
///
/// When something does not hold that must.
pub fn bytes(data: &[u8]) {
    match Message::read(data) {
        Ok(Message::Step1(vector)) => {
            if let Ok(vector) = StateVector::read(vector) {
                Both::new().first.diff(&vector);
            }
        }
        Ok(Message::Step2(update) | Message::Update(update)) => Both::try_on_new(update),
        Ok(Message::Awareness(states)) => {
            if let Ok(states) = awareness::read(states) {
                assert_eq!(awareness::read(&awareness::write(states.iter().copied())), Ok(states));
            }
        }
        _ => {}
    }
    Both::try_on_new(data);
}

/// Updates made of the bytes, such as nearly fit: what the gate is for. Answers with how many it let through, and how many
/// not.
///
/// # Panics
///
/// When something does not hold that must.
pub fn updates(data: &[u8]) -> [u32; 2] {
    let (mut documents, mut dice, mut counts) = (Both::new(), Dice(data), [0, 0]);
    for _ in 0..dice.below(UPDATES_MAX) {
        let update = draft(&mut dice, &documents.first.state_vector()).bytes();
        counts[usize::from(!documents.take(&update))] += 1;
    }
    documents.compare();
    counts
}

/// A document as its thread has it, for a bench: gate, rights, library, schema, records.
pub struct Gated {
    document: Document,
    ceilings: Ceilings,
    operator: Principal,
    paces: Paces,
}

impl Gated {
    /// One of these agents.
    pub fn new<'a>(agents: impl Iterator<Item = &'a str>) -> Self {
        let mut document = Document::new(Epoch { number: 1, host: vec![HOST] });
        document.begin();
        for agent in agents {
            document.write(agent, &[("name", agent.into()), ("title", "An agent".into()), ("version", "1.0.0".into())]);
        }
        let operator = Principal::anonymous(100).in_role(Role::Operator);
        Self { document, ceilings: Ceilings::default(), operator, paces: Paces::default() }
    }

    /// All of it, as an update.
    pub fn state(&self) -> Vec<u8> {
        self.document.diff(&StateVector::default())
    }

    /// Takes an operator's update; an update of what has changed.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn apply(&mut self, update: &[u8]) -> Vec<Vec<u8>> {
        let read = Update::read(update, &Limits::LIVE).unwrap_or_else(|malformed| panic!("{malformed}"));
        let applied = self.document.apply((update, &read, false), &self.operator, &self.ceilings, &mut self.paces);
        // Whoever serves takes them after each group.
        self.document.take_changed();
        applied.unwrap_or_else(|refused| panic!("{refused}")).updates
    }
}

/// A document, and one that takes what the first sends.
struct Both {
    first: Document,
    second: Document,
}

impl Both {
    fn new() -> Self {
        let epoch = Epoch { number: 1, host: vec![HOST] };
        let mut both = Self { first: Document::new(epoch.clone()), second: Document::new(epoch) };
        let mut sent = vec![both.first.begin()];
        for agent in &AGENTS[..2] {
            sent.extend(both.first.write(agent, &[("title", "t".into()), ("memory", 1.into())]));
        }
        sent.iter().for_each(|update| both.second.restore(update).expect("the host's own"));
        both
    }

    /// Has new documents take an update, made only when it can be read at all: most bytes cannot.
    fn try_on_new(update: &[u8]) {
        if Update::read(update, &Limits::LIVE).is_ok() {
            Self::new().take(update);
        }
    }

    /// Whether the gate lets an update through; then both have it.
    fn take(&mut self, update: &[u8]) -> bool {
        let Ok(read) = Update::read(update, &Limits::LIVE) else { return false };
        let Ok(sent) = self.first.apply_any(update, &read) else { return false };
        assert!(!self.first.has_pending(), "something is pending after {update:?}");
        self.second.restore(&sent).unwrap_or_else(|refused| panic!("{refused}: {sent:?}, made of {update:?}"));
        assert!(!self.second.has_pending(), "something is pending after {sent:?}, made of {update:?}");
        true
    }

    fn compare(&self) {
        let sorted = |document: &Document| {
            let mut vector = document.state_vector().0;
            vector.sort_unstable();
            vector
        };
        assert_eq!(sorted(&self.first), sorted(&self.second));
        assert_eq!(self.first.library_vector(), sorted(&self.first), "the gate and the library know the same structs");
        // A third, of all at once.
        let mut third = Document::new(self.first.epoch().clone());
        third.restore(&self.first.diff(&StateVector::default())).expect("what is sent can be stored");
        assert_eq!(sorted(&self.first), sorted(&third));
    }
}

/// Choices, from bytes; all zero once there are no more.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Seldom true.
    fn oddly(&mut self) -> bool {
        self.byte() > 240
    }
}

/// An update that builds on what is known, mostly.
fn draft(dice: &mut Dice<'_>, known: &StateVector) -> Draft {
    let next = |client: u64| known.0.iter().find(|(named, _)| *named == client).map_or(0, |(_, clock)| *clock);
    let mut draft = Draft::default();
    let mut ends: Vec<(u64, u32)> = CLIENTS.map(|client| (client, next(client))).to_vec();
    for _ in 0..dice.below(SECTIONS_MAX) {
        let client = dice.one_of(&CLIENTS);
        let at = next(client);
        let clock = if dice.oddly() { at.wrapping_add_signed(i32::from(dice.byte() as i8)) & 0x7fff_ffff } else { at };
        let structs: Vec<Vec<u8>> = (0..1 + dice.below(STRUCTS_MAX)).map(|_| structure(dice, &ends)).collect();
        if let Some((_, end)) = ends.iter_mut().find(|(named, _)| *named == client) {
            *end = clock.saturating_add(structs.len() as u32);
        }
        draft = draft.section(client, clock, structs);
    }
    for _ in 0..dice.below(3) {
        let (client, end) = dice.one_of(&ends);
        let begin = u32::from(dice.byte()) % (end + 1);
        draft = draft.delete(client, &[[begin, 1 + u32::from(dice.below(3))]]);
    }
    draft
}

fn structure(dice: &mut Dice<'_>, ends: &[(u64, u32)]) -> Vec<u8> {
    let content = match dice.below(8) {
        0 => draft::deleted(1 + dice.below(3)),
        1 | 2 => draft::map(),
        _ => draft::value(dice.below(64)),
    };
    let mut id = || {
        let (client, end) = dice.one_of(ends);
        Id { client, clock: u32::from(dice.byte()) % (end + 1) }
    };
    let target = id();
    let mut bytes = match dice.below(8) {
        0 => draft::gone(1 + dice.below(3)),
        1 => draft::root(dice.one_of(&AGENTS), content),
        2..=4 => draft::within(target, dice.one_of(&FIELDS), content),
        _ => draft::instead_of(target, content),
    };
    if dice.oddly() {
        let place = usize::from(dice.byte()) % bytes.len();
        bytes[place] = dice.byte();
    }
    bytes
}
