//! Entries that were retired long enough ago are removed, on a schedule.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::live::Handle;

/// Time between two looks, and the shortest: a tenth of what entries are kept.
const LOOK_MAX: Duration = Duration::from_secs(60);
const LOOK_MIN: Duration = Duration::from_millis(100);

/// Entries that one look removes.
const REMOVED_MAX: usize = 1_000;

impl Handle {
    /// Removes retired entries when their time has come, for as long as the document is open.
    pub async fn clean_up(&self) {
        let mut ticks = tokio::time::interval((self.limits().retired / 10).clamp(LOOK_MIN, LOOK_MAX));
        loop {
            ticks.tick().await;
            self.remove_retired(SystemTime::now()).await;
        }
    }

    /// Removes entries that have been retired for long enough now. Those of the manifest's agents stay: they would be made
    /// again at the next start, and be served until then.
    async fn remove_retired(&self, now: SystemTime) {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let kept = u64::try_from(self.limits().retired.as_millis()).unwrap_or(u64::MAX);
        let records = self.records();
        let since = now.saturating_sub(kept);
        let over =
            records.iter().filter(|(name, record)| record.is_retired(since) && !self.shared().ceilings.has(name));
        let (names, bytes): (Vec<_>, Vec<_>) =
            over.take(REMOVED_MAX).map(|(name, record)| (name.clone(), record.bytes())).unzip();
        if names.is_empty() {
            return;
        }
        let (agents, bytes) = (names.len(), bytes.iter().sum::<usize>());
        // Whoever enables one meanwhile has it.
        match self.remove(names, Some(since)).await {
            Ok(()) => tracing::info!(agents, bytes, "entries of retired agents removed"),
            Err(error) => tracing::warn!(agents, %error, "entries of retired agents cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests;
