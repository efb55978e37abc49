//! How large the document is, and how large one would be that says the same and has no past.

use serde_json::Value;

use super::{Document, Refused};
use crate::registry::record::{Record, value_bytes};
use crate::registry::schema::{AGENTS_MAX, FIELDS};

/// Bytes that yrs takes for a struct, about: measured 190 for each value that was overwritten.
const STRUCT_BYTES: usize = 200;

/// Bytes that the gate's ledger takes for one that belongs to a place of its own, at most.
const LEDGER_BYTES: usize = 120;

/// Bytes that all records may have together: 20,000 of 1,600 each. Written as an update they are fewer; with the past that the
/// gate's capacity allows, that is still less than the gate reads of what is stored.
pub(super) const RECORDS_BYTES_MAX: usize = 32 << 20;

impl Document {
    /// Makes sure that there is room for so many bytes of values more.
    ///
    /// # Errors
    ///
    /// When there is not.
    pub(super) fn has_room(&self, more: usize) -> Result<(), Refused> {
        let wanted = self.records_bytes + more;
        if wanted <= RECORDS_BYTES_MAX { Ok(()) } else { Err(Refused::TooLarge { wanted }) }
    }

    /// Structs that the gate counts.
    pub fn entries(&self) -> usize {
        self.gate.entries()
    }

    /// Bytes of memory, about: the gate's ledger, the library's structs, the records.
    pub fn bytes(&self) -> usize {
        // The records stand in the library's structs too.
        self.gate.bytes() + self.gate.entries() * STRUCT_BYTES + 2 * self.records_bytes + self.authors.bytes()
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
            || crowded(used.deletions, 0, all.deletions)
    }

    /// Bytes that a document takes which says the same and has no past.
    pub fn least_bytes(&self) -> usize {
        (self.records.len() + self.values) * (STRUCT_BYTES + LEDGER_BYTES) + 2 * self.records_bytes
    }

    /// Makes sure that there is room for an entry of this agent with these fields.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be, or they are as large.
    pub fn holds(&self, agent: &str, fields: &[(&'static str, Value)]) -> Result<(), Refused> {
        let more: usize = fields.iter().map(|(_, value)| value_bytes(value)).sum();
        match (self.records.get(agent), self.records.len()) {
            (Some(record), _) => {
                let less = fields.iter().map(|(field, _)| value_bytes(record.get(field))).sum();
                // What makes it smaller is always taken.
                if more <= less { Ok(()) } else { self.has_room(more - less) }
            }
            (None, AGENTS_MAX..) => Err(Refused::TooMany(agent.into())),
            (None, _) => self.has_room(more + Record::default().bytes()),
        }
    }
}
