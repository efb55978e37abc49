//! Who may say what of whom, and when it is forgotten.

use stockade_ledger::{Ledger, Spec};

use super::*;

fn presence(ceiling: u64) -> Presence {
    Presence::new(Ledger::new(1 << 30).account(Spec { name: "streams".into(), ceiling, floor: 0 }).unwrap())
}

fn here(client: u64, clock: u32) -> State<'static> {
    State { client, clock, json: Some("{}") }
}

/// The clients that a message says are there, with their clocks; none for one that has gone.
fn told(messages: &[Vec<u8>]) -> Vec<(u64, Option<u32>)> {
    let states = messages.iter().flat_map(|message| awareness::read(message).unwrap());
    states.map(|state| (state.client, state.json.map(|_| state.clock))).collect()
}

/// All who are there, page by page.
fn all(presence: &Presence) -> Vec<Vec<u8>> {
    let mut after = None;
    std::iter::from_fn(|| {
        let (last, states) = presence.page(after)?;
        after = Some(last);
        Some(states)
    })
    .collect()
}

#[test]
fn news_are_told_once_and_to_those_who_come_later() {
    let presence = presence(1 << 20);
    presence.hear(1, &[here(7, 1)]).unwrap();
    presence.hear(1, &[here(7, 2)]).unwrap();
    presence.hear(2, &[here(8, 5)]).unwrap();
    assert_eq!(told(&presence.news()), [(7, Some(2)), (8, Some(5))]);
    assert!(presence.news().is_empty());
    presence.hear(1, &[here(7, 1)]).unwrap();
    assert!(presence.news().is_empty(), "it is older than what is known");
    assert_eq!(told(&all(&presence)), [(7, Some(2)), (8, Some(5))]);
}

#[test]
fn whoever_goes_is_forgotten_with_all_it_cost() {
    let presence = presence(1 << 20);
    presence.hear(1, &[here(7, 1), here(8, 1)]).unwrap();
    presence.hear(1, &[State { json: None, ..here(8, 2) }]).unwrap();
    assert_eq!(told(&presence.news()), [(7, Some(1)), (8, None)]);
    presence.leave(1);
    assert_eq!(told(&presence.news()), [(7, None)]);
    assert_eq!((presence.count(), presence.account.used()), (0, 0));
    // Nobody is introduced by his leaving.
    presence.hear(2, &[State { json: None, ..here(9, 1) }]).unwrap();
    assert_eq!(presence.count(), 0);
}

#[test]
fn a_connection_speaks_for_its_own_and_for_few() {
    let presence = presence(1 << 20);
    presence.hear(1, &[here(7, 1)]).unwrap();
    presence.hear(2, &[here(7, 9)]).unwrap();
    assert_eq!(told(&all(&presence)), [(7, Some(1))], "it is another's");
    presence.leave(1);
    presence.hear(2, &[here(7, 9)]).unwrap();
    assert_eq!(told(&all(&presence)), [(7, Some(9))], "until that has gone");
    for client in 0..PER_CONNECTION_MAX as u64 {
        presence.hear(3, &[here(100 + client, 1)]).unwrap();
    }
    assert_eq!(presence.hear(3, &[here(200, 1)]), Err(Unheard::TooMany));
    presence.hear(3, &[here(100, 2)]).unwrap();
}

#[test]
fn what_is_said_is_paid_for() {
    let presence = presence(2 * STATE_BYTES);
    presence.hear(1, &[here(7, 1)]).unwrap();
    assert!(matches!(presence.hear(1, &[here(8, 1), here(9, 1)]), Err(Unheard::NoRoom(_))));
}
