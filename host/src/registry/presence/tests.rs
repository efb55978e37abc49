//! Who may say what of whom, and when it is forgotten.

use stockade_ledger::{Ledger, Spec};

use super::*;

fn presence(ceiling: u64) -> Presence {
    Presence::new(Ledger::new(1 << 30).account(Spec { name: "streams".into(), ceiling, floor: 0 }).unwrap())
}

fn here(client: u64, clock: u64) -> State<'static> {
    State { client, clock, json: Some("{}") }
}

/// The clients that a message says are there, with their clocks; none for one that has gone.
fn told(messages: &[Vec<u8>]) -> Vec<(u64, Option<u64>)> {
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

/// y-websocket repeats what it is told: of many at once, and late.
#[test]
fn what_is_repeated_changes_nothing() {
    let presence = presence(1 << 20);
    let many: Vec<_> = (0..100).map(|client| here(client, 1)).collect();
    many.iter().zip(10..).for_each(|(state, connection)| presence.hear(connection, &[*state]).unwrap());
    presence.news();
    presence.hear(1, &many).unwrap();
    assert!(presence.news().is_empty());
    presence.leave(10);
    presence.hear(1, &many).unwrap();
    assert_eq!(told(&presence.news()), [(0, None)], "while nobody has been told that it has gone");
    presence.hear(1, &many).unwrap();
    assert!(presence.news().is_empty(), "nor afterwards");
    // Who is back says so with its next clock.
    presence.hear(2, &[here(0, 1)]).unwrap();
    presence.hear(2, &[here(0, 2)]).unwrap();
    assert_eq!(told(&presence.news()), [(0, Some(2))]);
    // What it says of its own counts, wherever that stands among what it repeats.
    let own: Vec<_> = many.iter().copied().chain((0..9).map(|client| here(500 + client, 1))).collect();
    assert_eq!(presence.hear(3, &own), Err(Unheard::TooMany));
    assert_eq!(told(&presence.news()).len(), PER_CONNECTION_MAX);
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_is_remembered_for_a_while_and_only_so_many() {
    let presence = presence(1 << 20);
    let come_and_go = |client: u64| {
        presence.hear(client, &[here(client, 1)]).unwrap();
        presence.leave(client);
        presence.news();
    };
    let remembered = |client: u64| {
        presence.hear(1, &[here(client, 1)]).unwrap();
        let is_new = !presence.news().is_empty();
        presence.leave(1);
        presence.news();
        !is_new
    };
    come_and_go(7);
    tokio::time::advance(GONE_KEPT - Duration::from_millis(1)).await;
    assert!(remembered(7));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!remembered(7));
    // From the last time it went.
    tokio::time::advance(GONE_KEPT - Duration::from_millis(1)).await;
    presence.hear(7, &[here(7, 2)]).unwrap();
    presence.leave(7);
    presence.news();
    tokio::time::advance(Duration::from_millis(2)).await;
    presence.hear(1, &[here(7, 2)]).unwrap();
    assert!(presence.news().is_empty());
    (100..100 + GONE_MAX as u64).for_each(come_and_go);
    let table = presence.lock();
    assert_eq!((table.gone.len(), table.gone_since.len()), (GONE_MAX, GONE_MAX));
}

/// Else a client that is told of its own last clock would have to count on from there, and be taken for a hostile one.
#[test]
fn nobody_is_told_of_a_clock_that_has_no_next() {
    let presence = presence(1 << 20);
    for clock in [CLOCK_MAX + 1, u64::from(u32::MAX), (1 << 53) - 1] {
        presence.hear(1, &[here(7, clock)]).unwrap();
        assert_eq!(presence.count(), 0, "{clock}");
    }
    presence.hear(1, &[here(7, CLOCK_MAX)]).unwrap();
    presence.leave(1);
    assert_eq!(told(&presence.news()), [(7, None)]);
}
