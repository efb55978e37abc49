//! What nobody uses any more is removed, on a schedule: uploads that nobody continues, blobs that no manifest names.
//!
//! A blob that no manifest of its repository names leaves the repository after `grace`; a blob that is in no repository leaves
//! the disk after the same time once more.

use std::time::Duration;

use super::digest::Digest;
use super::error::Error;
use super::index::now;
use super::{Inner, Publishing};

/// Time between two looks, and the shortest: a tenth of what anything is kept.
const LOOK_MAX: Duration = Duration::from_secs(60);
const LOOK_MIN: Duration = Duration::from_millis(100);

/// Links, or blobs, that one transaction removes.
const REMOVED_MAX: usize = 256;

impl Publishing {
    /// Removes what is due, for as long as it is polled.
    pub async fn tend(&self) {
        self.sweep_with(|inner| inner.remove_strays()).await;
        let kept = self.0.limits.grace.min(self.0.limits.idle);
        let mut ticks = tokio::time::interval((kept / 10).clamp(LOOK_MIN, LOOK_MAX));
        loop {
            ticks.tick().await;
            let idle = self.0.uploads.remove_idle();
            if !idle.is_empty() {
                tracing::info!(uploads = idle.len(), "uploads that nobody continues are removed");
                self.let_go(idle);
            }
            self.remove_retired().await;
            self.sweep_with(|inner| inner.sweep(now())).await;
        }
    }

    async fn sweep_with(&self, sweep: impl FnOnce(&Inner) -> Result<usize, Error> + Send + 'static) {
        match self.on_disk(sweep).await {
            Ok(0) => {}
            Ok(blobs) => tracing::info!(blobs, "blobs that nobody uses are removed"),
            Err(error) => tracing::warn!(?error, "blobs that nobody uses cannot be removed"),
        }
    }
}

impl Inner {
    /// Removes what has been unused for too long, as of `now`; how many blobs went.
    pub(super) fn sweep(&self, now: u64) -> Result<usize, Error> {
        let grace = u64::try_from(self.limits.grace.as_millis()).unwrap_or(u64::MAX);
        let before = now.saturating_sub(grace);
        // Most of the time nothing is due, and then nothing is written.
        if !self.index.read(|view| view.has_unused(before))? {
            return Ok(0);
        }
        loop {
            let removed = self.index.change(|changes| {
                let due = changes.idle_links(before, REMOVED_MAX)?;
                due.iter().try_for_each(|(repository, digest)| changes.unlink(repository, digest))?;
                Ok(due.len())
            })?;
            if removed < REMOVED_MAX {
                break;
            }
        }
        let mut removed = 0;
        loop {
            let remove = |digest: &Digest| self.blobs.remove(digest);
            let now = self.index.change(|changes| changes.forget_blobs(before, REMOVED_MAX, remove))?;
            removed += now;
            if now < REMOVED_MAX {
                return Ok(removed);
            }
        }
    }

    /// Removes files that the index does not know: a crash between the two leaves one.
    pub(super) fn remove_strays(&self) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let now = self.remove_some_strays()?;
            removed += now;
            if now < REMOVED_MAX {
                return Ok(removed);
            }
        }
    }

    fn remove_some_strays(&self) -> Result<usize, Error> {
        let mut strays = Vec::new();
        self.blobs.each(|digest| {
            if strays.len() < REMOVED_MAX && !self.index.read(|view| view.has_blob(&digest)).unwrap_or(true) {
                strays.push(digest);
            }
        })?;
        // Asked again where nothing else can change: it may have been pushed meanwhile.
        if strays.is_empty() {
            return Ok(0);
        }
        self.index.change(|changes| {
            for digest in &strays {
                if !changes.has_blob(digest)? {
                    self.blobs.remove(digest)?;
                }
            }
            Ok(())
        })?;
        Ok(strays.len())
    }
}
