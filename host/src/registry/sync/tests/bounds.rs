//! What clients may not do to each other, and to the host's memory.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use stockade_gate::draft::{Draft, at, gone, map, root, within};

use super::*;
use crate::registry::View;
use crate::registry::owner::is_worth_it;
use crate::registry::store::Store;

/// What one principal writes as the client of another would take the place of that one's next edit, which would then be known.
#[tokio::test]
async fn nobody_writes_as_a_client_of_somebody_else() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let publisher = |name: &str| {
        let names = vec![crate::manifest::NamePattern::parse("files").unwrap()];
        let mut principal = Principal::anonymous(100).in_role(Role::Publisher(names));
        principal.name = name.into();
        Arc::new(principal)
    };
    let mut ann = Client::new(&handle, publisher("ann")).await;
    let edit = ann.set("title", "Ann's");
    ann.send(Message::Update(&edit)).await.unwrap();
    // What comes next of Ann's client, and not by her.
    let forged = ann.set("description", "not hers");
    let mut mallory = Client::new(&handle, publisher("mallory")).await;
    let close = mallory.send(Message::Update(&forged)).await.unwrap_err();
    let reason =
        format!("it writes as client {}, which is `ann`'s: begin with a document of your own", ann.doc.client_id());
    assert_eq!((close.code(), close.reason()), (4403, &*reason));
    assert_eq!(refused(&handle), [("rights", 1)]);
    ann.send(Message::Update(&forged)).await.unwrap();
    assert_eq!(handle.record("files").unwrap().text("description"), Some("not hers"));
    // An operator may bring what somebody else has written, which stays that one's.
    let third = ann.set("title", "brought");
    let mut boss = Client::new(&handle, operator()).await;
    boss.send(Message::Update(&third)).await.unwrap();
    assert_eq!(title(&handle), "brought");
    // It is remembered after a restart.
    drop((boss, mallory));
    let fourth = ann.set("title", "forged");
    let handle = restarted(data.path(), ann, handle).await;
    let mut mallory = Client::new(&handle, publisher("mallory")).await;
    assert_eq!(mallory.send(Message::Update(&fourth)).await.unwrap_err().code(), 4403);
    let mut ann = Client::new(&handle, publisher("ann")).await;
    ann.send(Message::Update(&fourth)).await.unwrap();
    assert_eq!(title(&handle), "forged");
}

#[tokio::test]
async fn an_entry_that_is_enabled_again_is_not_cleaned_up() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let retired = |value: Value| handle.edit("files".into(), vec![("retired".into(), value)], operator());
    retired(1_000.into()).await.unwrap();
    handle.remove(vec!["files".into()], Some(999)).await.unwrap();
    assert_eq!(handle.count(), 1, "it has not been retired for so long");
    retired(Value::Null).await.unwrap();
    handle.remove(vec!["files".into()], Some(1_000)).await.unwrap();
    assert_eq!(handle.count(), 1, "it is not retired any more");
    retired(1_000.into()).await.unwrap();
    handle.remove(vec!["files".into()], Some(1_000)).await.unwrap();
    assert_eq!(handle.count(), 0);
}

/// What a client of a document that was lost, or put back to what it was earlier, brings is not mixed with what there is.
#[tokio::test]
async fn a_copy_of_another_document_is_sent_away() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (handle, elsewhere) = (handle(data.path(), "").await, handle(other.path(), "").await);
    let lost = Client::new(&elsewhere, operator()).await.doc_vector();
    let mut ahead = Client::new(&handle, operator()).await.doc_vector();
    assert_eq!(ahead.0.len(), 1, "of the host's alone");
    ahead.0[0].1 += 1;
    let own = Client::new(&handle, operator()).await;
    own.set("title", "of this client's");
    for (vector, code) in
        [(lost, Some(4409)), (ahead, Some(4409)), (own.doc_vector(), None), (StateVector::default(), None)]
    {
        let (mut session, _) = Session::open(handle.clone(), operator()).await.unwrap();
        let answer = session.receive(&Message::Step1(&vector.write()).write()).await;
        assert_eq!(answer.err().map(|close| close.code()), code, "{vector:?}");
    }
}

/// The messages that a client is sent of who is there.
fn told(session: &mut Session) -> Vec<Vec<(u64, u64)>> {
    let read = |frame: Outgoing| match Message::read(frame.bytes()) {
        Ok(Message::Awareness(states)) => {
            awareness::read(states).unwrap().iter().map(|state| (state.client, state.clock)).collect()
        }
        other => panic!("{other:?}"),
    };
    std::iter::from_fn(|| session.more()).map(read).collect()
}

#[tokio::test]
async fn whoever_comes_is_told_who_is_there_and_again_when_it_asks() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "document: { clients: 100 }").await;
    let mut here = Vec::new();
    for client in 0..40 {
        let mut one = Client::new(&handle, operator()).await;
        let state = awareness::State { client, clock: 3, json: Some(r#"{"user":"Ann"}"#) };
        let said = awareness::write(std::iter::once(state));
        assert!(one.send(Message::Awareness(&said)).await.unwrap().is_empty());
        here.push(one);
    }
    let (mut session, first) = Session::open(handle.clone(), reader()).await.unwrap();
    assert_eq!(first.len(), 1, "what it has is asked first");
    let all: Vec<(u64, u64)> = (0..40).map(|client| (client, 3)).collect();
    let pages = told(&mut session);
    assert!(pages.len() > 1 && pages.concat() == all, "{pages:?}");
    assert!(told(&mut session).is_empty(), "once");
    assert!(session.receive(&Message::AskAwareness.write()).await.unwrap().is_empty());
    assert_eq!(told(&mut session).concat(), all);
    // y-websocket repeats all of it at once, and is no less welcome for that.
    let states: Vec<_> = (0..40).map(|client| awareness::State { client, clock: 3, json: Some("{}") }).collect();
    let repeated = awareness::write(states.into_iter());
    assert!(session.receive(&Message::Awareness(&repeated).write()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_author_is_told_what_was_put_right() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let mut ann = Client::new(&handle, operator()).await;
    let edit = ann.set("memory", "lots");
    let replies = ann.send(Message::Update(&edit)).await.unwrap();
    let said = b"`memory` takes a whole number of bytes, at most 1099511627776";
    assert_eq!(
        replies.iter().map(Outgoing::bytes).collect::<Vec<_>>(),
        [[&[2, 0, said.len() as u8][..], said].concat()]
    );
    for _ in 0..2 {
        ann.hear().await;
    }
    let txn = ann.doc.transact();
    let Some(Out::YMap(map)) = ann.agents.get(&txn, "files") else { panic!("no agent") };
    assert!(map.get(&txn, "memory").is_none(), "its own copy is put right, too");
}

/// Else everybody would have to come anew, which takes far more.
#[tokio::test(start_paused = true)]
async fn who_has_missed_something_waits_for_memory() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let (mut ann, mut bob) = (Client::new(&handle, operator()).await, Client::new(&handle, reader()).await);
    // After it there is no frame of the whole that somebody may ask for.
    let edit = ann.set("title", "heard");
    ann.send(Message::Update(&edit)).await.unwrap();
    for client in [&mut ann, &mut bob] {
        client.hear().await;
    }
    let account = handle.shared().outgoing.clone();
    let all = account.charge(account.free()).unwrap();
    let edit = ann.set("title", "missed");
    ann.send(Message::Update(&edit)).await.unwrap();
    for turn in 0..3 {
        let next = bob.session.next().await;
        assert!(matches!(next, Next::Missed(_)), "{next:?}");
        // Something more is missed while it is asked for.
        let edit = ann.set("title", &format!("missed {turn}"));
        ann.send(Message::Update(&edit)).await.unwrap();
        assert!(bob.session.frame(next).await.unwrap().is_none());
    }
    drop(all);
    bob.hear().await;
    assert_eq!(bob.title().as_deref(), Some("missed 2"));
    assert_eq!(bob.doc_vector(), ann.doc_vector());
    // But not for ever.
    let _all = account.charge(account.free()).unwrap();
    let edit = ann.set("title", "missed again");
    ann.send(Message::Update(&edit)).await.unwrap();
    let began = Instant::now();
    let close = loop {
        let next = bob.session.next().await;
        match bob.session.frame(next).await {
            Ok(frame) => assert!(frame.is_none()),
            Err(close) => break close,
        }
    };
    assert_eq!(close.code(), 1013, "{close:?}");
    assert!(began.elapsed() >= MISSED_MAX && began.elapsed() < 2 * MISSED_MAX, "{:?}", began.elapsed());
}

/// Its past must not take the room that its edits need.
#[tokio::test]
async fn a_document_begins_anew_before_its_account_is_full() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let fields = || vec![("description", "x".repeat(200).into()), ("title", "one".into()), ("version", "1".into())];
    let entries = (0..2_000).map(|number| (format!("agent-{number}").into(), fields()));
    handle.write(entries.collect()).await.unwrap();
    let least = handle.view().least;
    drop(handle);
    let handle = again(data.path(), least * 8 / 5).await;
    let before = handle.view();
    let (mut edits, mut seen) = (0_usize, before.epoch);
    let mut ann = Client::new(&handle, operator()).await;
    while handle.view().epoch < before.epoch + 3 {
        let some = {
            let mut txn = ann.doc.transact_mut();
            for _ in 0..100 {
                let agent = format!("agent-{}", edits % 2_000);
                let Some(Out::YMap(map)) = ann.agents.get(&txn, &agent) else { panic!("no agent") };
                map.insert(&mut txn, "title", format!("edit {edits}"));
                edits += 1;
            }
            txn.commit();
            txn.encode_update_v1()
        };
        ann.send(Message::Update(&some)).await.unwrap_or_else(|close| panic!("after {edits} edits: {close:?}"));
        if handle.view().epoch > seen {
            seen = handle.view().epoch;
            ann = Client::new(&handle, operator()).await;
        }
    }
    assert!(edits > 2_000, "{edits}");
    assert!(handle.view().bytes <= handle.view().least + (1 << 20), "{:?}", handle.view());
}

#[tokio::test]
async fn a_document_gives_its_past_back_when_memory_is_short() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let relief = handle.relief();
    let mut ann = Client::new(&handle, operator()).await;
    let mut turn = 0;
    let is_worth_it = |view: View| is_worth_it(view.bytes as usize, view.least as usize);
    while !is_worth_it(handle.view()) {
        relief();
        let edits = {
            let mut txn = ann.doc.transact_mut();
            let Some(Out::YMap(map)) = ann.agents.get(&txn, "files") else { panic!("no agent") };
            // By turns, so that each of them stays.
            for number in 0..900 {
                map.insert(&mut txn, "description", format!("edit {number}"));
                map.insert(&mut txn, "title", format!("edit {turn}"));
            }
            txn.commit();
            txn.encode_update_v1()
        };
        ann.send(Message::Update(&edits)).await.unwrap();
        turn += 1;
        assert!(turn < 100, "{:?}", handle.view());
    }
    let before = handle.view();
    assert_eq!(before.epoch, 1, "there was too little to gain");
    relief();
    while handle.view().epoch == before.epoch {
        tokio::task::yield_now().await;
    }
    assert!(handle.view().bytes < 1 << 20, "{:?}", handle.view());
    assert_eq!(title(&handle), format!("edit {}", turn - 1).as_str());
}

/// The library would apply it, and end the process when somebody reads it: at every start.
#[tokio::test]
async fn what_the_gate_does_not_take_is_not_read_from_disk_either() {
    let nested = (0..5_000).map(|nth| within(at(7, nth), "k", map()));
    let deep = (8, [vec![1], [117, 1].repeat(7_000), vec![126]].concat());
    let section = |structs: Vec<Vec<u8>>| Draft::default().section(7, 0, structs);
    let poison = [
        (section([vec![root("a", map())], nested.collect()].concat()), "nesting of maps: 3, and 2 are allowed"),
        (section(vec![root("a", deep)]), "depth of a value: 33, and 32 are allowed"),
        (section(vec![gone(1)]).section(7, 1, [gone(1)]), "a client comes twice"),
    ];
    for (update, reason) in poison {
        let data = tempfile::tempdir().unwrap();
        drop(handle(data.path(), "").await);
        let mut store = loop {
            match Store::open(data.path()) {
                Ok(store) => break store,
                // Whoever had it before closes its file a moment later.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        store.load().unwrap().unwrap();
        store.append(&[update.bytes()], &[]).unwrap();
        drop(store);
        let manifest = Manifest::load(&data.path().join("m.yaml"), &Overrides::default()).unwrap();
        let error = Handle::try_for_test(64 << 20, &manifest, data.path()).unwrap_err();
        let told = format!("{error:#}");
        assert!(told.contains("damaged; move `registry/document.redb`") && told.contains(reason), "{told}");
    }
}

/// Each who comes anew asks for much: an edit does not wait for all of that.
#[tokio::test]
async fn an_edit_goes_before_answers_to_the_many() {
    const MANY: usize = 300;
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let entry = |number: u32| (format!("agent-{number}").into(), vec![("title", "one of many".into())]);
    handle.write((0..2_000).map(entry).collect()).await.unwrap();
    let mut ann = Client::new(&handle, operator()).await;
    let mut known = ann.doc_vector();
    known.0[0].1 = 1;
    let answered = Arc::new(AtomicUsize::new(0));
    let asking = (0..MANY).map(|_| {
        let (handle, known, answered) = (handle.clone(), known.clone(), answered.clone());
        tokio::spawn(async move {
            handle.ask(|answer| Command::Diff { known, step_2: true, paid: None, answer }).await.unwrap();
            answered.fetch_add(1, Relaxed);
        })
    });
    let asking: Vec<_> = asking.collect();
    tokio::task::yield_now().await;
    let edit = ann.set("title", "before them");
    ann.send(Message::Update(&edit)).await.unwrap();
    let before = answered.load(Relaxed);
    assert!(before < MANY / 2, "{before} were answered first");
    for one in asking {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn who_was_away_may_bring_more_at_once() {
    let data = tempfile::tempdir().unwrap();
    let handle = handle(data.path(), "").await;
    let much = Draft::default().section(7, 0, vec![gone(1); 2_001]).bytes();
    let mut ann = Client::new(&handle, operator()).await;
    let close = ann.send(Message::Update(&much)).await.unwrap_err();
    assert_eq!((close.code(), close.reason()), (4400, "structs of an update: 2001, and 2000 are allowed"));
    let mut ann = Client::new(&handle, operator()).await;
    assert!(ann.send(Message::Step2(&much)).await.unwrap().is_empty());
    assert!(handle.ask(|answer| Command::Vector { answer }).await.unwrap().0.contains(&(7, 2_001)));
}
