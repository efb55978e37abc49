//! What waits to be sent to one client of the document.
//!
//! Bounded in bytes. A client that is too slow for it misses frames; it is told what it missed in one update later, made of
//! what it had before the first of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use stockade_gate::StateVector;
use stockade_ledger::Charge;
use tokio::sync::Notify;

/// Bytes that wait for one client, besides the one frame that is being sent.
pub const QUEUE_BYTES_MAX: usize = 256 << 10;

/// A frame, shared by all who are to get it.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Pays for the bytes until the last one has them.
    pub charge: Charge,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    Frame(Arc<Frame>),
    /// Frames were missed: all that has happened since somebody had this much.
    Missed(StateVector),
    /// It is over, for this reason.
    Over(Ending),
}

/// Why the host ends a connection of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The document has begun anew.
    Epoch,
    /// The host has lost track of what its clients know.
    Again,
    /// The host stops.
    Stop,
}

/// The queue of one client.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    missed: Option<StateVector>,
    over: Option<Ending>,
}

impl Outbox {
    /// Waits for what comes next.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.lock().take() {
                return next;
            }
            // A notice that comes in between is kept.
            self.filled.notified().await;
        }
    }

    /// Puts a frame at the end. `before` says what clients have that do not get it.
    pub fn push(&self, frame: &Arc<Frame>, before: impl FnOnce() -> StateVector) {
        let mut queue = self.lock();
        if queue.missed.is_some() || queue.over.is_some() {
            return;
        }
        if queue.bytes + frame.bytes.len() > QUEUE_BYTES_MAX && !queue.frames.is_empty() {
            queue.missed = Some(before());
        } else {
            queue.bytes += frame.bytes.len();
            queue.frames.push_back(frame.clone());
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Puts a frame at the end if there is room; it is not worth being told later.
    pub fn offer(&self, frame: &Arc<Frame>) {
        let mut queue = self.lock();
        let fits = queue.bytes + frame.bytes.len() <= QUEUE_BYTES_MAX;
        if !fits || queue.missed.is_some() || queue.over.is_some() {
            return;
        }
        queue.bytes += frame.bytes.len();
        queue.frames.push_back(frame.clone());
        drop(queue);
        self.filled.notify_one();
    }

    /// Lets the client know later: there is no memory for the frame now.
    pub fn miss(&self, before: impl FnOnce() -> StateVector) {
        self.lock().missed.get_or_insert_with(before);
        self.filled.notify_one();
    }

    /// Puts back what was taken as missed: it has all that was missed since, too.
    pub fn put_back(&self, missed: StateVector) {
        self.lock().missed = Some(missed);
        self.filled.notify_one();
    }

    pub fn end(&self, why: Ending) {
        self.lock().over.get_or_insert(why);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn take(&mut self) -> Option<Next> {
        if let Some(why) = self.over {
            return Some(Next::Over(why));
        }
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.bytes.len();
            return Some(Next::Frame(frame));
        }
        self.missed.take().map(Next::Missed)
    }
}

/// All clients of the document.
#[derive(Debug, Default)]
pub struct Audience(Mutex<Vec<Weak<Outbox>>>);

impl Audience {
    /// A queue for one more, who has a place.
    pub fn join(&self) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::default());
        let mut outboxes = self.lock();
        outboxes.retain(|outbox| outbox.strong_count() > 0);
        outboxes.push(Arc::downgrade(&outbox));
        outbox
    }

    pub fn each(&self, tell: impl Fn(&Outbox)) {
        self.lock().iter().filter_map(Weak::upgrade).for_each(|outbox| tell(&outbox));
    }

    pub fn count(&self) -> usize {
        self.lock().iter().filter(|outbox| outbox.strong_count() > 0).count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Outbox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
