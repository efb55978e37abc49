//! Loading agents when there is no memory to compile them.

use tokio::sync::mpsc;

use super::*;
use crate::agent::{Agents, Offered, Terms};
use crate::manifest::{Manifest, Overrides};
use crate::memory::{Accounts, Children};
use crate::registry::{Handle, Registry};

#[tokio::test(start_paused = true)]
async fn an_agent_waits_for_memory_to_be_compiled_with_and_is_refused_in_the_end() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("a.wasm"), b"never looked into").unwrap();
    let file = data.path().join("manifest.yaml");
    std::fs::write(&file, "memory: 512M\nagents: { a: { component: a.wasm } }\n").unwrap();
    let manifest = Manifest::load(&file, &Overrides::default()).unwrap();
    let accounts = Accounts::open(manifest.memory, manifest.pressure.maximum, 16 << 20, Children::default()).unwrap();
    let terms = Terms {
        guests_ceiling: 64 << 20,
        compile: manifest.compile,
        data: data.path(),
        program: "/nowhere/stockade".into(),
        principals: 1,
        document: Handle::open_for_test(&manifest, data.path()),
        published: Offered { spec: manifest.published.clone(), agents: Vec::new() },
        troubles: mpsc::channel(1).0,
    };
    let agents = Agents::new(&Registry::from_manifest(&manifest), &accounts, terms).unwrap();

    let full = accounts.compile.charge(accounts.compile.free()).unwrap();
    let began = tokio::time::Instant::now();
    agents.load().await;
    assert!(began.elapsed() >= LOAD_PAUSE * (LOAD_TRIES - 1), "{:?}", began.elapsed());
    assert!(began.elapsed() < LOAD_PAUSE * (LOAD_TRIES + 1), "{:?}", began.elapsed());
    let refused = |agents: &Agents| match agents.get("a").unwrap().standing() {
        Standing::Refused(reason) => reason.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refused(&agents).contains("and 0 are free; raise `memory`"), "{}", refused(&agents));

    // With memory there is no waiting: the compiler is started, which here is none.
    drop(full);
    let began = tokio::time::Instant::now();
    agents.load().await;
    assert!(began.elapsed() < LOAD_PAUSE, "{:?}", began.elapsed());
    assert!(refused(&agents).contains("cannot start the compiler /nowhere/stockade"), "{}", refused(&agents));
}
