//! What fuzzers do with a document, and look at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stockade_gate::Update;
use yrs::types::ToJson as _;
use yrs::{Map as _, Out, ReadTxn as _, Transact as _};

use super::{Document, Refused};

/// An agent, or one of its fields.
type Place = (String, Option<String>);

impl Document {
    /// Applies a client's update whatever the client's rights are: for fuzzers, to whom rights are no matter.
    ///
    /// # Panics
    ///
    /// When it has changed what the gate has not named.
    pub(in crate::registry) fn apply_any(&mut self, bytes: &[u8], update: &Update<'_>) -> Result<Vec<u8>, Refused> {
        let checked = self.gate.check(update).map_err(Refused::Gate)?;
        let named = checked.touches(&self.gate).map(|touch| (touch.agent.to_owned(), touch.field.map(str::to_owned)));
        let (named, before): (BTreeSet<Place>, _) = (named.collect(), self.said());
        let sent = self.integrate(bytes, checked)?;
        let after = self.said();
        let places = before.keys().chain(after.keys());
        for place in places.filter(|place| before.get(*place) != after.get(*place)) {
            let is_named = named.contains(place) || named.contains(&(place.0.clone(), None));
            assert!(is_named, "{place:?} has changed, and only {named:?} is named, by {bytes:?}");
        }
        Ok(sent)
    }

    /// All that the document says, as the library has it.
    fn said(&self) -> BTreeMap<Place, Value> {
        let (txn, mut said) = (self.doc.transact(), BTreeMap::new());
        for (agent, value) in self.agents.iter(&txn) {
            match value {
                Out::YMap(fields) => said.extend(fields.iter(&txn).map(|(field, value)| {
                    ((agent.to_owned(), Some(field.to_owned())), super::values::json(value.to_json(&txn)))
                })),
                other => drop(said.insert((agent.to_owned(), None), super::values::json(other.to_json(&txn)))),
            }
        }
        said
    }

    /// Whether the library waits for something before it applies all that it has.
    pub(in crate::registry) fn has_pending(&self) -> bool {
        let txn = self.doc.transact();
        txn.store().pending_update().is_some() || txn.store().pending_ds().is_some()
    }

    /// How many structs of each client the library knows, in the order of clients.
    pub(in crate::registry) fn library_vector(&self) -> Vec<(u64, u32)> {
        let vector = self.doc.transact().state_vector();
        let mut vector: Vec<_> = vector.iter().map(|(client, clock)| (client.get(), *clock)).collect();
        vector.sort_unstable();
        vector
    }
}
