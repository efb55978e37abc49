//! What a guest says while it runs, for whoever follows the call.
//!
//! Owns the little that is kept of it: the latest progress, and a few log messages. Never waits and never grows beyond its
//! bounds: progress that nobody has taken yet is replaced by newer, and a message that finds no room is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use stockade_ledger::{Account, Charge};

use super::contract::Level;

/// Log messages of one call that are passed on, and bytes of each.
pub(super) const LOG_MESSAGES_MAX: u32 = 64;
pub(super) const TEXT_BYTES_MAX: usize = 4 << 10;

/// What the follower of a call wants to hear.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub progress: bool,
    /// Messages of this severity or a higher one; none at all without it.
    pub level: Option<Level>,
    /// Bytes of messages that may wait to be taken.
    pub bytes: u64,
}

/// The ear of whoever follows one call. A cheap handle.
#[derive(Debug, Clone)]
pub struct Feedback(Arc<Mutex<Heard>>);

#[derive(Debug)]
struct Heard {
    wanted: Wanted,
    progress: Option<Progress>,
    /// The highest `done` so far: only more is progress.
    highest: Option<f64>,
    messages: VecDeque<Message>,
    logged: u32,
    dropped: u32,
    /// Pays for the texts.
    account: Account,
    follower: Option<Waker>,
}

/// Something to tell the client.
#[derive(Debug)]
pub enum News {
    Progress(Progress),
    Message(Message),
}

/// How far a call has come.
#[derive(Debug)]
pub struct Progress {
    pub done: f64,
    pub total: Option<f64>,
    pub message: Option<String>,
    _charge: Charge,
}

/// A log message.
#[derive(Debug)]
pub struct Message {
    pub level: Level,
    pub text: String,
    _charge: Charge,
}

impl Feedback {
    pub fn new(wanted: Wanted, account: &Account) -> Self {
        let heard = Heard {
            wanted,
            progress: None,
            highest: None,
            messages: VecDeque::new(),
            logged: 0,
            dropped: 0,
            account: account.clone(),
            follower: None,
        };
        Self(Arc::new(Mutex::new(heard)))
    }

    pub(super) fn log(&self, level: Level, text: String) {
        let mut heard = self.lock();
        if heard.wanted.level.is_none_or(|least| severity(level) < severity(least)) {
            return;
        }
        heard.logged = heard.logged.saturating_add(1);
        let text = cut(text);
        let charge = if heard.logged <= LOG_MESSAGES_MAX { heard.pay(text.len()) } else { None };
        match charge {
            Some(charge) => heard.messages.push_back(Message { level, text, _charge: charge }),
            None => heard.dropped += 1,
        }
        heard.wake();
    }

    pub(super) fn progress(&self, done: f64, total: Option<f64>, message: Option<String>) {
        let mut heard = self.lock();
        let rises = done.is_finite() && heard.highest.is_none_or(|highest| done > highest);
        if !heard.wanted.progress || !rises {
            return;
        }
        // What it replaces gives its bytes back first.
        heard.progress = None;
        let message = message.map(cut);
        let paid = heard.pay(message.as_ref().map_or(0, String::len));
        let (message, charge) = match paid {
            Some(charge) => (message, charge),
            None => (None, heard.account.empty()),
        };
        let total = total.filter(|total| total.is_finite());
        heard.highest = Some(done);
        heard.progress = Some(Progress { done, total, message, _charge: charge });
        heard.wake();
    }

    /// The next thing to tell.
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<News> {
        let mut heard = self.lock();
        match heard.take() {
            Some(news) => Poll::Ready(news),
            None => {
                heard.follower = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// What is left to tell, if anything is.
    pub fn take(&self) -> Option<News> {
        self.lock().take()
    }

    /// Messages so far that found no room.
    pub fn dropped(&self) -> u32 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Messages come before progress: they were said before the latest of it.
    fn take(&mut self) -> Option<News> {
        if let Some(message) = self.messages.pop_front() {
            return Some(News::Message(message));
        }
        self.progress.take().map(News::Progress)
    }

    /// Charges a text, if it may wait and there is room for it.
    fn pay(&self, bytes: usize) -> Option<Charge> {
        let waiting: usize = self.messages.iter().map(|message| message.text.len()).sum();
        if (waiting + bytes) as u64 > self.wanted.bytes {
            return None;
        }
        self.account.charge(bytes as u64).ok()
    }

    fn wake(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.wake();
        }
    }
}

/// Rises with the severity (RFC 5424 counts the other way round).
pub fn severity(level: Level) -> u8 {
    level as u8
}

/// Into a text of its own: the old one's allocation may be as large as all that was copied.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests;
