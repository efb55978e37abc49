//! What the registry's document says of an agent, while it is served: caps, grants, and whether it is served at all.
//!
//! The next call runs under the new terms; calls that run end as they began. Nothing in the document exceeds the manifest:
//! the smaller of the two counts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::changes::Kinds;
use super::{Agent, Agents};
use crate::manifest::{AgentSpec, RESERVE_BYTES_DEFAULT};
use crate::registry::{Record, uri};

impl Agents {
    /// Follows the document for as long as it is open.
    pub async fn follow(&self) {
        let mut changes = self.0.means.document.changes();
        loop {
            changes.mark_unchanged();
            for (name, turned) in self.0.means.document.take_news() {
                self.changes().of_host(&uri(&name), turned);
                let (record, Some(agent)) = (self.0.means.document.record(&name), self.get(&name)) else { continue };
                // An agent that was retired is not back because its entry is gone: its versions go next.
                if record.is_some() || agent.home.fixed {
                    agent.take_terms(record.as_deref());
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Agent {
    /// Puts what its entry says in force.
    pub(super) fn take_terms(&self, record: Option<&Record>) {
        let spec = record.map_or_else(|| self.home.ceiling.clone(), |record| restricted(&self.home.ceiling, record));
        let enabled = record.is_none_or(Record::is_enabled);
        let before = self.spec();
        if *before != spec {
            tracing::info!(agent = self.name(), "its caps and grants are as the registry's document has them now");
            if before.concurrency != spec.concurrency {
                self.home.means.door.set_concurrency(self.home.line, spec.concurrency);
            }
            let grants = before.dirs != spec.dirs;
            *self.home.spec.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(spec);
            if grants {
                self.home.means.changes.lists_changed(&self.home.name, Kinds::ALL);
            }
        }
        if self.home.enabled.swap(enabled, Ordering::Relaxed) != enabled {
            tracing::info!(agent = self.name(), enabled, "the registry's document says whether it is served");
            self.home.means.changes.lists_changed(&self.home.name, Kinds::ALL);
        }
    }
}

/// The manifest's terms, less what an entry takes away.
fn restricted(manifest: &AgentSpec, record: &Record) -> AgentSpec {
    let mut spec = manifest.clone();
    let at_most = |value: &mut u64, field: &str| *value = record.whole(field).map_or(*value, |said| said.min(*value));
    at_most(&mut spec.memory, "memory");
    if let Some(reserve) = record.whole("reserve") {
        spec.reserve = Some(reserve.min(spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT)));
    }
    if let Some(deadline) = record.whole("deadline") {
        spec.deadline = spec.deadline.min(Duration::from_millis(deadline));
    }
    if let Some(concurrency) = record.whole("concurrency") {
        spec.concurrency = spec.concurrency.min(u32::try_from(concurrency).unwrap_or(u32::MAX));
    }
    if let Some(grants) = record.get("grants").as_array() {
        spec.dirs.retain(|path, _| grants.iter().filter_map(Value::as_str).any(|granted| granted == path));
    }
    spec
}
