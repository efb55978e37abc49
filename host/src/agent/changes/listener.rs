//! One who listens: what it wants to hear of, and what it has not been told yet.

use std::collections::{BTreeSet, HashMap};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Books, Changes, Interested, Marks, Polled, TOPIC_BYTES, Topic, Unwatched, Watched, digest};

/// One who listens. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct Listener {
    changes: Changes,
    id: u64,
}

impl Listener {
    pub(super) fn new(changes: Changes, id: u64) -> Self {
        Self { changes, id }
    }

    /// What has changed since the last time; `None` once it is over. One task at a time is woken: the one that asked last.
    pub fn poll_marks(&self, cx: &mut Context<'_>) -> Poll<Option<Marks>> {
        let mut books = self.changes.lock();
        let marks = books.take(self.id);
        if !marks.kinds.is_empty() || !marks.resources.is_empty() {
            return Poll::Ready(Some(marks));
        }
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
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

    /// Wants to hear of something of the host's own too.
    ///
    /// # Errors
    ///
    /// When it has as many topics as it may, or nobody pays for one more.
    pub fn watch_of_host(&self, uri: &str, topics_max: usize) -> Result<(), Unwatched> {
        self.watch(Topic::of_host(uri), topics_max, None, None)
    }

    /// Wants to hear of a resource too. `version` is what it is now, `every` how often to look.
    pub(in crate::agent) fn watch(
        &self,
        topic: Topic,
        topics_max: usize,
        version: Option<&str>,
        every: Option<Duration>,
    ) -> Result<(), Unwatched> {
        let mut books = self.changes.lock();
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
        if entry.topics.iter().any(|known| known.topic == topic) {
            return Ok(());
        }
        if entry.topics.len() >= topics_max {
            return Err(Unwatched::TooMany);
        }
        let paid = entry.charge.account().charge(TOPIC_BYTES + 2 * topic.uri.len() as u64);
        entry.charge.merge(paid.map_err(Unwatched::Refused)?);
        let due = Instant::now() + every.unwrap_or_default();
        let Books { listeners, topics, schedule, .. } = &mut *books;
        let watched = topics.entry(topic.clone()).or_insert_with(|| {
            let poll = every.map(|every| Polled { every, due, seen: version.map(digest) });
            if poll.is_some() {
                schedule.insert((due, topic.clone()));
                self.changes.0.polled.notify_one();
            }
            Watched { listeners: BTreeSet::new(), dirty: false, changes: 0, poll }
        });
        watched.listeners.insert(self.id);
        let changes = watched.changes + u64::from(watched.dirty);
        let entry = listeners.get_mut(&self.id).expect("it was there a moment ago");
        entry.topics.push(Interested { topic, changes });
        Ok(())
    }

    /// Wants to hear of a resource no more; false when it never did.
    pub fn unwatch(&self, topic: &Topic) -> bool {
        let mut books = self.changes.lock();
        let entry = books.listeners.get_mut(&self.id).expect("an entry lives as long as its listener");
        let Some(at) = entry.topics.iter().position(|known| known.topic == *topic) else { return false };
        entry.topics.swap_remove(at);
        entry.charge.shrink(TOPIC_BYTES + 2 * topic.uri.len() as u64);
        books.forget(self.id, topic);
        true
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut books = self.changes.lock();
        let Some(entry) = books.listeners.remove(&self.id) else { return };
        for Interested { topic, .. } in &entry.topics {
            books.forget(self.id, topic);
        }
        if books.listeners.is_empty() {
            books.listeners = HashMap::new();
        }
        drop(books);
    }
}
