//! A future that wakes itself while it is polled, polled again at once.
//!
//! hyper's connection does so at every request with a body: the two ends of the body are one task, and each tells the other
//! that it is wanted. A runtime takes that for more work than it has workers awake: it puts the task behind all others and
//! wakes a worker, which costs more than the request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

const IDLE: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

/// Polls one future, as often as it asks for.
#[derive(Debug)]
pub struct Again {
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Debug)]
struct Wakes {
    /// Bits: being polled, woken since then.
    state: AtomicU8,
    task: AtomicWaker,
}

impl Again {
    pub fn new() -> Self {
        let wakes = Arc::new(Wakes { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        Self { waker: wakes.clone().into(), wakes }
    }

    /// Polls `future`, and once more for each time that it woke itself meanwhile: `polls_max` times at most, before others
    /// have their turn.
    pub fn poll<F: Future>(&self, mut future: Pin<&mut F>, polls_max: u32, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.wakes.task.register(cx.waker());
        for _ in 0..polls_max {
            self.wakes.state.store(POLLED, Ordering::Release);
            let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker));
            let state = self.wakes.state.swap(IDLE, Ordering::AcqRel);
            if polled.is_ready() || state & WOKEN == 0 {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Who polls looks for it himself.
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) & POLLED == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests;
