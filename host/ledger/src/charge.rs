//! Charges: bytes that are held, and their way back.
//!
//! Owns the promise that every byte lent is returned once. A charge never holds more or less than the books say.

use std::{fmt, mem};

use crate::{Account, Refusal};

/// Bytes lent by an account, given back on drop. Keep it in the struct that holds the bytes it stands for.
#[must_use = "a dropped charge gives its bytes back at once"]
pub struct Charge {
    account: Account,
    bytes: u64,
}

const fn crosses_threads<T: Send + Sync>() {}
const _: () = crosses_threads::<Charge>();
const _: () = crosses_threads::<Account>();

impl Charge {
    pub(crate) fn empty(account: Account) -> Charge {
        Charge { account, bytes: 0 }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The account that lent them.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Holds `by` bytes more, or is refused and holds what it held.
    ///
    /// To grow is to become one larger thing, so it is refused as [`Never`](crate::RefusalKind::Never) when the whole can
    /// never fit. A collection that holds one charge for all its items charges an item first and then merges it.
    pub fn grow(&mut self, by: u64) -> Result<(), Refusal> {
        if by > 0 {
            self.account.books().charge(self.account.id(), self.bytes, by)?;
            self.bytes += by;
        }
        Ok(())
    }

    /// Gives `by` bytes back.
    ///
    /// # Panics
    ///
    /// When it holds fewer: its holder has lost count.
    pub fn shrink(&mut self, by: u64) {
        drop(self.split(by));
    }

    /// Takes `bytes` out of this charge into one of its own, for a holder that lives on its own.
    ///
    /// # Panics
    ///
    /// When it holds fewer: its holder has lost count.
    pub fn split(&mut self, bytes: u64) -> Charge {
        assert!(bytes <= self.bytes, "{self:?} cannot part with {bytes} bytes");
        self.bytes -= bytes;
        Charge { account: self.account.clone(), bytes }
    }

    /// Takes all bytes of `other` over.
    ///
    /// # Panics
    ///
    /// When `other` is of another account.
    pub fn merge(&mut self, mut other: Charge) {
        assert!(self.account.is(&other.account), "{self:?} cannot take over {other:?} of another account");
        self.bytes += mem::take(&mut other.bytes);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Charge").field("account", &self.account.name()).field("bytes", &self.bytes).finish()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.account.books().release(self.account.id(), self.bytes);
        }
    }
}
