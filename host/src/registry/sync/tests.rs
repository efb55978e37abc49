//! Clients of a real document with its thread and its file, without sockets.

use std::path::Path;

use serde_json::Value;
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{Doc, Map as _, MapRef, Out, ReadTxn as _, Transact as _};

mod bounds;

use super::*;
use crate::manifest::{Manifest, Overrides, Role};

/// A document below a folder, with the agent `files` in it.
async fn handle(data: &Path, limits: &str) -> Handle {
    let file = data.join("m.yaml");
    std::fs::write(&file, format!("memory: 512M\nagents: {{}}\n{limits}")).unwrap();
    let manifest = Manifest::load(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let handle = Handle::open_for_test(&manifest, data);
    handle.write(vec![("files".into(), vec![("name", "files".into())])]).await.unwrap();
    handle
}

fn operator() -> Arc<Principal> {
    Arc::new(Principal::anonymous(100).in_role(Role::Operator))
}

fn reader() -> Arc<Principal> {
    Arc::new(Principal::anonymous(100))
}

/// A client with a document of its own.
struct Client {
    session: Session,
    doc: Doc,
    agents: MapRef,
}

impl Client {
    /// Connects, and syncs both ways.
    async fn new(handle: &Handle, by: Arc<Principal>) -> Self {
        let doc = Doc::new();
        let agents = doc.get_or_insert_map("agents");
        let (session, _) = Session::open(handle.clone(), by).await.unwrap();
        let mut client = Self { session, doc, agents };
        let state = client.doc.transact().state_vector().encode_v1();
        let replies = client.session.receive(&Message::Step1(&state).write()).await.unwrap();
        client.take(&replies);
        client
    }

    fn take(&self, frames: &[Outgoing]) {
        for frame in frames {
            if let Ok(Message::Step2(update) | Message::Update(update)) = Message::read(frame.bytes()) {
                self.doc.transact_mut().apply_update(yrs::Update::decode_v1(update).unwrap()).unwrap();
            }
        }
    }

    /// Takes the next frame that it is sent.
    async fn hear(&mut self) {
        let next = self.session.next().await;
        let frame = self.session.frame(next).await.unwrap();
        self.take(frame.as_slice());
    }

    /// Sets a field; the update that says so.
    fn set(&self, field: &str, value: &str) -> Vec<u8> {
        let mut txn = self.doc.transact_mut();
        let Some(Out::YMap(map)) = self.agents.get(&txn, "files") else { panic!("no agent") };
        map.insert(&mut txn, field, value);
        txn.commit();
        txn.encode_update_v1()
    }

    fn doc_vector(&self) -> StateVector {
        StateVector::read(&self.doc.transact().state_vector().encode_v1()).unwrap()
    }

    fn title(&self) -> Option<String> {
        let txn = self.doc.transact();
        let Some(Out::YMap(map)) = self.agents.get(&txn, "files") else { return None };
        map.get(&txn, "title").map(|title| title.to_string(&txn))
    }

    async fn send(&mut self, message: Message<'_>) -> Result<Vec<Outgoing>, Close> {
        self.session.receive(&message.write()).await
    }
}

fn title(handle: &Handle) -> Value {
    handle.record("files").unwrap().get("title").clone()
}

#[tokio::test]
async fn an_edit_is_stored_told_to_all_and_to_its_author() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let (mut ann, mut bob) = (Client::new(&handle, operator()).await, Client::new(&handle, reader()).await);
    let mut changes = handle.changes();
    let edit = ann.set("title", "Files");
    assert!(ann.send(Message::Update(&edit)).await.unwrap().is_empty());
    assert_eq!(title(&handle), "Files");
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    for client in [&mut ann, &mut bob] {
        client.hear().await;
        assert_eq!(client.title().as_deref(), Some("Files"));
    }
    let stored = handle.view().stored;
    ann.send(Message::Update(&edit)).await.unwrap();
    assert_eq!((handle.view().stored, changes.has_changed().unwrap()), (stored, false), "it is known");
    let state = handle.ask(|answer| Command::Vector { answer }).await.unwrap();
    assert!(state.0.len() >= 2, "{state:?}");
}

#[tokio::test]
async fn what_is_stored_outlives_its_host() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let mut ann = Client::new(&handle, operator()).await;
    let edit = ann.set("title", "Files");
    ann.send(Message::Update(&edit)).await.unwrap();
    let again = restarted(data.path(), ann, handle).await;
    assert_eq!(title(&again), "Files");
    assert_eq!(again.view().epoch, 1);
}

/// Ends the last client and its host, and opens what they have left below a folder.
async fn restarted(data: &Path, client: Client, handle: Handle) -> Handle {
    // The thread ends with its last handle.
    let outbox = client.session.outbox.clone();
    drop((client, handle));
    while !matches!(outbox.next().await, Next::Over(Ending::Stop)) {}
    again(data, 64 << 20).await
}

/// The document below a folder once more, with so many bytes for it.
async fn again(data: &Path, bytes: u64) -> Handle {
    let manifest = Manifest::load(&data.join("m.yaml"), &Overrides::default()).unwrap();
    loop {
        // Whoever had it before closes its file a moment later.
        match std::panic::catch_unwind(|| Handle::open_for_test_within(bytes, &manifest, data)) {
            Ok(handle) => return handle,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_document_larger_than_its_account_is_served_and_can_be_made_smaller() {
    let data = tempfile::tempdir().unwrap();
    let larger = handle(data.path(), "").await;
    let names: Vec<Arc<str>> = (0..400).map(|number| format!("agent-{number}").into()).collect();
    let entry = |name: &Arc<str>| (name.clone(), vec![("description", "x".repeat(2_000).into())]);
    larger.write(names.iter().map(entry).collect()).await.unwrap();
    let bytes = larger.view().bytes;
    drop(larger);
    let handle = again(data.path(), bytes / 2).await;
    assert_eq!(handle.count(), names.len() + 1, "all of it is served");
    let mut ann = Client::new(&handle, operator()).await;
    let edit = ann.set("title", "Files");
    let close = ann.send(Message::Update(&edit)).await.unwrap_err();
    assert!(close.code() == 1013 && close.reason().contains("`document`"), "{close:?}");
    // By the host it can be edited all the same, and made smaller.
    handle.edit("files".into(), vec![("enabled".into(), false.into())], operator()).await.unwrap();
    handle.remove(names, None).await.unwrap();
    assert!(handle.view().bytes < bytes / 4, "{} of {bytes}", handle.view().bytes);
    let mut ann = Client::new(&handle, operator()).await;
    let edit = ann.set("title", "Files");
    ann.send(Message::Update(&edit)).await.unwrap();
    assert_eq!(title(&handle), "Files");
}

#[tokio::test]
async fn nothing_is_applied_before_a_client_has_asked() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let known = Client::new(&handle, operator()).await;
    let (mut session, first) = Session::open(handle.clone(), operator()).await.unwrap();
    assert!(matches!(Message::read(first[0].bytes()), Ok(Message::Step1(_))), "it is asked at once");
    let edit = known.set("title", "too early");
    assert!(session.receive(&Message::Update(&edit).write()).await.unwrap().is_empty());
    assert_eq!(title(&handle), Value::Null);
}

/// What edits were refused for, and how often.
fn refused(handle: &Handle) -> Vec<(&'static str, u64)> {
    handle.refused().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_gap_is_asked_for_and_no_offence() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let mut ann = Client::new(&handle, operator()).await;
    let (lost, second) = (ann.set("title", "one"), ann.set("title", "two"));
    let replies = ann.send(Message::Update(&second)).await.unwrap();
    assert!(matches!(Message::read(replies[0].bytes()), Ok(Message::Step1(_))), "{replies:?}");
    assert_eq!(title(&handle), Value::Null);
    assert_eq!(refused(&handle), []);
    drop(lost);
    let all = ann.doc.transact().encode_state_as_update_v1(&yrs::StateVector::default());
    ann.send(Message::Step2(&all)).await.unwrap();
    assert_eq!(title(&handle), "two");
}

#[tokio::test]
async fn readers_may_sync_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let mut bob = Client::new(&handle, reader()).await;
    let all = bob.doc.transact().encode_state_as_update_v1(&yrs::StateVector::default());
    assert!(bob.send(Message::Step2(&all)).await.unwrap().is_empty(), "it adds nothing");
    let edit = bob.set("title", "mine");
    let close = bob.send(Message::Update(&edit)).await.unwrap_err();
    assert_eq!((close.code(), close.reason()), (4403, "`title` of agent `files` may not be written by `anonymous`"));
    assert_eq!(title(&handle), Value::Null);
    assert_eq!(refused(&handle), [("rights", 1)]);
}

#[tokio::test]
async fn frames_that_no_client_sends_end_the_connection() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let mut honest = Client::new(&handle, operator()).await;
    let twice = [2, 1, 7, 0, 0, 1, 1, 7, 0, 0, 1, 0];
    let frames = [
        vec![],
        vec![9],
        vec![0, 0, 5, 1],
        vec![2, 0, 0],
        Message::Update(&twice).write(),
        Message::Update(&[0x80, 0x80, 0x80, 0x40]).write(),
        Message::Step1(&[1, 1]).write(),
        Message::Awareness(&[1, 1, 1, 1, b'{']).write(),
        vec![0; stockade_gate::MESSAGE_BYTES_MAX + 1],
    ];
    for frame in frames {
        let mut hostile = Client::new(&handle, operator()).await;
        let close = hostile.session.receive(&frame).await.unwrap_err();
        assert_eq!(close.code(), 4400, "{frame:?}: {close:?}");
        assert!(!close.reason().is_empty() && close.reason().len() <= REASON_BYTES_MAX);
    }
    assert_eq!(refused(&handle), [("form", 2)], "of what is no edit nothing is counted");
    // What may not be is put right, and counts.
    let wrong = honest.set("memory", "lots");
    honest.send(Message::Update(&wrong)).await.unwrap();
    assert_eq!(refused(&handle), [("form", 2), ("value", 1)]);
    let edit = honest.set("title", "unharmed");
    honest.send(Message::Update(&edit)).await.unwrap();
    assert_eq!(title(&handle), "unharmed");
}

#[tokio::test]
async fn there_are_as_many_clients_as_may_be() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "document: { clients: 2 }").await;
    let (first, _second) = (Client::new(&handle, reader()).await, Client::new(&handle, reader()).await);
    let Err(close) = Session::open(handle.clone(), reader()).await else { panic!("a third") };
    assert_eq!((close.code(), close.reason()), (1013, "`document.clients` allows you 2 connections, and there are 2"));
    drop(first);
    Client::new(&handle, reader()).await;
}

#[tokio::test]
async fn nobody_takes_all_places_of_clients() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "document: { clients: 4 }").await;
    let half = || Arc::new(Principal::anonymous(50));
    let (_first, _second) = (Client::new(&handle, half()).await, Client::new(&handle, half()).await);
    let Err(close) = Session::open(handle.clone(), half()).await else { panic!("more than its share") };
    assert_eq!(close.reason(), "`document.clients` allows you 2 connections, and there are 2");
    Client::new(&handle, operator()).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_much_again_and_again_waits() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "document: { rate: 10 }").await;
    let long = "x".repeat(4_000);
    let entry = |number: u32| (format!("agent-{number}").into(), vec![("description", long.as_str().into())]);
    handle.write((0..10).map(entry).collect()).await.unwrap();
    let mut ann = Client::new(&handle, reader()).await;
    let began = Instant::now();
    let [nothing, all] = [StateVector::default(), ann.doc_vector()].map(|vector| vector.write());
    for _ in 0..5 {
        ann.send(Message::Step1(&all)).await.unwrap();
    }
    // It lacks nothing: five messages, of ten a second.
    assert!(began.elapsed() <= Duration::from_millis(500), "{:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..5 {
        ann.send(Message::Step1(&nothing)).await.unwrap();
    }
    // Forty thousand bytes count as nine messages, and the question as one; the last answer is owed for.
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    // However much it is: y-websocket takes a host for gone of which it hears nothing for 30 s.
    let began = Instant::now();
    ann.session.allowance.owe(1_000_000);
    ann.send(Message::Step1(&all)).await.unwrap();
    assert!(began.elapsed() <= OWED_MAX, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_too_fast_is_read_more_slowly() {
    let mut allowance = Allowance::new(100);
    let began = Instant::now();
    for _ in 0..100 {
        allowance.take().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "a second's worth at once");
    for _ in 0..200 {
        allowance.take().await;
    }
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_millis(1_990) && elapsed <= Duration::from_millis(2_200), "{elapsed:?}");
}
