//! Who wants to hear of changes, and what has changed since they heard last.
//!
//! Owns the way from a guest's `host.changed`, from an agent that comes or goes, and from the poller, to whoever listens.
//! A change is a flag that is set, never a message that waits: a listener that is slow, or gone for a while, finds each flag
//! set once. Guests only set flags here; listeners are woken by [`Changes::run`], a few times a second at most, however often
//! a guest announces. A resource that nobody listens for is not kept at all.

mod listener;
mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stockade_ledger::{Account, Charge, Refusal};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use listener::Listener;
pub use names::{Interest, Kinds, Marks, Topic};

/// Changes are gathered for so long before listeners are told.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Bytes a listener takes, and a subscribed resource besides the bytes of its URI, which stand in two places.
const LISTENER_BYTES: u64 = 512;
const TOPIC_BYTES: u64 = 640;

/// The books of all listeners. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    books: Mutex<Books>,
    /// Rings when a flag was set.
    bell: Notify,
    /// Rings when there is something new to poll.
    polled: Notify,
}

#[derive(Debug, Default)]
struct Books {
    listeners: HashMap<u64, Entry>,
    next_listener: u64,
    topics: HashMap<Topic, Watched>,
    /// What is to be polled, the next first.
    schedule: BTreeSet<(Instant, Topic)>,
    /// Flags that listeners were not told of yet.
    lists: BTreeMap<Arc<str>, Kinds>,
    resources: Vec<Topic>,
    /// How often anything of an agent has changed.
    generations: HashMap<Arc<str>, u64>,
    closed: bool,
}

/// Why a resource cannot be listened for.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwatched {
    /// The listener has as many as it may have.
    TooMany,
    Refused(Refusal),
}

#[derive(Debug)]
struct Watched {
    listeners: BTreeSet<u64>,
    dirty: bool,
    /// How often it has changed; a listener compares.
    changes: u64,
    poll: Option<Polled>,
}

#[derive(Debug)]
struct Polled {
    every: Duration,
    due: Instant,
    /// Of the version that was seen last. A digest: a guest chooses the version, and its length.
    seen: Option<Digest>,
}

type Digest = [u8; 32];

/// A resource that a listener has named, and how often it had changed when the listener was told last.
#[derive(Debug)]
struct Interested {
    topic: Topic,
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    interest: Interest,
    marks: Kinds,
    topics: Vec<Interested>,
    charge: Charge,
    waker: Option<Waker>,
    closed: bool,
}

impl Changes {
    /// Somebody who wants to hear of these lists, and of resources to be named later; `account` pays.
    ///
    /// # Errors
    ///
    /// When the account does not lend what a listener takes.
    pub fn listen(&self, interest: Interest, account: &Account) -> Result<Listener, Refusal> {
        let charge = account.charge(LISTENER_BYTES)?;
        let mut books = self.lock();
        // What has changed before is no news to who comes now.
        books.tell();
        let id = books.next_listener;
        books.next_listener += 1;
        let closed = books.closed;
        let entry = Entry { interest, marks: Kinds::default(), topics: Vec::new(), charge, waker: None, closed };
        books.listeners.insert(id, entry);
        drop(books);
        Ok(Listener::new(self.clone(), id))
    }

    /// Sets the flag of an agent's lists.
    pub fn lists_changed(&self, agent: &Arc<str>, kinds: Kinds) {
        let mut books = self.lock();
        books.turn(agent);
        let flags = books.lists.entry(agent.clone()).or_default();
        if flags.and(kinds) != kinds {
            *flags = flags.with(kinds);
            self.0.bell.notify_one();
        }
    }

    /// Sets the flag of a resource, if anybody listens for it.
    pub fn resource_changed(&self, agent: &Arc<str>, uri: &str) {
        let topic = Topic { agent: agent.clone(), uri: uri.into() };
        let mut books = self.lock();
        books.turn(agent);
        if books.mark(&topic) {
            self.0.bell.notify_one();
        }
    }

    /// Sets the flag of a resource of the host's own; of its list too, if the resource has come or gone.
    pub(super) fn of_host(&self, uri: &str, turned: bool) {
        let topic = Topic::of_host(uri);
        if turned {
            self.lists_changed(&topic.agent, Kinds::RESOURCES);
        }
        if self.lock().mark(&topic) {
            self.0.bell.notify_one();
        }
    }

    /// How often anything of an agent has changed: what was fetched at another number is not what it would answer now.
    pub fn generation(&self, agent: &str) -> u64 {
        self.lock().generations.get(agent).copied().unwrap_or_default()
    }

    /// Tells listeners what has changed, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            self.0.bell.notified().await;
            tokio::time::sleep(DEBOUNCE).await;
            self.lock().tell();
        }
    }

    /// Ends all listeners, present and future: they hear what is left, then that it is over.
    pub fn close(&self) {
        let mut books = self.lock();
        books.closed = true;
        for entry in books.listeners.values_mut() {
            entry.closed = true;
            entry.wake();
        }
    }

    /// Listeners there are.
    pub fn listeners(&self) -> usize {
        self.lock().listeners.len()
    }

    /// The topic to be polled next, and when.
    pub(super) fn next_due(&self) -> Option<(Topic, Instant)> {
        self.lock().schedule.first().map(|(due, topic)| (topic.clone(), *due))
    }

    /// Polls all topics of an agent that are due later than they were.
    pub(super) fn postpone(&self, agent: &Arc<str>, now: Instant, until: Instant) {
        let mut books = self.lock();
        let due = books.schedule.iter().take_while(|(due, _)| *due <= now);
        let late: Vec<Topic> = due.filter(|(_, topic)| topic.agent == *agent).map(|(_, topic)| topic.clone()).collect();
        for topic in late {
            books.schedule(&topic, until);
        }
    }

    /// Waits until there is something new to poll.
    pub(super) async fn something_to_poll(&self) {
        self.0.polled.notified().await;
    }

    /// Takes note of the version that a poll has found, or of a poll that found none.
    pub(super) fn seen(&self, topic: &Topic, version: Option<&str>) {
        let mut books = self.lock();
        let Some(poll) = books.topics.get_mut(topic).and_then(|watched| watched.poll.as_mut()) else { return };
        let (due, known) = (Instant::now() + poll.every, poll.seen);
        if let Some(version) = version {
            poll.seen = Some(digest(version));
        }
        let is_other = version.is_some_and(|version| known.is_some_and(|known| known != digest(version)));
        books.schedule(topic, due);
        if is_other {
            books.turn(&topic.agent);
        }
        if is_other && books.mark(topic) {
            self.0.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn turn(&mut self, agent: &Arc<str>) {
        *self.generations.entry(agent.clone()).or_default() += 1;
    }

    /// Sets a topic's flag; false when there is no such topic, or it was set already.
    fn mark(&mut self, topic: &Topic) -> bool {
        match self.topics.get_mut(topic) {
            Some(watched) if !watched.dirty => {
                watched.dirty = true;
                self.resources.push(topic.clone());
                true
            }
            _ => false,
        }
    }

    /// Hands all flags on to whoever listens for them.
    fn tell(&mut self) {
        for (agent, kinds) in std::mem::take(&mut self.lists) {
            for entry in self.listeners.values_mut().filter(|entry| entry.wants(&agent, kinds)) {
                entry.marks = entry.marks.with(entry.interest.kinds.and(kinds));
                entry.wake();
            }
        }
        for topic in std::mem::take(&mut self.resources) {
            let Some(watched) = self.topics.get_mut(&topic) else { continue };
            watched.dirty = false;
            watched.changes += 1;
            for id in &watched.listeners {
                if let Some(entry) = self.listeners.get_mut(id) {
                    entry.wake();
                }
            }
        }
    }

    /// What a listener has not been told yet.
    fn take(&mut self, id: u64) -> Marks {
        let entry = self.listeners.get_mut(&id).expect("an entry lives as long as its listener");
        let mut marks = Marks { kinds: std::mem::take(&mut entry.marks), resources: Vec::new() };
        for interested in &mut entry.topics {
            let changes = self.topics.get(&interested.topic).map_or(0, |watched| watched.changes);
            if changes > interested.changes {
                interested.changes = changes;
                marks.resources.push(interested.topic.clone());
            }
        }
        marks
    }

    /// Sets when a topic is polled next.
    fn schedule(&mut self, topic: &Topic, due: Instant) {
        let Some(poll) = self.topics.get_mut(topic).and_then(|watched| watched.poll.as_mut()) else { return };
        self.schedule.remove(&(poll.due, topic.clone()));
        poll.due = due;
        self.schedule.insert((due, topic.clone()));
    }

    /// Ends a listener's interest in a topic, and the topic with its last listener.
    fn forget(&mut self, id: u64, topic: &Topic) {
        let Some(watched) = self.topics.get_mut(topic) else { return };
        watched.listeners.remove(&id);
        if !watched.listeners.is_empty() {
            return;
        }
        if let Some(Watched { poll: Some(poll), .. }) = self.topics.remove(topic) {
            self.schedule.remove(&(poll.due, topic.clone()));
        }
        if self.topics.is_empty() {
            // Nothing remains of a crowd that is gone.
            self.topics = HashMap::new();
        }
    }
}

fn digest(version: &str) -> Digest {
    Sha256::digest(version).into()
}

impl Entry {
    fn wants(&self, agent: &Arc<str>, kinds: Kinds) -> bool {
        let Interest { kinds: wanted, agent: of } = &self.interest;
        wanted.has(kinds) && of.as_ref().is_none_or(|of| of == agent)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
