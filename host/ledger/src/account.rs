//! Accounts: the handles through which bytes are charged.
//!
//! Owns how long an account stands in the books: as long as a handle, a child or a charge of it lives; and the lock, which
//! is held for one step of arithmetic at a time and never while a handle or a charge is dropped.

use std::fmt;
use std::sync::PoisonError;

use crate::books::{AccountId, Books};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::{Charge, Refusal};

/// What an account is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How refusals and snapshots call it. A child's name is put behind its parent's: `files` becomes `guests/files`.
    pub name: std::sync::Arc<str>,
    /// Bytes it may lend at most. Ceilings may sum above what their parent has.
    pub ceiling: u64,
    /// Bytes it can always lend, whatever others do. Only the root guarantees; a child's floor must be 0.
    pub floor: u64,
}

/// Lends bytes, up to its own ceiling and those of all accounts above it. A cheap handle: clones are the same account.
#[derive(Clone)]
pub struct Account {
    handle: Arc<Handle>,
}

/// Shared by all clones and charges of an account; its drop strikes the account from the books.
struct Handle {
    books: Arc<Mutex<Books>>,
    id: AccountId,
    name: std::sync::Arc<str>,
    /// Keeps the parent in the books for as long as a child counts in it.
    _parent: Option<Account>,
}

impl Account {
    /// Lends `bytes`, or nothing: asks this account and all above it, and charges them all or none.
    ///
    /// When several would refuse, the answer is that of the first which never could, else of the lowest.
    pub fn charge(&self, bytes: u64) -> Result<Charge, Refusal> {
        let mut charge = self.empty();
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// A charge of no bytes, to be grown. It is never refused.
    pub fn empty(&self) -> Charge {
        Charge::empty(self.clone())
    }

    /// Opens an account below this one, named `{this}/{name}`: its bytes count in both, its ceiling is its own. It stays in
    /// the books until its last handle, child and charge are gone.
    ///
    /// # Panics
    ///
    /// When `spec.floor` is not 0: only the root guarantees bytes.
    pub fn child(&self, spec: Spec) -> Account {
        assert_eq!(
            spec.floor,
            0,
            "`{}` cannot guarantee its child `{}` bytes: only the root can",
            self.name(),
            spec.name
        );
        let name = format!("{}/{}", self.name(), spec.name).into();
        self.open(name, spec).expect("an account without a floor takes no bytes when it is opened")
    }

    /// Bytes that are charged to this account and its children now. A floor that is not used up does not count.
    pub fn used(&self) -> u64 {
        self.books().used(self.handle.id)
    }

    /// Bytes that could be charged to this account now: the least room of its own ceiling and all above it. Others may
    /// take them first; whoever needs bytes charges them.
    pub fn free(&self) -> u64 {
        self.books().free(self.handle.id)
    }

    /// Bytes it may lend at most, whatever those above it have.
    pub fn ceiling(&self) -> u64 {
        self.books().ceiling(self.handle.id)
    }

    /// Lets it lend so many bytes at most from now on, for whoever shares out a parent's bytes anew.
    ///
    /// # Errors
    ///
    /// When more than that is lent now, or promised to its children: then its ceiling stays as it is.
    pub fn set_ceiling(&self, bytes: u64) -> Result<(), Refusal> {
        self.books().set_ceiling(self.handle.id, bytes)
    }

    /// Its full name, e.g. `guests/files`.
    pub fn name(&self) -> &str {
        &self.handle.name
    }

    pub(crate) fn root(lendable: u64) -> Account {
        let (books, id) = Books::new(lendable);
        let name = books.name(id);
        Account { handle: Arc::new(Handle { books: Arc::new(Mutex::new(books)), id, name, _parent: None }) }
    }

    pub(crate) fn open(&self, name: std::sync::Arc<str>, spec: Spec) -> Result<Account, Refusal> {
        let id = self.books().open(self.handle.id, name.clone(), spec.ceiling, spec.floor)?;
        let books = self.handle.books.clone();
        Ok(Account { handle: Arc::new(Handle { books, id, name, _parent: Some(self.clone()) }) })
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.handle.books)
    }

    pub(crate) fn id(&self) -> AccountId {
        self.handle.id
    }

    pub(crate) fn is(&self, other: &Account) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Account").field(&self.name()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // `_parent` is dropped after this, outside the lock, and may then strike itself.
        lock(&self.books).close(self.id);
    }
}

/// One lock for all accounts, not an atomic each: a charge moves several numbers together (an account, those above it, what
/// is left of a floor), and a half-moved sum would lend too much or refuse what fits. The sections are tens of
/// nanoseconds long.
///
/// A poisoned lock is used on: the books check everything before they change anything, so a failed assertion (a bug of
/// one holder) leaves them as they were. Refusing everybody for ever would make that bug everybody's.
fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
