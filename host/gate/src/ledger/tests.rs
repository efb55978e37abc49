//! What updates touch, what they need, and what they may not.

use super::ranges::Ranges;
use super::*;
use crate::draft::*;
use crate::{Limits, Update};

const HOST: u64 = 100;

/// A ledger with one agent, whose map is `HOST:0` and whose `title` is `HOST:1`.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(vec![HOST, HOST + 1], Capacity::default());
    let own = Draft::default().section(HOST, 0, [root("files", map()), within(at(HOST, 0), "title", value(1))]).bytes();
    let checked = ledger.check_own(&Update::read(&own, &Limits::STORED).unwrap()).unwrap();
    ledger.admit(checked);
    ledger
}

/// Checks an update, and says what it touches, as `agent` or `agent.field`.
fn touches(ledger: &Ledger, draft: &Draft) -> Result<Vec<String>, Standing> {
    let bytes = draft.bytes();
    let checked = ledger.check(&Update::read(&bytes, &Limits::LIVE)?)?;
    let names = checked.touches(ledger).map(|touch| match touch.field {
        Some(field) => format!("{}.{field}", touch.agent),
        None => touch.agent.to_owned(),
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}

fn admit(ledger: &mut Ledger, draft: &Draft) {
    let bytes = draft.bytes();
    let checked = ledger.check(&Update::read(&bytes, &Limits::LIVE).unwrap()).unwrap();
    ledger.admit(checked);
}

#[test]
fn an_update_says_what_it_would_touch() {
    let ledger = ledger();
    let draft = Draft::default;
    let said = |draft: Draft| touches(&ledger, &draft).unwrap().join(" ");
    assert_eq!(said(draft().section(7, 0, [instead_of(at(HOST, 1), value(2))])), "files.title");
    assert_eq!(said(draft().section(7, 0, [within(at(HOST, 0), "memory", value(2))])), "files.memory");
    assert_eq!(said(draft().section(7, 0, [root("files", map())])), "files");
    assert_eq!(said(draft().section(7, 0, [instead_of(at(HOST, 0), deleted(1))])), "files");
    assert_eq!(said(draft().section(7, 0, [root("other", map()), within(at(7, 0), "a", value(1))])), "other other.a");
    assert_eq!(said(draft().delete(HOST, &[[1, 1]])), "files.title");
    assert_eq!(said(draft().delete(HOST, &[[0, 2]])), "files files.title");
    // A key within a field, and one that takes its place.
    let grants = within(at(HOST, 0), "grants", map());
    let deep = draft().section(7, 0, [grants, within(at(7, 0), "docs", value(1)), instead_of(at(7, 1), value(2))]);
    assert_eq!(said(deep), "files.grants");
    assert_eq!(said(draft().section(7, 0, [gone(5)])), "", "who knows what it was");
    assert_eq!(said(draft()), "");
}

#[test]
fn what_is_known_changes_nothing() {
    let mut ledger = ledger();
    let edit = Draft::default().section(7, 0, [instead_of(at(HOST, 1), value(2))]).delete(HOST, &[[1, 1]]);
    admit(&mut ledger, &edit);
    let again = Update::read(&edit.bytes(), &Limits::LIVE).map(|update| ledger.check(&update).unwrap().is_empty());
    assert_eq!(again, Ok(true));
    // Of a run that is known in part, the rest is new; but nobody knows where it belongs, unless it is nowhere.
    admit(&mut ledger, &Draft::default().section(7, 1, [instead_of(at(7, 0), deleted(2))]));
    for link in [instead_of(at(7, 0), deleted(4)), within(at(HOST, 0), "memory", deleted(4))] {
        let longer = Draft::default().section(7, 0, [gone(1), link]);
        assert_eq!(touches(&ledger, &longer), Err(Standing::Gap { client: 7, clock: 3 }), "{longer:?}");
    }
    assert_eq!(touches(&ledger, &Draft::default().section(7, 0, [gone(4)])), Ok(vec![]));
    let rest = Draft::default().section(7, 3, [instead_of(at(7, 2), deleted(2))]);
    assert_eq!(touches(&ledger, &rest), Ok(vec!["files.title".to_owned()]));
    admit(&mut ledger, &rest);
    assert_eq!((ledger.clients[&7].next, ledger.clients[&7].entries.len()), (5, 2), "a run of deleted ones");
    // The host's structs come back with everybody's first answer; as long as they are none but its own, that is fine.
    let echo = Draft::default().section(HOST, 0, [root("files", map()), gone(1)]);
    assert_eq!(touches(&ledger, &echo), Ok(vec![]));
    let mut vector = ledger.state_vector().0;
    vector.sort_unstable();
    assert_eq!(vector, [(7, 5), (HOST, 2)]);
}

#[test]
fn what_builds_on_the_unknown_is_a_gap() {
    let ledger = ledger();
    let gap = |draft: Draft, client, clock| {
        assert_eq!(touches(&ledger, &draft), Err(Standing::Gap { client, clock }), "{draft:?}");
    };
    gap(Draft::default().section(7, 1, [gone(1)]), 7, 0);
    gap(Draft::default().section(7, 0, [instead_of(at(HOST, 2), value(1))]), HOST, 2);
    gap(Draft::default().section(7, 0, [within(at(8, 0), "a", value(1))]), 8, 0);
    gap(Draft::default().delete(8, &[[0, 1]]), 8, 0);
    gap(Draft::default().delete(HOST, &[[1, 2]]), HOST, 2);
}

#[test]
fn dependencies_are_resolved_in_whatever_order_they_come() {
    let ledger = ledger();
    // 7:0 needs 8:1, which needs 9:0; and 8:2 needs 7:0.
    let draft = Draft::default()
        .section(7, 0, [instead_of(at(8, 1), value(1))])
        .section(8, 0, [gone(1), within(at(9, 0), "a", value(1)), instead_of(at(7, 0), value(2))])
        .section(9, 0, [root("new", map())]);
    assert_eq!(touches(&ledger, &draft), Ok(vec!["new".to_owned(), "new.a".to_owned()]));
    for circle in [
        Draft::default().section(7, 0, [instead_of(at(7, 0), value(1))]),
        Draft::default().section(7, 0, [instead_of(at(7, 1), value(1)), gone(1)]),
        Draft::default().section(7, 0, [instead_of(at(8, 0), value(1))]).section(
            8,
            0,
            [instead_of(at(7, 0), value(1))],
        ),
    ] {
        let refused = touches(&ledger, &circle).unwrap_err();
        assert_eq!(refused, Malformed::Broken("structs depend on each other in a circle").into());
    }
}

#[test]
fn only_maps_have_keys_and_not_too_deep() {
    let ledger = ledger();
    let value_with_a_key = Draft::default().section(7, 0, [within(at(HOST, 1), "a", value(1))]);
    let refused = touches(&ledger, &value_with_a_key).unwrap_err();
    assert_eq!(refused, Malformed::Broken("a key within something that is no map").into());
    let deep = Draft::default().section(7, 0, [within(at(HOST, 0), "grants", map()), within(at(7, 0), "docs", map())]);
    assert_eq!(touches(&ledger, &deep), Err(Malformed::beyond("nesting of maps", 2, 3).into()));
    // What was deleted takes its keys with it.
    let lost = Draft::default().section(7, 0, [root("new", deleted(1)), within(at(7, 0), "a", value(1)), gone(1)]);
    assert_eq!(touches(&ledger, &lost), Ok(vec!["new".to_owned()]));
    let of_the_lost =
        Draft::default().section(7, 0, [gone(1), instead_of(at(7, 0), value(1)), within(at(7, 0), "a", map())]);
    assert_eq!(touches(&ledger, &of_the_lost), Ok(vec![]));
}

#[test]
fn nobody_writes_in_the_hosts_name() {
    let ledger = ledger();
    for (client, clock) in [(HOST, 2), (HOST + 1, 0)] {
        let forged = Draft::default().section(client, clock, [within(at(HOST, 0), "a", value(1))]);
        assert_eq!(touches(&ledger, &forged), Err(Standing::Forged(client)));
    }
    let far = Draft::default().section(HOST, crate::CLOCK_MAX - 1, [gone(1)]);
    assert_eq!(touches(&ledger, &far), Err(Standing::Forged(HOST)), "whatever its clock is");
}

#[test]
fn every_capacity_is_met() {
    let one = Capacity { clients: 1, entries: 2, agents: 1, fields: 1, deletions: 2, comparisons: 9 };
    let check = |capacity: Capacity, draft: Draft| {
        let bytes = draft.bytes();
        Ledger::new(vec![HOST], capacity).check(&Update::read(&bytes, &Limits::LIVE).unwrap()).map(drop)
    };
    let full = |limit, max, wanted| Err(Standing::Full { limit, max, wanted });
    let fits = Draft::default().section(7, 0, [root("a", map()), within(at(7, 0), "f", value(1))]);
    check(one, fits.clone()).unwrap();
    assert_eq!(check(one, fits.clone().section(8, 0, [gone(1)])), full("clients", 1, 2));
    let more = |next| Draft::default().section(7, 0, [root("a", map()), within(at(7, 0), "f", value(1)), next]);
    assert_eq!(check(one, more(instead_of(at(7, 0), deleted(1)))), full("entries", 2, 3));
    let wide = Capacity { entries: 9, ..one };
    assert_eq!(check(wide, more(root("b", map()))), full("names of agents", 1, 2));
    assert_eq!(check(wide, more(within(at(7, 0), "g", value(1)))), full("names of fields", 1, 2));
    let holes = |count: u32| {
        let ranges: Vec<_> = (0..count).map(|nth| [2 * nth, 1]).collect();
        Draft::default().section(7, 0, [gone(9)]).delete(7, &ranges)
    };
    check(one, holes(2)).unwrap();
    assert_eq!(check(one, holes(3)), full("ranges deleted", 2, 3));
    let slow = Capacity { comparisons: 3, ..wide };
    check(slow, more(within(at(7, 0), "f", value(1)))).unwrap_err();
    assert_eq!(check(slow, more(within(at(7, 0), "f", value(1)))), full("comparisons of one update", 3, 4));
}

/// As the library does it: what takes no other's place is compared with all at its place, what takes that of one whose place is
/// taken with all behind it; the rest with nothing.
#[test]
fn what_stands_beside_others_is_compared_with_them() {
    let mut ledger = ledger();
    let burden = |ledger: &Ledger, draft: &Draft| {
        let bytes = draft.bytes();
        ledger.check(&Update::read(&bytes, &Limits::SYNC).unwrap()).unwrap().burden()
    };
    let draft = Draft::default;
    // By turns, as two do who hear of each other.
    let mut last = at(HOST, 1);
    for clock in 0..10 {
        for client in [7, 8] {
            let edit = draft().section(client, clock, [instead_of(last, value(1))]);
            assert_eq!(burden(&ledger, &edit).comparisons, 0);
            admit(&mut ledger, &edit);
            last = at(client, clock);
        }
    }
    assert_eq!(ledger.used().entries, 2 + 20, "the library makes no runs of them");
    let late = draft().section(9, 0, [instead_of(at(HOST, 1), value(1))]);
    assert_eq!(burden(&ledger, &late), Burden { entries: 1 + 1, clients: 1, deletions: 0, comparisons: 1 + 21 });
    let beside = draft().section(9, 0, (0..3).map(|_| instead_of(last, value(1))));
    assert_eq!(
        burden(&ledger, &beside),
        Burden { entries: 3 + 2, clients: 1, deletions: 0, comparisons: 22 + 1 + 23 + 1 }
    );
    let first = draft().section(9, 0, (0..2).map(|_| within(at(HOST, 0), "title", value(1))));
    assert_eq!(burden(&ledger, &first), Burden { entries: 2, clients: 1, deletions: 0, comparisons: 22 + 23 });
    let elsewhere = draft().section(9, 0, [within(at(HOST, 0), "memory", value(1))]);
    assert_eq!(burden(&ledger, &elsewhere).comparisons, 1);
    // A library makes one of a run only when it has taken all of it.
    let run = (0..10).map(|clock| instead_of(if clock == 0 { last } else { at(9, clock - 1) }, value(1)));
    let run = draft().section(9, 0, run).section(10, 0, [instead_of(at(9, 0), value(1))]);
    assert_eq!(
        burden(&ledger, &run),
        Burden { entries: 1 + 1 + 1, clients: 2, deletions: 0, comparisons: 1 + 21 + 10 }
    );
    // And it takes those apart that are several in one, from the last to the first.
    let several = draft().section(9, 0, [instead_of(last, deleted(100))]);
    let several = several.section(10, 0, (0..99).rev().map(|clock| instead_of(at(9, clock), deleted(1))));
    let taken = (0..99).map(|nth| 1 + 21 + 1 + nth).sum();
    assert_eq!(
        burden(&ledger, &several),
        Burden { entries: 1 + 99 + 99, clients: 2, deletions: 0, comparisons: taken }
    );
    // Within a run, all but the last are taken.
    admit(&mut ledger, &draft().section(9, 0, [instead_of(last, deleted(5))]));
    assert!(burden(&ledger, &draft().section(9, 5, [instead_of(at(9, 3), value(1))])).comparisons > 0);
    assert_eq!(burden(&ledger, &draft().section(9, 5, [instead_of(at(9, 4), value(1))])).comparisons, 0);
}

#[test]
fn runs_of_one_field_are_one_entry() {
    let mut ledger = ledger();
    let edits =
        (0..100).map(|n| instead_of(at(if n == 0 { HOST } else { 7 }, if n == 0 { 1 } else { n - 1 }), value(1)));
    admit(&mut ledger, &Draft::default().section(7, 0, edits));
    assert_eq!(ledger.used(), Capacity { clients: 2, entries: 3, agents: 1, fields: 1, deletions: 0, comparisons: 0 });
    ledger.note_deleted(7, vec![[0, 99], [99, 200]]);
    assert_eq!(ledger.clients[&7].deleted.ranges(), [[0, 100]], "no more than there is");
    assert_eq!(ledger.used().deletions, 1);
    assert!(ledger.bytes() > 100 && ledger.bytes() < 4096, "{}", ledger.bytes());
}

/// What one range makes larger is nothing more to keep.
#[test]
fn ranges_that_are_deleted_apart_from_others_are_counted() {
    let mut ledger = ledger();
    let draft = |deleted: &[[u32; 2]]| Draft::default().section(7, 0, [gone(100)]).delete(7, deleted);
    let apart = |ledger: &Ledger, draft: &Draft| {
        let bytes = draft.bytes();
        ledger.check(&Update::read(&bytes, &Limits::SYNC).unwrap()).unwrap().burden().deletions
    };
    assert_eq!(apart(&ledger, &draft(&[[0, 1], [10, 10], [30, 1]])), 3);
    admit(&mut ledger, &draft(&[[0, 1], [10, 10], [30, 1]]));
    assert_eq!(ledger.used().deletions, 3);
    // Known; behind one, before one, between two, and around one; apart.
    for (ranges, count) in [
        (&[[10, 10]][..], 0),
        (&[[1, 1]], 0),
        (&[[5, 5]], 0),
        (&[[20, 10]], 0),
        (&[[29, 3]], 0),
        (&[[3, 1], [40, 1]], 2),
    ] {
        assert_eq!(apart(&ledger, &draft(ranges)), count, "{ranges:?}");
    }
    admit(&mut ledger, &draft(&[[20, 10]]));
    assert_eq!(ledger.used().deletions, 2, "two have become one");
}

#[test]
fn ranges_melt_together() {
    let mut ranges = Ranges::default();
    for [begin, end] in [[10, 12], [20, 30], [14, 16], [12, 14], [5, 5], [0, 1], [1, 2]] {
        ranges.add(begin, end);
    }
    assert_eq!(ranges.ranges(), [[0, 2], [10, 16], [20, 30]]);
    assert_eq!(ranges.missing(0, 40), [[2, 10], [16, 20], [30, 40]]);
    assert_eq!(ranges.missing(11, 15), Vec::<[u32; 2]>::new());
    assert_eq!(ranges.missing(15, 21), [[16, 20]]);
    ranges.add(1, 25);
    assert_eq!(ranges.ranges(), [[0, 30]]);
    assert!(ranges.has(0) && ranges.has(29) && !ranges.has(30));
    // Many at once are the same as one by one.
    let many: Vec<[u32; 2]> =
        (0..100).map(|n| n * 37 % 101).map(|begin| [2 * begin, 2 * begin + 1 + begin % 2]).collect();
    let (mut one_by_one, mut at_once) = (Ranges::default(), Ranges::default());
    for ranges in [&mut one_by_one, &mut at_once] {
        ranges.add(31, 77);
    }
    many.iter().for_each(|[begin, end]| one_by_one.add(*begin, *end));
    at_once.extend(many);
    assert_eq!(at_once.ranges(), one_by_one.ranges());
}
