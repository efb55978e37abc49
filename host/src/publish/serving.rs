//! What versions are served by: the agents, their entries, who vouches, and the turns in which versions change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use super::audit::Audit;
use super::error::{Error, Limit};
use crate::agent::Agents;
use crate::manifest::{AgentName, Signatures};
use crate::registry::Handle;

/// Versions that are on trial at once: each holds its component, and one is compiled at a time anyway.
const TRIALS_MAX: usize = 4;

/// Changes of versions that wait for their turn or are on trial.
const WAITING_MAX: usize = 32;

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
    /// By agent; one that nobody holds is not kept.
    of: Mutex<HashMap<AgentName, Arc<tokio::sync::Mutex<()>>>>,
    waiting: Semaphore,
    trials: Semaphore,
}

/// Leave to change the versions of one agent, until it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    agent: AgentName,
    guard: Option<OwnedMutexGuard<()>>,
    _waiting: SemaphorePermit<'a>,
}

impl Serving {
    pub fn new(agents: Agents, document: Handle, signatures: Signatures, audit: Audit) -> Self {
        Self { agents, document, signatures, audit: Arc::new(audit), turns: Arc::new(Turns::new()) }
    }

    /// Waits until nobody else changes the versions of this agent.
    ///
    /// # Errors
    ///
    /// When as many wait as may.
    pub async fn turn(&self, agent: &AgentName) -> Result<Turn<'_>, Error> {
        self.turns.take(agent).await
    }

    /// Waits until few enough are on trial.
    pub async fn trial(&self) -> SemaphorePermit<'_> {
        self.turns.trials.acquire().await.expect("the semaphore is never closed")
    }
}

impl Turns {
    fn new() -> Self {
        Self { of: Mutex::default(), waiting: Semaphore::new(WAITING_MAX), trials: Semaphore::new(TRIALS_MAX) }
    }

    async fn take(&self, agent: &AgentName) -> Result<Turn<'_>, Error> {
        let (name, unit, cap) = ("publishing", "changes of versions at once", WAITING_MAX as u64);
        let waiting = self.waiting.try_acquire();
        let waiting = waiting.map_err(|_| Error::Crowded(Limit { name, unit, cap, used: cap, wanted: 1 }))?;
        let own = self.lock().entry(agent.clone()).or_default().clone();
        let guard = own.lock_owned().await;
        Ok(Turn { turns: self, agent: agent.clone(), guard: Some(guard), _waiting: waiting })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentName, Arc<tokio::sync::Mutex<()>>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut of = self.turns.lock();
        self.guard = None;
        // Whoever waits for it has a handle of its own.
        if of.get(&self.agent).is_some_and(|own| Arc::strong_count(own) == 1) {
            of.remove(&self.agent);
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
