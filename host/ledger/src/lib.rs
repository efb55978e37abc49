//! The books of memory: who may hold how many bytes, and who holds them now.
//!
//! Whatever can grow is charged here *before* it is allocated. A [`Ledger`] lends a fixed number of bytes to its
//! [`Account`]s; an account lends them on as [`Charge`]s, and a dropped charge gives its bytes back. Put the charge in
//! the struct that holds the bytes, and every way out (reply sent, client gone, deadline, trap, shutdown) is the same
//! drop.
//!
//! What does not fit is refused with a [`Refusal`], a value that says who refused, what was wanted, and whether waiting
//! can help. Nothing here ever waits: somebody who waits for bytes while holding bytes may wait for himself.
//!
//! ```
//! use stockade_ledger::{Ledger, RefusalKind, Spec};
//!
//! let ledger = Ledger::new(100);
//! let guests = ledger.account(Spec { name: "guests".into(), ceiling: 70, floor: 0 })?;
//! let files = guests.child(Spec { name: "files".into(), ceiling: 40, floor: 0 });
//!
//! let mut memory = files.charge(16)?;
//! memory.grow(16)?;
//! assert_eq!((files.used(), guests.used(), guests.free()), (32, 32, 38));
//!
//! let refusal = memory.grow(16).unwrap_err();
//! assert_eq!((&*refusal.account, refusal.kind), ("guests/files", RefusalKind::Never));
//!
//! drop(memory);
//! assert_eq!(ledger.snapshot().used, 0);
//! # Ok::<(), stockade_ledger::Refusal>(())
//! ```
//!
//! # Layout
//!
//! - `books`: the arithmetic, without locks; every rule about ceilings and floors stands there.
//! - `account`: [`Account`], the handle that charges, and [`Spec`], what one is opened with.
//! - `charge`: [`Charge`], bytes that are held, and their return.
//! - `refusal`: [`Refusal`], the answer when bytes do not fit.
//! - `sync`: the one lock, std's or loom's.
//!
//! Invariant: what the root has lent, guarantees included, never exceeds what it may lend.

#![forbid(unsafe_code)]
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod account;
mod books;
mod charge;
mod refusal;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

pub use account::{Account, Spec};
pub use books::{AccountSnapshot, Snapshot};
pub use charge::Charge;
pub use refusal::{Refusal, RefusalKind};

/// The root of the books: lends at most a fixed number of bytes, to all accounts together. A cheap handle.
#[derive(Clone, Debug)]
pub struct Ledger {
    root: Account,
}

impl Ledger {
    /// A ledger that lends at most `lendable` bytes. In refusals its name is `memory`.
    pub fn new(lendable: u64) -> Ledger {
        Ledger { root: Account::root(lendable) }
    }

    /// Opens an account that borrows from the root directly. It stays in the books until its last handle, child and
    /// charge are gone. Names need not be unique: while an old account drains, its successor may stand beside it.
    ///
    /// Its floor is set aside at once, so nobody else can borrow it; a floor that no longer fits is refused by `memory`,
    /// and one above the account's own ceiling by the account itself.
    ///
    /// ```
    /// use stockade_ledger::{Ledger, Spec};
    ///
    /// let ledger = Ledger::new(100);
    /// let requests = ledger.account(Spec { name: "requests".into(), ceiling: 50, floor: 30 })?;
    /// let guests = ledger.account(Spec { name: "guests".into(), ceiling: 100, floor: 0 })?;
    ///
    /// let _all_the_rest = guests.charge(70)?;
    /// assert_eq!((guests.free(), requests.free()), (0, 30));
    /// assert_eq!(ledger.account(Spec { name: "late".into(), ceiling: 1, floor: 1 }).unwrap_err().used, 100);
    /// # Ok::<(), stockade_ledger::Refusal>(())
    /// ```
    pub fn account(&self, spec: Spec) -> Result<Account, Refusal> {
        self.root.open(spec.name.clone(), spec)
    }

    /// All figures at one moment: no charge is seen in an account and missed in its parent.
    pub fn snapshot(&self) -> Snapshot {
        self.root.books().snapshot()
    }
}
