//! A new version has to answer somebody before it counts as good.
//!
//! What it says of itself and its lists are no answers: a version that does that much and fails whoever calls it is no better
//! than none. So many failures before the first answer, seen by more than one caller where there is more than one, and whoever
//! looks after versions hears of it. Failures that a client or a full host causes never count (see `quarantine`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::Agent;
use super::failure::LimitName;
use super::quarantine::{FAILURES_MAX, PRINCIPALS_MIN, counts};

/// Functions by which somebody is answered.
const ANSWERS: [&str; 4] = ["tools.call", "resources.read", "prompts.get", "completion.complete"];

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
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    hears: Option<mpsc::Sender<Troubled>>,
    failures: u32,
    seen_by: BTreeSet<Arc<str>>,
}

impl Probation {
    /// From now on it is new.
    pub fn begin(&self, hears: mpsc::Sender<Troubled>) {
        *self.lock() = Record { hears: Some(hears), ..Record::default() };
        self.on.store(true, Ordering::Release);
    }

    /// A call of this function of the contract ended well.
    pub fn pass(&self, function: &str) {
        if self.on.load(Ordering::Relaxed) && ANSWERS.contains(&function) {
            self.on.store(false, Ordering::Relaxed);
            *self.lock() = Record::default();
        }
    }

    /// A call ended at a limit; `principals` is how many callers the host can tell apart.
    pub fn fail(&self, limit: LimitName, by: &Arc<str>, principals: usize, troubled: impl FnOnce() -> Troubled) {
        if !self.on.load(Ordering::Relaxed) || !counts(limit) {
            return;
        }
        let mut record = self.lock();
        record.failures += 1;
        if record.seen_by.len() < PRINCIPALS_MIN {
            record.seen_by.insert(by.clone());
        }
        if record.failures < FAILURES_MAX || record.seen_by.len() < PRINCIPALS_MIN.min(principals) {
            return;
        }
        self.on.store(false, Ordering::Relaxed);
        let Some(hears) = std::mem::take(&mut *record).hears else { return };
        if let Err(error) = hears.try_send(troubled()) {
            tracing::error!(%error, "a new version fails, and nobody can be told");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// A call ended at a limit: does that end its probation?
    pub(super) fn failed_anew(&self, limit: LimitName, by: &Arc<str>) {
        let (agent, version) = (self.home.name.clone(), self.version());
        let troubled = || Troubled { agent, version, limit: limit.as_str() };
        self.probation.fail(limit, by, self.home.means.principals, troubled);
    }
}

#[cfg(test)]
mod tests;
