//! One thing at a time, handed from whoever makes it to whoever takes it.
//!
//! A queue of length one, without a task or a channel behind it, so that a thousand idle streams cost next to nothing. The
//! giver can take back what nobody has taken: what was made for a client that stalls need not be kept for it. Either side
//! may be dropped at any time, and the other one notices. Each side belongs to one task; only for the end of the taker a second
//! one may wait.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The side that makes things. The last clone dropped ends the handover.
#[derive(Debug)]
pub struct Giver<T>(Arc<Shared<T>>);

/// The side that takes them.
#[derive(Debug)]
pub struct Taker<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    item: Option<T>,
    givers: usize,
    taker_gone: bool,
    /// The taker has asked since the last item, and found nothing.
    wanted: bool,
    giver: Option<Waker>,
    taker: Option<Waker>,
    /// Who waits for nothing but the end of the taker, perhaps from another task than the giver's.
    end: Option<Waker>,
}

/// Both sides of a new handover.
pub fn pair<T>() -> (Giver<T>, Taker<T>) {
    let state = State { item: None, givers: 1, taker_gone: false, wanted: false, giver: None, taker: None, end: None };
    let shared = Arc::new(Shared(Mutex::new(state)));
    (Giver(shared.clone()), Taker(shared))
}

impl<T> Giver<T> {
    /// Ready when there is room for an item; false when nobody will ever take one.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.poll(cx, |state| state.item.is_none())
    }

    /// Puts an item where the taker finds it. Call it when there is room.
    ///
    /// # Panics
    ///
    /// When there is none: an item would be lost.
    pub fn put(&self, item: T) {
        let mut state = self.0.lock();
        assert!(state.item.is_none(), "an item that nobody has taken would be lost");
        if state.taker_gone {
            return;
        }
        state.item = Some(item);
        state.wanted = false;
        let taker = state.taker.take();
        // Whoever it wakes runs at once, on another core, and wants the lock.
        drop(state);
        wake(taker);
    }

    /// Waits for room, then puts `item` there; false when nobody will ever take it.
    pub async fn give(&self, item: T) -> bool {
        let there = poll_fn(|cx| self.poll_room(cx)).await;
        if there {
            self.put(item);
        }
        there
    }

    /// Waits until what was given is taken; false when nobody will ever take it.
    pub async fn taken(&self) -> bool {
        poll_fn(|cx| self.poll_room(cx)).await
    }

    /// Waits until the taker asks for more than there is; false when it is gone.
    pub async fn wanted(&self) -> bool {
        poll_fn(|cx| self.poll(cx, |state| state.wanted)).await
    }

    /// Waits until the taker is gone.
    pub async fn gone(&self) {
        let gone = poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.taker_gone {
                return Poll::Ready(());
            }
            remember(&mut state.end, cx);
            Poll::Pending
        });
        gone.await;
    }

    /// What was given and not yet taken.
    pub fn take_back(&self) -> Option<T> {
        self.0.lock().item.take()
    }

    fn poll(&self, cx: &mut Context<'_>, so: impl Fn(&State<T>) -> bool) -> Poll<bool> {
        let mut state = self.0.lock();
        if state.taker_gone {
            return Poll::Ready(false);
        }
        if so(&state) {
            return Poll::Ready(true);
        }
        remember(&mut state.giver, cx);
        Poll::Pending
    }
}

impl<T> Taker<T> {
    /// The next item; `None` when there is none and never will be.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if let Some(item) = state.item.take() {
            let giver = state.giver.take();
            drop(state);
            wake(giver);
            return Poll::Ready(Some(item));
        }
        if state.givers == 0 {
            return Poll::Ready(None);
        }
        remember(&mut state.taker, cx);
        if !state.wanted {
            state.wanted = true;
            wake(state.giver.take());
        }
        Poll::Pending
    }

    /// The next item; `None` when there is none and never will be.
    pub async fn take(&self) -> Option<T> {
        poll_fn(|cx| self.poll_take(cx)).await
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Clone for Giver<T> {
    fn clone(&self) -> Self {
        self.0.lock().givers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.givers -= 1;
        if state.givers == 0 {
            wake(state.taker.take());
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let item = {
            let mut state = self.0.lock();
            state.taker_gone = true;
            wake(state.giver.take());
            wake(state.end.take());
            state.item.take()
        };
        // Outside the lock: its charge takes a lock of its own.
        drop(item);
    }
}

#[cfg(test)]
mod tests;
