//! The start of all agents: what an earlier start knew is ready at once, the rest is loaded, and what is left of agents that are no
//! more is cleaned up.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::roster::Agents;
use super::{Agent, Offer, Standing};

/// Agents that are loaded at once at a start: each holds its component meanwhile.
const LOADING_MAX: usize = 64;

/// An agent, and what an earlier start found.
type Recalled = (Arc<Agent>, Arc<Offer>);

impl Agents {
    /// Makes all agents ready: those that are as an earlier start found them at once, without loading them; the others are
    /// loaded, several at a time, and compiled, one at a time, if they never were. An agent that cannot be loaded is refused
    /// by name, and the others go on.
    pub async fn load(&self) {
        let settle = |agent: Arc<Agent>| {
            let agents = self.clone();
            async move {
                agent.settle().await;
                agents.enroll(&agent).await;
            }
        };
        few_at_once(LOADING_MAX, self.recall().await.into_iter().map(settle)).await;
        self.disable_missing().await;
        let agents = self.clone();
        // Looks at a file for each agent.
        let pruned = tokio::task::spawn_blocking(move || agents.prune()).await;
        if let Ok(Err(error)) = pruned {
            tracing::warn!(error = format!("{error:#}"), "what earlier starts have left cannot be cleaned up");
        }
    }

    /// Loads an agent whose component is there now.
    pub async fn reload(&self, name: &str) {
        let Some(agent) = self.get(name) else { return };
        agent.settle().await;
        self.enroll(&agent).await;
    }

    /// Refuses an agent for a reason of its own.
    pub fn refuse(&self, name: &str, reason: &str) {
        let Some(agent) = self.get(name) else { return };
        tracing::error!(agent = name, reason, "agent refused");
        agent.stand(Standing::Refused(reason.into()));
    }

    /// Removes what was kept for agents and versions that are no more.
    fn prune(&self) -> anyhow::Result<()> {
        let (mut digests, mut keys) = self.all_versions();
        for agent in self.all() {
            let Some(release) = &agent.release else { continue };
            // Of one that could not even be read nobody knows which file is its own: then nothing goes.
            let Some(component) = agent.component() else { return Ok(()) };
            keys.insert(release.key.clone());
            digests.insert(component.0.clone());
        }
        let (code, known) = (self.0.means.shelf.prune(&digests)?, self.0.means.known.prune(&keys)?);
        if code + known > 0 {
            tracing::info!(code, known, "files of agents that are no more are removed");
        }
        Ok(())
    }

    /// Makes those agents ready that are as an earlier start found them; answers with the others.
    async fn recall(&self) -> Vec<Arc<Agent>> {
        let agents = self.clone();
        // It reads a file of each.
        let looked = tokio::task::spawn_blocking(move || agents.look_up()).await;
        let (known, new) = looked.unwrap_or_else(|_| (Vec::new(), self.all().collect()));
        if !known.is_empty() {
            tracing::info!(agents = known.len(), "as an earlier start found them: each is loaded when it is called");
        }
        for (agent, offer) in &known {
            agent.stand(Standing::Ready(offer.clone()));
        }
        self.enroll_all(known.iter().map(|(agent, _)| agent)).await;
        new
    }

    /// Sorts out who is known. Agents that say the same of themselves share what they say.
    fn look_up(&self) -> (Vec<Recalled>, Vec<Arc<Agent>>) {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let mut shared: HashMap<[u8; 32], Arc<Offer>> = HashMap::new();
        for agent in self.all() {
            match agent.recall() {
                // It is loaded once it is here.
                None if agent.is_elsewhere() => {}
                Some(offer) => {
                    let said = Sha256::digest(format!("{offer:?}")).into();
                    let offer = shared.entry(said).or_insert_with(|| Arc::new(offer)).clone();
                    known.push((agent.clone(), offer));
                }
                None => new.push(agent.clone()),
            }
        }
        (known, new)
    }
}

/// Does all this, so many at a time. One that fails ends none of the others.
async fn few_at_once<F: Future<Output = ()> + Send + 'static>(max: usize, mut work: impl Iterator<Item = F>) {
    let mut begun = JoinSet::new();
    loop {
        while begun.len() < max
            && let Some(next) = work.next()
        {
            begun.spawn(next);
        }
        match begun.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "an agent could not be loaded"),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test]
    async fn few_agents_are_loaded_at_once_and_all_in_the_end() {
        let [at_once, most, done] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let work = (0..3 * LOADING_MAX).map(|number| {
            let (at_once, most, done) = (at_once.clone(), most.clone(), done.clone());
            async move {
                most.fetch_max(at_once.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::task::yield_now().await;
                at_once.fetch_sub(1, SeqCst);
                assert!(number > 0, "one fails");
                done.fetch_add(1, SeqCst);
            }
        });
        few_at_once(LOADING_MAX, work).await;
        assert_eq!((most.load(SeqCst), done.load(SeqCst)), (LOADING_MAX, 3 * LOADING_MAX - 1));
    }
}
