//! A new version has to answer somebody before it counts as good.
//!
//! While it never has, enough failures in a row to put it to rest (see `quarantine`) are not only its own trouble: whoever
//! published it may have broken what worked, so whoever looks after versions hears of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// A new version that has failed whoever called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Troubled {
    pub agent: Arc<str>,
    pub version: Arc<str>,
    /// The limit that the last call ended at.
    pub limit: &'static str,
}

/// Whether a version is new, and who hears if it fails.
#[derive(Debug, Default)]
pub(super) struct Probation {
    /// Looked at by every call; the rest only by those of a new version.
    on: AtomicBool,
    hears: Mutex<Option<mpsc::Sender<Troubled>>>,
}

impl Probation {
    /// From now on it is new.
    pub fn begin(&self, hears: mpsc::Sender<Troubled>) {
        *self.hears.lock().unwrap_or_else(PoisonError::into_inner) = Some(hears);
        self.on.store(true, Ordering::Release);
    }

    /// It has answered somebody.
    pub fn pass(&self) {
        if self.on.load(Ordering::Relaxed) {
            self.end();
        }
    }

    /// It has failed too often.
    pub fn fail(&self, troubled: Troubled) {
        let Some(hears) = self.end() else { return };
        if let Err(error) = hears.try_send(troubled) {
            tracing::error!(%error, "a new version fails, and nobody can be told");
        }
    }

    fn end(&self) -> Option<mpsc::Sender<Troubled>> {
        self.on.store(false, Ordering::Relaxed);
        self.hears.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
