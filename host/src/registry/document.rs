//! The yrs document, behind the gate: one that nobody but the thread which owns it ever sees.
//!
//! Whatever comes in is read by the gate, held against the rights of whoever sent it, applied, and compared with the schema;
//! a value that may not be is put back to what it was, in the host's name, so that its author sees it too. What goes out is
//! an update of exactly what changed.
//!
//! # Layout
//!
//! - `edit`: what the host is asked to change. `authors`: who writes as which client. `values`: between the library's values
//!   and JSON. `size`: how large it is, and need be. `refused`: why an update is not applied. `probe`: for fuzzers.
//!
//! Invariant: `records` says what the document says; the gate's ledger has every struct that the document has.

mod authors;
mod edit;
mod probe;
mod refused;
mod size;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use stockade_gate::{Capacity, Checked, Ledger, Limits, StateVector, Update};
use yrs::block::ClientID;
use yrs::updates::decoder::Decode as _;
use yrs::{Any, Doc, Map as _, MapRef, Options, ReadTxn as _, Transact as _, TransactionMut};

use super::ceilings::Ceilings;
use super::pace::Paces;
use super::record::{Record, Records, value_bytes};
use super::schema::{FIELDS, place};
use crate::access::Principal;
use crate::manifest::Role;
use authors::Authors;
pub use refused::Refused;

/// Bytes that a record takes at most for one that an update has: of a list of short texts.
const VALUE_PARTS: usize = 16;

/// Epochs whose clients are known to have a document of before. Those of still earlier ones may not write it back.
const EPOCHS_MAX: usize = 10_000;

/// Corrections of one update that its author is told of.
const CORRECTIONS_MAX: usize = 8;

/// What a document is opened with, and keeps until it begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Counted from 1.
    pub number: u64,
    /// The host's client ids: the one of this epoch, then those of earlier ones.
    pub host: Vec<u64>,
}

/// The document.
pub struct Document {
    doc: Doc,
    agents: MapRef,
    gate: Ledger,
    epoch: Epoch,
    records: Records,
    records_bytes: usize,
    /// Fields that have a value, of all records.
    values: usize,
    authors: Authors,
    /// Agents whose records are others since that was asked last.
    changed: BTreeSet<Arc<str>>,
    /// For each client that wrote since the last mark, what was known of it then.
    marked: BTreeMap<u64, u32>,
}

/// What an update has done.
#[derive(Debug, Default)]
pub struct Applied {
    /// To be stored and sent to everybody, in this order: the update, and what put wrong values right.
    pub updates: Vec<Vec<u8>>,
    /// What was put back, and why: the first few of it.
    pub corrections: Vec<String>,
}

impl Document {
    /// An empty one.
    pub fn new(epoch: Epoch) -> Self {
        let client_id = ClientID::new(epoch.host.first().copied().unwrap_or_default());
        let doc = Doc::with_options(Options { skip_gc: false, ..Options::with_client_id(client_id) });
        let agents = doc.get_or_insert_map(stockade_gate::ROOT);
        let gate = Ledger::new(epoch.host.clone(), Capacity::default());
        let (records, changed, marked) = (Records::new(), BTreeSet::new(), BTreeMap::new());
        let (records_bytes, values, authors) = (0, 0, Authors::default());
        Self { doc, agents, gate, epoch, records, records_bytes, values, authors, changed, marked }
    }

    /// The document anew, with what it says and without what it was: of another epoch. The second is its whole state.
    pub fn renewed(&self, host: u64) -> (Self, Vec<u8>) {
        let mut ids = vec![host];
        ids.extend(self.epoch.host.iter().take(EPOCHS_MAX));
        let mut next = Self::new(Epoch { number: self.epoch.number + 1, host: ids });
        let began = next.begin();
        debug_assert!(!began.is_empty());
        next.own(|txn, agents| {
            for (name, record) in &self.records {
                values::put(txn, agents, name, record.fields().map(|(field, value)| (field, value.clone())));
            }
        });
        for name in self.records.keys() {
            next.refresh(name);
        }
        let state = next.diff(&StateVector::default());
        (next, state)
    }

    /// Enters a struct of the host's own, so that whoever has synced knows of this epoch: an update.
    pub fn begin(&mut self) -> Vec<u8> {
        self.own(|txn, agents| {
            agents.insert(txn, "", Any::Null);
            agents.remove(txn, "");
        })
    }

    /// Applies what was stored: it has passed the gate before, and passes it again.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let update = Update::read(bytes, &Limits::STORED).map_err(|error| Refused::Gate(error.into()))?;
        let checked = self.gate.check_own(&update).map_err(Refused::Gate)?;
        let touched: Vec<Arc<str>> = checked.touches(&self.gate).map(|touch| touch.agent.into()).collect();
        self.integrate(bytes, checked)?;
        for agent in &touched {
            self.refresh(agent);
        }
        Ok(())
    }

    /// Applies what a client sent: bytes, what the gate has read in them, and whether it has brought it from before it was
    /// connected. `paces` says how much of it there may be.
    ///
    /// # Errors
    ///
    /// When it is not applied; nothing has changed then.
    pub fn apply(
        &mut self,
        (bytes, update, brought): (&[u8], &Update<'_>, bool),
        by: &Principal,
        ceilings: &Ceilings,
        paces: &mut Paces,
    ) -> Result<Applied, Refused> {
        let checked = self.gate.check(update).map_err(Refused::Gate)?;
        if checked.is_empty() {
            return Ok(Applied::default());
        }
        for (client, _) in checked.writers() {
            self.authors.check(client, by)?;
        }
        let mut touched = Vec::new();
        for touch in checked.touches(&self.gate) {
            let place = touch.field.and_then(place).filter(|place| FIELDS[*place].may_be_written(by, touch.agent));
            let Some(place) = place else {
                return Err(Refused::Forbidden { touched: touch.to_string(), principal: by.name.clone() });
            };
            touched.push((Arc::<str>::from(touch.agent), place));
        }
        // Structs that are nowhere still make it larger.
        if touched.is_empty() && by.role == Role::Reader {
            return Err(Refused::Forbidden { touched: "the document".to_owned(), principal: by.name.clone() });
        }
        // Numbers take no room, so that an agent can be disabled or retired in any case.
        if touched.iter().any(|(_, place)| FIELDS[*place].holds.has_length()) {
            self.has_room(bytes.len() * VALUE_PARTS)?;
        }
        if by.role != Role::Operator {
            paces.take(by, checked.burden(), Instant::now())?;
        }
        // An operator may bring what others have written.
        if !(brought && by.role == Role::Operator) {
            checked.writers().for_each(|(client, _)| self.authors.note(client, by));
        }
        let mut applied = Applied { updates: vec![self.integrate(bytes, checked)?], ..Applied::default() };
        let (mut right, mut wrong) = (Vec::with_capacity(touched.len()), Vec::new());
        for (agent, place) in touched {
            let field = &FIELDS[place];
            let value = values::value(&self.doc.transact(), &self.agents, &agent, field.name);
            match field.check(&value).and_then(|()| ceilings.check(&agent, field.name, &value)) {
                Ok(()) => right.push((agent, place, value)),
                Err(reason) => {
                    if applied.corrections.len() < CORRECTIONS_MAX {
                        applied.corrections.push(reason);
                    }
                    wrong.push((agent, place));
                }
            }
        }
        if !wrong.is_empty() {
            applied.updates.push(self.put_right(&wrong));
        }
        right.into_iter().for_each(|(agent, place, value)| self.note(agent, place, value));
        Ok(applied)
    }

    /// Whether somebody who has this much has it of another document: of an earlier epoch, of one that was lost, or of this one
    /// before it was put back to what it was earlier.
    pub fn is_of_another(&self, known: &StateVector) -> bool {
        let mut known = known.0.iter().filter(|(_, clock)| *clock > 0).peekable();
        if known.peek().is_none() {
            return false;
        }
        let (own, mut is_here) = (self.epoch.host.first(), false);
        for (client, clock) in known {
            let is_own = Some(client) == own;
            if self.gate.is_host(*client) && (!is_own || *clock > self.gate.next(*client)) {
                return true;
            }
            is_here |= is_own;
        }
        !is_here
    }

    /// What somebody has of this document who has this much.
    pub fn known(&self, mut vector: StateVector) -> StateVector {
        vector.0.retain(|(client, clock)| *clock > 0 && self.gate.knows(*client));
        vector
    }

    /// What somebody lacks who has this much.
    pub fn diff(&self, known: &StateVector) -> Vec<u8> {
        let known = known.0.iter().map(|(client, clock)| (ClientID::new(*client), *clock));
        let mut vector = yrs::StateVector::default();
        known.for_each(|(client, clock)| vector.set_max(client, clock));
        self.doc.transact().encode_diff_v1(&vector)
    }

    pub fn state_vector(&self) -> StateVector {
        self.gate.state_vector()
    }

    /// From here on what is written is new to [`Document::marked_vector`].
    pub fn mark(&mut self) {
        self.marked.clear();
    }

    /// What the document had when it was last marked.
    pub fn marked_vector(&self) -> StateVector {
        let mut vector = self.gate.state_vector();
        for (client, clock) in &mut vector.0 {
            *clock = self.marked.get(client).copied().unwrap_or(*clock);
        }
        vector.0.retain(|(_, clock)| *clock > 0);
        vector
    }

    /// Records that are others than when this was asked last; none is an agent that has gone.
    pub fn take_changed(&mut self) -> Vec<(Arc<str>, Option<Arc<Record>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|agent| (agent.clone(), self.records.get(&agent).cloned())).collect()
    }

    /// Takes the place of another: what that had is news, too.
    pub fn succeed(&mut self, other: &Self) {
        self.changed.extend(other.records.keys().cloned());
    }

    /// Who writes as which client, as it was stored.
    pub fn know(&mut self, authors: BTreeMap<u64, Arc<str>>) {
        self.authors = Authors::of(authors);
    }

    pub fn authors(&self) -> &BTreeMap<u64, Arc<str>> {
        self.authors.all()
    }

    /// Those authors that are not stored yet.
    pub fn take_new_authors(&mut self) -> Vec<(u64, Arc<str>)> {
        self.authors.take_new()
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Hands bytes that the gate has passed to the library, and enters them; answers with what changed, as an update.
    fn integrate(&mut self, bytes: &[u8], checked: Checked) -> Result<Vec<u8>, Refused> {
        let unapplied = |error: &dyn std::fmt::Display| Refused::Unapplied(error.to_string());
        let update = yrs::Update::decode_v1(bytes).map_err(|error| unapplied(&error))?;
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).map_err(|error| unapplied(&error))?;
        txn.commit();
        let deleted: Vec<(u64, Vec<[u32; 2]>)> = txn
            .delete_set()
            .iter()
            .map(|(client, ranges)| (client.get(), ranges.iter().map(|range| [range.start, range.end]).collect()))
            .collect();
        let changed = txn.encode_update_v1();
        drop(txn);
        self.admit(checked);
        for (client, ranges) in deleted {
            self.gate.note_deleted(client, ranges);
        }
        Ok(changed)
    }

    /// Changes the document in the host's name; answers with what changed, as an update.
    fn own(&mut self, change: impl FnOnce(&mut TransactionMut<'_>, &MapRef)) -> Vec<u8> {
        let mut txn = self.doc.transact_mut();
        change(&mut txn, &self.agents);
        txn.commit();
        let bytes = txn.encode_update_v1();
        drop(txn);
        let update = Update::read(&bytes, &Limits::STORED).expect("the host writes what the gate reads");
        let checked = self.gate.check_own(&update).expect("the host writes what fits its own document");
        self.admit(checked);
        bytes
    }

    /// Puts fields back to what the records say.
    fn put_right(&mut self, wrong: &[(Arc<str>, usize)]) -> Vec<u8> {
        let right: Vec<_> = wrong
            .iter()
            .map(|(agent, place)| {
                let value = self.records.get(agent).map_or(Value::Null, |record| record.at(*place).clone());
                (agent.clone(), FIELDS[*place].name, value)
            })
            .collect();
        self.own(|txn, agents| {
            for (agent, field, value) in right {
                values::put(txn, agents, &agent, [(field, value)]);
            }
        })
    }

    /// Enters what the document says in one field now, which cost less than to read all of them.
    fn note(&mut self, agent: Arc<str>, place: usize, value: Value) {
        let Some(record) = self.records.get_mut(&agent).filter(|record| *record.at(place) != value) else { return };
        self.records_bytes = self.records_bytes + value_bytes(&value) - value_bytes(record.at(place));
        self.values = self.values + usize::from(!value.is_null()) - usize::from(!record.at(place).is_null());
        // Whoever reads has the one of before.
        Arc::make_mut(record).set(place, value);
        self.changed.insert(agent);
    }

    /// Reads an agent's record anew.
    fn refresh(&mut self, agent: &str) {
        let record = values::record(&self.doc.transact(), &self.agents, agent);
        let before = self.records.get(agent);
        if before.map(|before| &**before) == record.as_ref() {
            return;
        }
        self.records_bytes -= before.map_or(0, |before| before.bytes());
        self.values -= before.map_or(0, |before| before.fields().count());
        let name: Arc<str> = agent.into();
        match record {
            Some(record) => {
                self.records_bytes += record.bytes();
                self.values += record.fields().count();
                self.records.insert(name.clone(), record.into());
            }
            None => drop(self.records.remove(agent)),
        }
        self.changed.insert(name);
    }

    /// Enters what was applied, and what was known before.
    fn admit(&mut self, checked: Checked) {
        for (client, known) in checked.writers() {
            self.marked.entry(client).or_insert(known);
        }
        self.gate.admit(checked);
    }
}
