//! What fuzzers do with a document, and look at.

use stockade_gate::Update;
use yrs::{ReadTxn as _, Transact as _};

use super::{Document, Refused};

impl Document {
    /// Applies a client's update whatever the client's rights are: for fuzzers, to whom rights are no matter.
    pub(in crate::registry) fn apply_any(&mut self, bytes: &[u8], update: &Update<'_>) -> Result<Vec<u8>, Refused> {
        let checked = self.gate.check(update).map_err(Refused::Gate)?;
        self.integrate(bytes, checked)
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
