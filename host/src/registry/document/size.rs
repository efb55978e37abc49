//! How large the document is, and how large one would be that says the same and has no past.

use super::{Document, Refused};
use crate::registry::schema::{AGENTS_MAX, FIELDS};

/// Bytes that yrs takes for a struct, about: measured 190 for each value that was overwritten.
const STRUCT_BYTES: usize = 200;

impl Document {
    /// Structs that the gate counts.
    pub fn entries(&self) -> usize {
        self.gate.entries()
    }

    /// Bytes of memory, about: the gate's ledger, the library's structs, the records.
    pub fn bytes(&self) -> usize {
        // The records stand in the library's structs too.
        self.gate.bytes() + self.gate.entries() * STRUCT_BYTES + 2 * self.records_bytes
    }

    /// Whether more than half of what the past may take beside what the document says is taken, of any of the gate's
    /// capacities: it should begin anew before somebody is refused.
    pub fn is_crowded(&self) -> bool {
        let (used, all, agents) = (self.gate.used(), self.gate.capacity(), self.records.len());
        let crowded = |used: usize, least: usize, all: usize| used > all.midpoint(least.min(all));
        crowded(used.clients, 1, all.clients)
            || crowded(used.entries, agents * (FIELDS.len() + 1), all.entries)
            || crowded(used.agents, agents, all.agents)
            || crowded(used.fields, FIELDS.len(), all.fields)
    }

    /// Bytes that a document takes which says the same and has no past.
    pub fn least_bytes(&self) -> usize {
        self.records.len() * FIELDS.len() * STRUCT_BYTES + 2 * self.records_bytes
    }

    /// Makes sure that there is room for an entry of this agent.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be.
    pub fn holds(&self, agent: &str) -> Result<(), Refused> {
        match self.records.len() {
            AGENTS_MAX.. if !self.records.contains_key(agent) => Err(Refused::TooMany(agent.into())),
            _ => Ok(()),
        }
    }
}
