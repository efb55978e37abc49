//! How large the document and its log may become, and what is done about it.

use stockade_gate::StateVector;

use super::{Owner, client_id};
use crate::registry::outbox::Ending;

/// How much larger a document may be than what it says takes, in bytes and in parts of that, before it begins anew.
const GROWTH_BYTES: usize = 16 << 20;
const GROWTH_PARTS: usize = 4;

/// The same while it has no clients, who would have to come again.
const GROWTH_ALONE_BYTES: usize = 1 << 20;

/// What must be gained by beginning anew for it to be worth that all clients come again, where memory is short: so many bytes,
/// and this part of what the document needs, which is there twice for a moment.
const GAIN_BYTES_MIN: usize = 4 << 20;
const GAIN_PART: usize = 4;

/// Whether a document of so many bytes, which needs so few, should begin anew where memory is short.
pub fn is_worth_it(bytes: usize, least: usize) -> bool {
    bytes >= least + GAIN_BYTES_MIN.max(least / GAIN_PART)
}

impl Owner {
    /// Keeps log and document short.
    pub(super) fn tidy(&mut self) {
        let grown = self.document.bytes() > self.most() || self.document.is_crowded();
        let stored = match grown {
            true => self.renew(),
            false if self.store.wants_snapshot() => self.snapshot(),
            false => Ok(()),
        };
        if let Err(error) = stored {
            tracing::warn!(error = format!("{error:#}"), "no snapshot of the registry's document could be stored");
        }
        self.pay();
    }

    /// Bytes at which it begins anew.
    fn most(&self) -> usize {
        let (least, ceiling) = (self.document.least_bytes(), self.account.ceiling() as usize);
        // At half of what there is for it, if that will do, so that beginning anew has room for both.
        let most = match self.shared.audience.count() {
            0 => (GROWTH_ALONE_BYTES + least).max(2 * least),
            _ => (GROWTH_BYTES + GROWTH_PARTS * least).min(ceiling / 2).max(2 * least),
        };
        // Before there is no room for edits; but not again and again, if what it says takes that much.
        most.min(ceiling / 4 * 3).max(GROWTH_ALONE_BYTES + least + least / 4)
    }

    /// Stores the whole of it, in the place of the log.
    pub(super) fn snapshot(&mut self) -> anyhow::Result<()> {
        let state = self.document.diff(&StateVector::default());
        self.store.snapshot(self.document.epoch(), &state, self.document.authors())
    }

    /// Begins the document anew where memory is short, if that gives much back.
    pub(super) fn compact(&mut self) {
        let least = self.document.least_bytes();
        if !is_worth_it(self.document.bytes(), least) {
            return;
        }
        // Until the old one is gone, both are there.
        let Ok(_both) = self.account.charge(least as u64) else { return };
        if let Err(error) = self.renew() {
            tracing::warn!(error = format!("{error:#}"), "the registry's document cannot begin anew");
        }
        self.pay();
    }

    /// Begins the document anew: what it says, without what it was. Its clients are sent away, to come back with nothing.
    pub(super) fn renew(&mut self) -> anyhow::Result<()> {
        let before = self.document.bytes();
        let (document, state) = self.document.renewed(client_id()?);
        self.store.snapshot(document.epoch(), &state, document.authors())?;
        self.document = document;
        self.publish();
        self.shared.audience.each(|outbox| outbox.end(Ending::Epoch));
        let (epoch, freed) = (self.document.epoch().number, before.saturating_sub(self.document.bytes()));
        tracing::info!(epoch, freed, "the registry's document has begun anew");
        Ok(())
    }

    pub(super) fn pay(&mut self) {
        let (bytes, held) = (self.document.bytes() as u64, self.charge.bytes());
        if bytes < held {
            self.charge.shrink(held - bytes);
        } else if self.charge.grow(bytes - held).is_err() {
            // It is there, so it is counted as far as that goes; what it takes to read more is refused from now on.
            let _ = self.charge.grow(self.account.free().min(bytes - held));
        }
    }
}
