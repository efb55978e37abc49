//! A limit on how many things may be at once, with a share of it for each principal.
//!
//! Owns the counts. A [`Place`] is one of them, given back when it is dropped; nobody waits for one, a refusal is a value.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Principal;

/// The limit. A cheap handle.
#[derive(Debug, Clone)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    unit: &'static str,
    cap: u32,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: u32,
    /// By the index of a principal; as long as the highest that ever held one, which is bounded by the number of tokens.
    by: Vec<u32>,
}

/// One place, until it is dropped.
#[derive(Debug)]
#[must_use = "a place that nobody keeps is given back at once"]
pub struct Place {
    inner: Arc<Inner>,
    index: usize,
}

/// No place is free, at all or for this principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit `{limit}` of {cap} {unit}: {used} used, 1 wanted")]
pub struct Full {
    /// Name of the limit.
    pub limit: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// The principal's share, if that was what refused; else the limit.
    pub cap: u64,
    /// Held by the principal, if its share was what refused; else by all.
    pub used: u64,
}

impl Places {
    /// At most `cap` at once. `name` and `unit` are what a refusal says.
    pub fn new(name: &'static str, unit: &'static str, cap: u32) -> Self {
        Self(Arc::new(Inner { name, unit, cap, held: Mutex::default() }))
    }

    /// Takes a place for this principal.
    ///
    /// # Errors
    ///
    /// When all are taken, or as many as its share allows.
    pub fn take(&self, principal: &Arc<Principal>) -> Result<Place, Full> {
        let Inner { name, unit, cap, .. } = *self.0;
        let full = |cap: u32, used: u32| Full { limit: name, unit, cap: cap.into(), used: used.into() };
        let index = principal.index;
        let mut held = self.0.lock();
        if held.all >= cap {
            return Err(full(cap, held.all));
        }
        if held.by.len() <= index {
            held.by.resize(index + 1, 0);
        }
        let (share, own) = (principal.share_of(cap), held.by[index]);
        if own >= share {
            return Err(full(share, own));
        }
        held.all += 1;
        held.by[index] += 1;
        Ok(Place { inner: self.0.clone(), index })
    }

    /// Places that are taken.
    pub fn held(&self) -> u32 {
        self.0.lock().all
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.inner.lock();
        held.all -= 1;
        held.by[self.index] -= 1;
    }
}
