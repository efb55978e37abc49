//! What publishers might do beyond their rights, or to the host.

use stockade_gate::draft::{Draft, at, deleted, gone, gone_many, instead_of, value as value_of, within};

use super::*;

/// The map of `files` in the document of [`Host::new`], which the host has made after the beginning of the epoch.
fn map_of_files(host: &Host) -> stockade_gate::Id {
    let agents = &host.document.agents;
    let txn = host.document.doc.transact();
    let Some(yrs::Out::YMap(map)) = agents.get(&txn, "files") else { panic!("the host has made it") };
    let yrs::branch::BranchID::Nested(id) = AsRef::<yrs::branch::Branch>::as_ref(&map).id() else { panic!("no root") };
    at(id.client.get(), id.clock)
}

/// What yrs would make of it: it hangs what is not known of such an item behind what is, whatever the link says.
#[test]
fn what_is_known_in_part_is_asked_for_anew() {
    let mut host = Host::new();
    let map = map_of_files(&host);
    let operators = Draft::default().section(7, 0, [within(map, "memory", value_of(1))]);
    host.apply(&operators.bytes()).unwrap();
    let publishers = Draft::default().section(8, 0, [within(map, "title", deleted(1))]);
    host.apply(&publishers.bytes()).unwrap();
    let publisher = Principal::anonymous(100).in_role(publisher_of("files"));
    for link in [instead_of(at(8, 0), deleted(2)), within(map, "title", deleted(2))] {
        let hostile = Draft::default().section(7, 0, [link]);
        let refused = host.apply_by(&publisher, &hostile.bytes()).unwrap_err();
        assert_eq!(refused, Refused::Gate(Standing::Gap { client: 7, clock: 1 }));
    }
    assert_eq!(host.value("files", "memory"), 1);
}

#[test]
fn what_the_library_keeps_apart_is_counted() {
    let mut host = Host::new();
    let map = map_of_files(&host);
    host.apply(&Draft::default().section(7, 0, [within(map, "title", value_of(1))]).bytes()).unwrap();
    let (entries, bytes) = (host.document.entries(), host.document.bytes());
    let beside = Draft::default().section(8, 0, (0..1_000).map(|_| instead_of(at(7, 0), value_of(1))));
    host.apply(&beside.bytes()).unwrap();
    // Each of them, and for all but the first a run that may be taken apart.
    assert_eq!(host.document.entries(), entries + 1_000 + 999);
    assert!(host.document.bytes() > bytes + 100_000, "{}", host.document.bytes());
    // And it is no use to go on like that.
    let mut refused = None;
    for client in 9..12 {
        let more = Draft::default().section(client, 0, (0..1_000).map(|_| within(map, "title", value_of(1))));
        refused = host.apply(&more.bytes()).err();
    }
    assert!(
        matches!(refused, Some(Refused::Gate(Standing::Full { limit: "comparisons of one update", .. }))),
        "{refused:?}"
    );
}

#[test]
fn who_is_no_operator_adds_only_so_much() {
    let mut host = Host::new();
    let publisher = Principal::anonymous(100).in_role(publisher_of("files"));
    // Clients that nobody has heard of, who touch nothing: enough of them, and the document begins anew.
    let clients =
        |from: u64| (from..from + 200).fold(Draft::default(), |draft, client| draft.section(client, 0, [gone(1)]));
    let refused = (1..20).find_map(|turn| host.apply_by(&publisher, &clients(1_000 * turn).bytes()).err());
    assert!(matches!(refused, Some(Refused::TooFast { .. })), "{refused:?}");
    assert!(!host.document.is_crowded());
    host.apply(&clients(100_000).bytes()).unwrap();
}

/// What is nowhere is deleted as it is: holes in it, however many somebody makes, are none.
#[test]
fn what_is_nowhere_cannot_be_deleted_in_parts() {
    let mut host = Host::new();
    let publisher = Principal::anonymous(100).in_role(publisher_of("files"));
    let holes = |from: u32| {
        let ranges: Vec<_> = (from..from + 9_000).map(|nth| [2 * nth, 1]).collect();
        Draft::default().section(7, 0, [gone_many(300_000)]).delete(7, &ranges).bytes()
    };
    let used = |host: &Host| host.document.gate.used();
    host.apply_by(&publisher, &holes(0)).unwrap();
    let once = used(&host);
    for turn in 1..16 {
        host.apply_by(&publisher, &holes(9_000 * turn)).unwrap();
    }
    assert_eq!(used(&host), once);
    assert!(once.deletions <= 2 + 1, "{once:?}");
}

/// Every client that comes back sends all that is deleted, and that must fit in a message.
#[test]
fn a_document_of_which_much_was_deleted_apart_begins_anew() {
    let mut host = Host::new();
    let fields = |text: &str| FIELDS.each_ref().map(|field| (field.name, Value::from(text)));
    for number in 0..10_000 {
        host.document.write(&format!("agent-{number}"), &fields("one")).unwrap();
    }
    let mut overwritten = 0;
    while !host.document.is_crowded() {
        // Every second of what has been written, so that no two touch.
        let place = overwritten % (FIELDS.len() / 2) * 2;
        let agent = format!("agent-{}", overwritten / (FIELDS.len() / 2));
        host.document.write(&agent, &fields("two")[place..=place]).unwrap();
        overwritten += 1;
    }
    assert!((70_000..80_000).contains(&overwritten), "{overwritten}");
}
