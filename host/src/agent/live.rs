//! One instance, from its first byte to its drop.
//!
//! Owns a store and everything that pays for it. An instance serves one call, or the chunks of one read while its client
//! keeps up; it is never used again after an error, and never by a second caller.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use stockade_ledger::Account;
use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

use super::Caller;
use super::changes::Changes;
use super::clock::Clock;
use super::large::Large;
use super::limiter::{Growth, Limiter};
use super::queue::Ticket;
use super::shelf::Loaded;
use super::state::{HANDLES_MAX, State};
use crate::manifest::AgentSpec;
use crate::memory::Relief;

/// A live instance. Fields are dropped in this order: memory first, then what paid for it.
pub(super) struct Live {
    pub store: PaidStore<State>,
    /// None until the first call.
    pub instance: Option<Instance>,
    pub loaded: Arc<Loaded>,
    pub clock: Clock,
    pub ticket: Ticket,
    /// What it began under; its agent may have other terms by now.
    pub spec: Arc<AgentSpec>,
}

/// A store whose data pays for its memory. Left to itself a store drops its data first, and memory, which takes its
/// milliseconds to go, would for so long be in no book.
#[derive(Debug)]
pub(super) struct PaidStore<T: 'static>(Option<Store<T>>);

impl<T: 'static> PaidStore<T> {
    pub fn new(store: Store<T>) -> Self {
        Self(Some(store))
    }
}

impl<T: 'static> Drop for PaidStore<T> {
    fn drop(&mut self) {
        // The data outlives the store, and ends here.
        drop(self.0.take().map(Store::into_data));
    }
}

impl<T: 'static> Deref for PaidStore<T> {
    type Target = Store<T>;

    fn deref(&self) -> &Store<T> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: 'static> DerefMut for PaidStore<T> {
    fn deref_mut(&mut self) -> &mut Store<T> {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

/// What an instance is made from.
pub(super) struct Recipe<'a> {
    pub agent: &'a Arc<str>,
    pub spec: &'a Arc<AgentSpec>,
    pub reserve: u64,
    pub growth: &'a Account,
    pub large: &'a Large,
    pub relief: &'a Relief,
    pub caller: &'a Arc<Caller>,
    pub changes: &'a Changes,
    pub thread: Thread,
}

/// Where an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thread {
    /// On one that serves others as well: what waits for a disk goes elsewhere, and costs two switches of threads.
    Shared,
    /// On one that may wait for a disk itself.
    Own,
}

impl Live {
    /// Makes the store, and everything in it that holds the guest in bounds. No code of the guest runs yet.
    ///
    /// # Errors
    ///
    /// When a granted directory can no longer be opened.
    pub fn new(recipe: &Recipe<'_>, loaded: Arc<Loaded>, ticket: Ticket) -> wasmtime::Result<Self> {
        let &Recipe { agent, spec, reserve, caller, changes, thread, .. } = recipe;
        let clock = Clock::new(spec.cpu, spec.deadline, loaded.lanes.clone());
        let growth = Growth {
            charge: recipe.growth.empty(),
            large: recipe.large.clone(),
            listed: None,
            clock: clock.clone(),
            relief: recipe.relief.clone(),
        };
        let limiter = Limiter::new(spec.memory, reserve, growth);
        let state = State::new(agent.clone(), spec, limiter, (caller.clone(), changes.clone()), thread)?;
        let mut store = Store::new(loaded.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(spec.copies).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        let ticks = clock.clone();
        store.epoch_deadline_callback(move |_| {
            ticks.check()?;
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(ticks.clone().take_turns())))
        });
        Ok(Self { store: PaidStore::new(store), instance: None, loaded, clock, ticket, spec: spec.clone() })
    }
}

/// The instance in `slot`, made now if it was not there. May run code of the guest, so it belongs inside a bounded call.
pub(super) async fn instantiated(
    store: &mut Store<State>,
    loaded: &Loaded,
    slot: &mut Option<Instance>,
) -> wasmtime::Result<Instance> {
    match slot {
        Some(instance) => Ok(*instance),
        None => Ok(*slot.insert(loaded.pre.instantiate_async(store).await?)),
    }
}

#[cfg(test)]
mod tests;
