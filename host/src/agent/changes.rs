//! Who wants to hear of changes, and what has changed since they heard last.
//!
//! Owns the way from a guest's `host.changed`, from an agent that comes or goes, and from the poller, to whoever listens.
//! A change is a flag that is set, never a message that waits: a listener that is slow, or gone for a while, finds each flag
//! set once. Guests only set flags here; listeners are woken by [`Changes::run`], a few times a second at most, so that a
//! guest that announces without end costs nobody else anything. What nobody listens for is not kept at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stockade_ledger::{Account, Charge, Refusal};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Changes are gathered for so long before listeners are told.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Bytes a listener takes, and a subscribed resource besides the bytes of its URI, which stand in two places.
const LISTENER_BYTES: u64 = 512;
const TOPIC_BYTES: u64 = 384;

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
    /// Flags that listeners were not told of yet.
    lists: BTreeMap<Arc<str>, Kinds>,
    resources: Vec<Topic>,
    closed: bool,
}

/// A resource somebody wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    pub agent: Arc<str>,
    /// As the agent knows it.
    pub uri: Arc<str>,
}

/// Which lists have changed, or are listened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u8);

/// What a listener wants of lists.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    pub kinds: Kinds,
    /// Of this agent; of all without one.
    pub agent: Option<Arc<str>>,
}

/// What has changed since a listener was told last.
#[derive(Debug, Default)]
pub struct Marks {
    pub kinds: Kinds,
    pub resources: Vec<Topic>,
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
    listeners: Vec<u64>,
    dirty: bool,
    /// As it was seen last; for agents that are polled.
    version: Option<Box<str>>,
    poll: Option<Polled>,
}

#[derive(Debug)]
struct Polled {
    every: Duration,
    due: Instant,
}

#[derive(Debug)]
struct Entry {
    interest: Interest,
    marks: Kinds,
    /// With a flag each.
    topics: Vec<(Topic, bool)>,
    charge: Charge,
    waker: Option<Waker>,
    closed: bool,
}

/// One who listens. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct Listener {
    changes: Changes,
    id: u64,
}

impl Kinds {
    pub const TOOLS: Self = Self(1);
    pub const PROMPTS: Self = Self(2);
    pub const RESOURCES: Self = Self(4);
    pub const ALL: Self = Self(7);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
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
        let id = books.next_listener;
        books.next_listener += 1;
        let closed = books.closed;
        let entry = Entry { interest, marks: Kinds::default(), topics: Vec::new(), charge, waker: None, closed };
        books.listeners.insert(id, entry);
        drop(books);
        Ok(Listener { changes: self.clone(), id })
    }

    /// Sets the flag of an agent's lists.
    pub fn lists_changed(&self, agent: &Arc<str>, kinds: Kinds) {
        let mut books = self.lock();
        let is_set = books.lists.get(agent).is_some_and(|flags| flags.and(kinds) == kinds);
        if !is_set && books.listeners.values().any(|entry| entry.wants(agent, kinds)) {
            let flags = books.lists.entry(agent.clone()).or_default();
            *flags = flags.with(kinds);
            self.0.bell.notify_one();
        }
    }

    /// Sets the flag of a resource, if anybody listens for it.
    pub fn resource_changed(&self, agent: &Arc<str>, uri: &str) {
        let topic = Topic { agent: agent.clone(), uri: uri.into() };
        if self.lock().mark(&topic) {
            self.0.bell.notify_one();
        }
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
        let books = self.lock();
        let due = books.topics.iter().filter_map(|(topic, watched)| Some((topic, watched.poll.as_ref()?.due)));
        due.min_by_key(|(_, due)| *due).map(|(topic, due)| (topic.clone(), due))
    }

    /// Waits until there is something new to poll.
    pub(super) async fn something_to_poll(&self) {
        self.0.polled.notified().await;
    }

    /// Takes note of the version that a poll has found, or of a poll that found none.
    pub(super) fn seen(&self, topic: &Topic, version: Option<&str>) {
        let mut books = self.lock();
        let Some(watched) = books.topics.get_mut(topic) else { return };
        if let Some(poll) = &mut watched.poll {
            poll.due = Instant::now() + poll.every;
        }
        let Some(version) = version else { return };
        let known = watched.version.replace(version.into());
        if known.is_some_and(|known| &*known != version) && books.mark(topic) {
            self.0.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
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
            for id in &watched.listeners {
                let Some(entry) = self.listeners.get_mut(id) else { continue };
                for (_, flag) in entry.topics.iter_mut().filter(|(known, _)| *known == topic) {
                    *flag = true;
                }
                entry.wake();
            }
        }
    }

    /// Ends a listener's interest in a topic, and the topic with its last listener.
    fn forget(&mut self, id: u64, topic: &Topic) {
        if let Some(watched) = self.topics.get_mut(topic) {
            watched.listeners.retain(|listener| *listener != id);
            if watched.listeners.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
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

    fn take(&mut self) -> Marks {
        let mut marks = Marks { kinds: std::mem::take(&mut self.marks), resources: Vec::new() };
        for (topic, flag) in self.topics.iter_mut().filter(|(_, flag)| *flag) {
            *flag = false;
            marks.resources.push(topic.clone());
        }
        marks
    }
}

impl Listener {
    /// What has changed since the last time; `None` once it is over.
    pub fn poll_marks(&self, cx: &mut Context<'_>) -> Poll<Option<Marks>> {
        let mut books = self.changes.lock();
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
        let marks = entry.take();
        if !marks.kinds.is_empty() || !marks.resources.is_empty() {
            return Poll::Ready(Some(marks));
        }
        if entry.closed {
            return Poll::Ready(None);
        }
        entry.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// From now on it is over for this listener.
    pub fn close(&self) {
        let mut books = self.changes.lock();
        if let Some(entry) = books.listeners.get_mut(&self.id) {
            entry.closed = true;
            entry.wake();
        }
    }

    /// Wants to hear of a resource too. `version` is what it is now, `every` how often to look.
    pub(super) fn watch(
        &self,
        topic: Topic,
        topics_max: usize,
        version: Option<&str>,
        every: Option<Duration>,
    ) -> Result<(), Unwatched> {
        let mut books = self.changes.lock();
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
        if entry.topics.iter().any(|(known, _)| *known == topic) {
            return Ok(());
        }
        if entry.topics.len() >= topics_max {
            return Err(Unwatched::TooMany);
        }
        let paid = entry.charge.account().charge(TOPIC_BYTES + 2 * topic.uri.len() as u64);
        entry.charge.merge(paid.map_err(Unwatched::Refused)?);
        entry.topics.push((topic.clone(), false));
        let watched = books.topics.entry(topic).or_insert_with(|| Watched {
            listeners: Vec::new(),
            dirty: false,
            version: version.map(Into::into),
            poll: every.map(|every| Polled { every, due: Instant::now() + every }),
        });
        watched.listeners.push(self.id);
        if watched.poll.is_some() {
            self.changes.0.polled.notify_one();
        }
        Ok(())
    }

    /// Wants to hear of a resource no more; false when it never did.
    pub fn unwatch(&self, topic: &Topic) -> bool {
        let mut books = self.changes.lock();
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
        let Some(at) = entry.topics.iter().position(|(known, _)| known == topic) else { return false };
        entry.topics.swap_remove(at);
        entry.charge.shrink(TOPIC_BYTES + 2 * topic.uri.len() as u64);
        books.forget(self.id, topic);
        true
    }

    /// Resources it listens for.
    pub fn topics(&self) -> usize {
        self.changes.lock().listeners.get(&self.id).map_or(0, |entry| entry.topics.len())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut books = self.changes.lock();
        let Some(entry) = books.listeners.remove(&self.id) else { return };
        for (topic, _) in &entry.topics {
            books.forget(self.id, topic);
        }
        drop(books);
    }
}

#[cfg(test)]
mod tests;
