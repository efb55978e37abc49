//! One instance, from its first byte to its drop.
//!
//! Owns a store and everything that pays for it. An instance serves one call, or the chunks of one read while its client
//! keeps up; it is never used again after an error, and never by a second caller.

use std::sync::Arc;
use std::time::Duration;

use stockade_ledger::Account;
use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

use super::Caller;
use super::clock::Clock;
use super::limiter::Limiter;
use super::queue::Ticket;
use super::shelf::Loaded;
use super::state::{HANDLES_MAX, State};
use crate::manifest::AgentSpec;

/// A live instance. Fields are dropped in this order: memory first, then what paid for it.
pub(super) struct Live {
    pub store: Store<State>,
    pub instance: Instance,
    pub loaded: Arc<Loaded>,
    pub clock: Clock,
    pub ticket: Ticket,
}

/// What an instance is made from.
pub(super) struct Recipe<'a> {
    pub agent: &'a Arc<str>,
    pub spec: &'a AgentSpec,
    pub reserve: u64,
    pub growth: &'a Account,
    pub caller: &'a Arc<Caller>,
}

/// An instance that did not come to life, and what is known of its end.
pub(super) struct Stillborn {
    pub error: wasmtime::Error,
    pub peak: u64,
    pub cpu: Duration,
    pub last_words: String,
}

impl Live {
    /// Instantiates, which may run code of the guest: within the same limits as a call.
    pub async fn new(recipe: Recipe<'_>, loaded: Arc<Loaded>, ticket: Ticket) -> Result<Self, Stillborn> {
        let Recipe { agent, spec, reserve, growth, caller } = recipe;
        let clock = Clock::new(spec.cpu, spec.deadline);
        let limiter = Limiter::new(spec.memory, reserve, growth.empty());
        let state = State::new(agent.clone(), spec, limiter, caller.clone()).map_err(|error| Stillborn {
            error,
            peak: 0,
            cpu: Duration::ZERO,
            last_words: String::new(),
        })?;
        let mut store = Store::new(loaded.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(spec.copies).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        let ticks = clock.clone();
        store.epoch_deadline_callback(move |_| {
            ticks.check()?;
            // Not `Yield`: it would wake this task at once and starve the timers and sockets of its thread.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        match clock.bound(loaded.pre.instantiate_async(&mut store)).await {
            Ok(instance) => Ok(Self { store, instance, loaded, clock, ticket }),
            Err(error) => Err(Stillborn {
                error,
                peak: store.data().limiter.peak(),
                cpu: clock.cpu_total(),
                last_words: store.data().output.last_words(),
            }),
        }
    }
}
