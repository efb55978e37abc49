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
                if let Some(agent) = self.get(&name) {
                    agent.take_terms();
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
    pub(super) fn take_terms(&self) {
        // Whoever comes last has read it last.
        let _turn = self.home.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let record = self.home.means.document.record(&self.home.name);
        // An agent that was retired is not back because its entry is gone: its versions go next.
        if record.is_none() && !self.home.fixed && !self.home.enabled.load(Ordering::Relaxed) {
            return;
        }
        let record = record.as_deref();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Manifest;
    use crate::registry::schema::place;

    const MIB: u64 = 1 << 20;

    /// An agent of the manifest's, with two directories.
    fn manifest(caps: &str) -> AgentSpec {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), b"").unwrap();
        for dir in ["one", "two"] {
            std::fs::create_dir(folder.path().join(dir)).unwrap();
        }
        let dirs = "dirs: { /one: { path: one }, /two: { path: two } }";
        let text = format!("memory: 512M\nagents: {{ files: {{ component: a.wasm, {caps}, {dirs} }} }}");
        let manifest = Manifest::parse(&text, folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
        let (_, spec) = manifest.agents.into_iter().next().unwrap();
        spec
    }

    fn record(fields: &[(&str, Value)]) -> Record {
        let mut record = Record::default();
        fields.iter().for_each(|(field, value)| record.set(place(field).unwrap(), value.clone()));
        record
    }

    #[test]
    fn an_entry_takes_away_and_never_adds() {
        let spec = manifest("memory: 16M, reserve: 4M, deadline: 10s, concurrency: 8");
        let paths = |spec: &AgentSpec| spec.dirs.keys().cloned().collect::<Vec<_>>();
        assert_eq!(restricted(&spec, &Record::default()), spec);
        let less = record(&[
            ("memory", (8 * MIB).into()),
            ("reserve", MIB.into()),
            ("deadline", 500.into()),
            ("concurrency", 2.into()),
            ("grants", json!(["/two"])),
        ]);
        let now = restricted(&spec, &less);
        assert_eq!((now.memory, now.reserve, now.concurrency), (8 * MIB, Some(MIB), 2));
        assert_eq!((now.deadline, paths(&now)), (Duration::from_millis(500), vec!["/two".to_owned()]));
        assert_eq!((&now.component, now.cpu, now.queue), (&spec.component, spec.cpu, spec.queue));
        // As when the manifest was lowered after the edit.
        let more = record(&[
            ("memory", (32 * MIB).into()),
            ("reserve", (8 * MIB).into()),
            ("deadline", 60_000.into()),
            ("concurrency", 5_000_000_000_u64.into()),
            ("grants", json!(["/one", "/two", "/three"])),
        ]);
        assert_eq!(restricted(&spec, &more), spec);
        assert!(paths(&restricted(&spec, &record(&[("grants", json!([]))]))).is_empty());
        // Without a reserve of its own it has the default.
        let spec = manifest("memory: 16M");
        let with = |reserve: u64| restricted(&spec, &record(&[("reserve", reserve.into())])).reserve;
        assert_eq!([with(MIB), with(64 * MIB)], [Some(MIB), Some(RESERVE_BYTES_DEFAULT)]);
    }
}
