//! What versions are served by: the agents, their entries, who vouches, and the turns in which versions change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::audit::Audit;
use super::error::Error;
use super::name::Tag;
use crate::access::{Place, Places, Principal};
use crate::agent::Agents;
use crate::manifest::{AgentName, Signatures};
use crate::registry::Handle;

/// Versions that are on trial at once, and those of one principal: each holds its component, and one is compiled at a time
/// anyway.
const TRIALS_MAX: usize = 4;
const TRIALS_EACH_MAX: usize = 2;

/// Versions that are published at once, and other changes of what is served: on trial, or waiting for their turn. Of each a
/// principal has its share; none waits for the other's trials.
const PUBLISHING_MAX: u32 = 32;
const CHANGING_MAX: u32 = 32;

/// What [`Publishing`](super::Publishing) serves versions by.
#[derive(Clone)]
pub struct Serving {
    pub agents: Agents,
    /// Where agents have their entries: what is said there is what is served.
    pub document: Handle,
    pub signatures: Signatures,
    pub audit: Arc<Audit>,
    turns: Arc<Turns>,
}

struct Turns {
    /// By what is changed; one that nobody holds is not kept.
    of: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    publishing: Places,
    changing: Places,
    trials: Semaphore,
    /// By principal, of whom there are as many as tokens.
    own_trials: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// Leave to change the versions of one agent, or to publish one of them, until it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    of: String,
    guard: Option<OwnedMutexGuard<()>>,
    /// None of the host's own, which are few.
    _place: Option<Place>,
}

impl Serving {
    pub fn new(agents: Agents, document: Handle, signatures: Signatures, audit: Audit) -> Self {
        Self { agents, document, signatures, audit: Arc::new(audit), turns: Arc::new(Turns::new()) }
    }

    /// Waits until nobody else changes the versions of this agent, for a change that takes no trial.
    ///
    /// # Errors
    ///
    /// When as many wait as may.
    pub async fn turn(&self, agent: &AgentName, by: &Arc<Principal>) -> Result<Turn<'_>, Error> {
        let place = self.turns.changing.take(by).map_err(Error::Crowded)?;
        Ok(self.turns.take(agent.to_string(), Some(place)).await)
    }

    /// As [`turn`](Self::turn), for the host, and for who has a turn to publish.
    pub async fn own_turn(&self, agent: &AgentName) -> Turn<'_> {
        self.turns.take(agent.to_string(), None).await
    }

    /// Waits until nobody else publishes this very version: its trial is before the turn, and may take minutes.
    ///
    /// # Errors
    ///
    /// When as many are published as may.
    pub async fn turn_to_publish(&self, agent: &AgentName, tag: &Tag, by: &Arc<Principal>) -> Result<Turn<'_>, Error> {
        let place = self.turns.publishing.take(by).map_err(Error::Crowded)?;
        Ok(self.turns.take(format!("{agent}@{tag}"), Some(place)).await)
    }

    /// Waits until few enough are on trial, of this principal and in all.
    pub async fn trial(&self, by: &Principal) -> (OwnedSemaphorePermit, SemaphorePermit<'_>) {
        self.turns.trial(by.name.clone()).await
    }
}

impl Turns {
    fn new() -> Self {
        let changing = "changes of versions at once";
        Self {
            of: Mutex::default(),
            publishing: Places::new("publishing", "versions that are published at once", PUBLISHING_MAX),
            changing: Places::new("changing", changing, CHANGING_MAX),
            trials: Semaphore::new(TRIALS_MAX),
            own_trials: Mutex::default(),
        }
    }

    async fn take(&self, of: String, place: Option<Place>) -> Turn<'_> {
        let own = self.lock().entry(of.clone()).or_default().clone();
        // Dropped before it is had, it leaves no entry behind.
        let mut turn = Turn { turns: self, of, guard: None, _place: place };
        turn.guard = Some(own.lock_owned().await);
        turn
    }

    async fn trial(&self, by: Arc<str>) -> (OwnedSemaphorePermit, SemaphorePermit<'_>) {
        let own = {
            let mut own = self.own_trials.lock().unwrap_or_else(PoisonError::into_inner);
            own.entry(by).or_insert_with(|| Arc::new(Semaphore::new(TRIALS_EACH_MAX))).clone()
        };
        let own = own.acquire_owned().await.expect("the semaphore is never closed");
        (own, self.trials.acquire().await.expect("the semaphore is never closed"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut of = self.turns.lock();
        self.guard = None;
        // Whoever waits for it has a handle of its own.
        if of.get(&self.of).is_some_and(|own| Arc::strong_count(own) == 1) {
            of.remove(&self.of);
        }
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Serving")
    }
}

#[cfg(test)]
mod tests;
