//! Which entries go, and when.

use super::*;
use crate::manifest::{Manifest, Overrides};

#[tokio::test]
async fn retired_entries_go_when_their_time_has_come() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("a.wasm"), b"").unwrap();
    let file = data.path().join("m.yaml");
    let text = "memory: 512M\ndocument: { retired: 1h }\nagents: { fixed: { component: a.wasm } }\n";
    std::fs::write(&file, text).unwrap();
    let manifest = Manifest::load(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let handle = Handle::open_for_test(&manifest, data.path());
    let retired = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for (agent, since) in [("fixed", Some(1_000_000_000_u64)), ("old", Some(1_000_000_000)), ("served", None)] {
        handle.write(vec![(agent.into(), vec![("name", agent.into()), ("retired", since.into())])]).await.unwrap();
    }
    let names = |handle: &Handle| handle.records().into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    handle.remove_retired(retired + Duration::from_secs(3_599)).await;
    assert_eq!(names(&handle), ["fixed", "old", "served"]);
    handle.remove_retired(retired + Duration::from_secs(3_600)).await;
    assert_eq!(names(&handle), ["fixed", "served"]);
    assert!(!handle.record("fixed").unwrap().is_enabled(), "it stays retired");
}
