//! Resources that somebody subscribed to: may they be, what are they now, and have those changed that are looked at.
//!
//! An agent that cannot say when a resource changes says how often to look (`poll-ms` in its description). Then the poller
//! reads the first byte and compares versions: one look at a time for the whole host, through the same door as every call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::changes::{Listener, Topic, Unwatched};
use super::contract::Changes as Announced;
use super::roster::Agents;
use super::{Agent, Caller, Failure};

/// The shortest time between two looks at one resource, whatever its agent asks for.
const POLL_MIN: Duration = Duration::from_secs(1);

/// Pause between two looks of the host at any resources.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest look; what takes longer has not been seen.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// An agent's next turn comes after so many times what its last look took.
const TURN_SHARE: u32 = 4;

/// Why a resource cannot be subscribed to.
#[derive(Debug)]
pub enum WatchError {
    /// The agent neither announces changes of resources nor asks to be polled.
    NotServed,
    /// It cannot be read.
    Failed(Failure),
    Unwatched(Unwatched),
}

impl Agent {
    /// Whether changes of its resources can be subscribed to.
    pub fn is_watchable(&self) -> bool {
        self.offer().is_ok_and(|offer| {
            let description = &offer.description;
            offer.resources && (description.changes.contains(Announced::RESOURCE) || description.poll_ms.is_some())
        })
    }

    /// Subscribes `listener` to a resource that `by` can read. What it is now is looked up first, so that no change after
    /// the subscription is missed.
    ///
    /// # Errors
    ///
    /// See [`WatchError`].
    pub async fn watch(
        self: &Arc<Self>,
        listener: &Listener,
        by: &Arc<Caller>,
        uri: &str,
        topics_max: usize,
    ) -> Result<(), WatchError> {
        let offer = self.offer().map_err(WatchError::Failed)?;
        if !self.is_watchable() {
            return Err(WatchError::NotServed);
        }
        let version = match self.look(by, uri).await {
            Ok(chunk) => chunk.and_then(|chunk| chunk.value.head).and_then(|head| head.version),
            // It is there, for whoever has the answers.
            Err(Failure::Asks(_)) => None,
            Err(failure) => return Err(WatchError::Failed(failure)),
        };
        let every = offer.description.poll_ms.map(|ms| Duration::from_millis(ms.into()).max(POLL_MIN));
        listener.watch(self.topic(uri), topics_max, version.as_deref(), every).map_err(WatchError::Unwatched)
    }

    /// A resource of this agent, as subscriptions name it.
    pub fn topic(&self, uri: &str) -> Topic {
        Topic { agent: self.home.name.clone(), uri: uri.into() }
    }
}

impl Agents {
    /// Looks at the resources that are due, one after the other, for as long as it is polled. An agent that takes its time
    /// waits the longer for its next turn, so that it cannot keep the others from theirs.
    pub async fn poll(&self) {
        let by = Arc::new(Caller::new("host".into(), super::admit::OWN_REVISION));
        let mut turns: HashMap<Arc<str>, Instant> = HashMap::new();
        loop {
            // Before it asks what is due: what is new must not put off what was due before.
            tokio::time::sleep(PAUSE).await;
            let Some((topic, due)) = self.changes().next_due() else {
                self.changes().something_to_poll().await;
                continue;
            };
            if due > Instant::now() {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.changes().something_to_poll() => {}
                }
                continue;
            }
            let began = Instant::now();
            if let Some(turn) = turns.get(&topic.agent).filter(|turn| **turn > began) {
                self.changes().postpone(&topic.agent, began, *turn);
                continue;
            }
            let found = match self.get(&topic.agent) {
                Some(agent) => tokio::time::timeout(LOOK_MAX, agent.look(&by, &topic.uri)).await.ok(),
                None => None,
            };
            // A failure is no change: the resource may be there again next time.
            let chunk = found.and_then(Result::ok).flatten();
            let head = chunk.as_ref().and_then(|chunk| chunk.value.head.as_ref());
            self.changes().seen(&topic, head.and_then(|head| head.version.as_deref()));
            turns.insert(topic.agent, Instant::now() + began.elapsed() * TURN_SHARE);
        }
    }
}
