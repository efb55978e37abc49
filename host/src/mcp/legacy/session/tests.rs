//! How sessions begin, make room, and end.

use std::time::Duration;

use stockade_ledger::{Ledger, Spec};

use super::super::client::Client;
use super::entered::RUNNING_MAX;
use super::*;
use crate::mcp::tests::TRANSPORTS;

fn sessions(limits: Transports) -> (Sessions, Account) {
    let account = Ledger::new(1 << 20).account(Spec { name: "sessions".into(), ceiling: 1 << 20, floor: 0 }).unwrap();
    (Sessions::new(account.clone(), limits), account)
}

fn principal(share: u32) -> Arc<Principal> {
    Arc::new(Principal::anonymous(share))
}

fn client(principal: &Arc<Principal>) -> Client {
    Client { principal: principal.clone(), scope: Scope::All, version: "2025-11-25", capabilities: "".into() }
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_least_recently_used_idle_one_goes() {
    let (sessions, account) = sessions(TRANSPORTS);
    let who = principal(100);
    let keys: Vec<Key> = (0..TRANSPORTS.sessions).map(|_| sessions.begin(client(&who)).unwrap()).collect();
    let is_there = |key: Key| sessions.enter(key, &who, &Scope::All).is_ok();
    // The first is used, the second is busy: the third has waited longest.
    assert!(is_there(keys[0]));
    let busy = sessions.enter(keys[1], &who, &Scope::All).unwrap();
    sessions.begin(client(&who)).unwrap();
    assert_eq!((is_there(keys[2]), is_there(keys[1]), is_there(keys[0])), (false, true, true));
    assert_eq!(
        (sessions.count(), account.used()),
        (TRANSPORTS.sessions, u64::from(TRANSPORTS.sessions) * SESSION_BYTES)
    );
    drop(busy);
    sessions.clear();
    assert_eq!((sessions.count(), account.used()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_an_idle_one_there_is_no_room() {
    let (sessions, _account) = sessions(TRANSPORTS);
    let who = principal(100);
    let busy: Vec<Entered> = (0..TRANSPORTS.sessions)
        .map(|_| sessions.enter(sessions.begin(client(&who)).unwrap(), &who, &Scope::All).unwrap())
        .collect();
    let Err(NoSession::Full(full)) = sessions.begin(client(&who)) else { panic!("there was room") };
    assert_eq!((full.limit, full.cap, full.used), ("sessions", 4, 4));
    drop(busy);
    sessions.begin(client(&who)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_principal_makes_room_among_its_own() {
    let (sessions, _account) = sessions(TRANSPORTS);
    let half = principal(50);
    let first = sessions.begin(client(&half)).unwrap();
    sessions.begin(client(&half)).unwrap();
    sessions.begin(client(&half)).unwrap();
    assert_eq!(sessions.count(), 2, "its share of four");
    assert_eq!(sessions.enter(first, &half, &Scope::All).unwrap_err(), NoSession::Unknown);
}

#[tokio::test(start_paused = true)]
async fn idleness_ends_a_session_and_use_prolongs_it() {
    let (sessions, account) = sessions(TRANSPORTS);
    let who = principal(100);
    let (used, idle) = (sessions.begin(client(&who)).unwrap(), sessions.begin(client(&who)).unwrap());
    tokio::time::advance(TRANSPORTS.idle - Duration::from_secs(1)).await;
    drop(sessions.enter(used, &who, &Scope::All).unwrap());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(sessions.enter(idle, &who, &Scope::All).is_err() && sessions.enter(used, &who, &Scope::All).is_ok());
    // Nobody has to ask.
    let tending = sessions.clone();
    let task = tokio::spawn(async move { tending.tend().await });
    tokio::time::sleep(TRANSPORTS.idle * 2).await;
    assert_eq!((sessions.count(), account.used()), (0, 0));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_ends_a_session_that_is_always_in_use() {
    let (sessions, _account) = sessions(TRANSPORTS);
    let who = principal(100);
    let key = sessions.begin(client(&who)).unwrap();
    let busy = sessions.enter(key, &who, &Scope::All).unwrap();
    tokio::time::advance(TRANSPORTS.lifetime).await;
    assert_eq!(sessions.enter(key, &who, &Scope::All).unwrap_err(), NoSession::Unknown);
    drop(busy);
    assert_eq!(sessions.count(), 0);
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let (sessions, _account) = sessions(TRANSPORTS);
    let who = principal(100);
    let key = sessions.begin(client(&who)).unwrap();
    assert!(sessions.enter(key, &who, &Scope::One("files".into())).is_err(), "another endpoint");
    let guessed = Key { secret: key.secret ^ 1, ..key };
    assert!(sessions.enter(guessed, &who, &Scope::All).is_err());
    assert_eq!(Key::parse(&key.name()), Some(key));
    for name in ["", "x", &"0".repeat(39), &"G".repeat(40), &"é".repeat(20)] {
        assert_eq!(Key::parse(name), None, "{name}");
    }
}

#[tokio::test]
async fn an_id_runs_once_at_a_time_and_can_be_cancelled() {
    let (sessions, _account) = sessions(TRANSPORTS);
    let who = principal(100);
    let key = sessions.begin(client(&who)).unwrap();
    let session = sessions.enter(key, &who, &Scope::All).unwrap();
    let running = session.run("1").unwrap();
    assert_eq!(session.run("1").unwrap_err(), NotRun::Doubled);
    assert!(session.run("\"1\"").is_ok(), "a string is another id");
    session.cancel("2");
    session.cancel("1");
    running.cancelled().await;
    drop(running);
    let again = session.run("1").unwrap();
    assert!(sessions.end(key, &who, &Scope::All));
    again.cancelled().await;
    assert_eq!(session.run("3").unwrap_err(), NotRun::Ended);
    let many = sessions.begin(client(&who)).unwrap();
    let many = sessions.enter(many, &who, &Scope::All).unwrap();
    let running: Vec<_> = (0..RUNNING_MAX).map(|id| many.run(&id.to_string()).unwrap()).collect();
    assert_eq!(many.run("more").unwrap_err(), NotRun::TooMany(RUNNING_MAX));
    drop(running);
}

#[test]
fn few_bytes_of_capabilities_are_remembered() {
    let names: Vec<String> = (0..100).map(|number| format!("capability-{number}")).chain(["a\nb".into()]).collect();
    let client = Client { capabilities: Client::remembered(&names), ..client(&principal(100)) };
    let kept = client.capability_names();
    assert!(kept.len() > 10 && client.capabilities.len() <= 256 && names.starts_with(&kept));
    assert!(Client { capabilities: "".into(), ..client }.capability_names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_memory_runs_out_those_idle_for_a_while_go_first() {
    let (sessions, account) = sessions(TRANSPORTS);
    let relief = Relief::default();
    sessions.register(&relief);
    let who = principal(100);
    let ask =
        |sessions: u64| relief.ask(sessions * SESSION_BYTES, ..).iter().map(|gave| gave.bytes / SESSION_BYTES).sum();
    let keys: Vec<Key> = (0..TRANSPORTS.sessions).map(|_| sessions.begin(client(&who)).unwrap()).collect();
    let gave: u64 = ask(10);
    assert_eq!(gave, 0, "all have just begun");
    tokio::time::advance(TRANSPORTS.idle / RETIRED_PART).await;
    let busy = sessions.enter(keys[0], &who, &Scope::All).unwrap();
    let gave: u64 = ask(1);
    assert_eq!((gave, sessions.count()), (1, TRANSPORTS.sessions - 1), "as many as are needed");
    let gave: u64 = ask(100);
    assert_eq!((gave, sessions.count()), (u64::from(TRANSPORTS.sessions) - 2, 1), "and the busy one stays");
    drop(busy);
    sessions.clear();
    assert_eq!(account.used(), 0);
}
