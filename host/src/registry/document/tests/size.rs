//! How large a document may become, and when it begins anew.

use super::*;
use crate::registry::schema::AGENTS_MAX;

#[test]
fn a_document_is_crowded_long_before_a_new_client_would_be_refused() {
    let mut host = Host::new();
    let (began, mut clients) = (host.document.diff(&StateVector::default()), 0);
    while !host.document.is_crowded() {
        // All of them have seen the beginning only.
        let client = Client::empty(1_000 + clients);
        client.take(&began);
        let field = if clients % 2 == 0 { "title" } else { "description" };
        host.apply(&client.set("files", field, format!("{clients}"))).unwrap();
        clients += 1;
    }
    assert!((4_000..6_000).contains(&clients), "{clients}");
    let (next, _) = host.document.renewed(HOST + 1);
    assert!(!next.is_crowded());
    assert_eq!(next.records(), host.document.records());
}

#[test]
fn there_are_so_many_agents_and_no_more() {
    let mut host = Host::new();
    for number in host.document.records().len()..AGENTS_MAX {
        let agent = format!("agent-{number}");
        host.document.holds(&agent, &[]).unwrap();
        host.document.write(&agent, &[("name", agent.as_str().into())]).unwrap();
    }
    assert_eq!(host.document.holds("one-more", &[]), Err(Refused::TooMany("one-more".into())));
    host.document.holds("files", &[]).unwrap();
    assert!(!host.document.is_crowded(), "a full registry has room to be edited");
    host.document.remove("agent-100").unwrap();
    host.document.holds("one-more", &[]).unwrap();
}

#[test]
fn the_largest_registry_begins_anew_and_is_restored() {
    let mut host = Host::new();
    let text = |number: usize| Value::from(format!("{number} {}", "x".repeat(4_000)));
    let mut agents = 0;
    let refused = loop {
        let (agent, fields) = (format!("agent-{agents}"), [("description", text(agents))]);
        match host.document.holds(&agent, &fields) {
            Ok(()) => drop(host.document.write(&agent, &fields)),
            Err(refused) => break refused,
        }
        agents += 1;
    };
    assert!(matches!(refused, Refused::TooLarge { .. }) && agents > 5_000, "{refused} after {agents} agents");
    let mut titled = 0;
    while host.document.has_room(300).is_ok() {
        host.document.write(&format!("agent-{titled}"), &[("title", "x".repeat(200).into())]).unwrap();
        titled += 1;
    }
    let edit = Client::new(1, &host).set("files", "title", "x".repeat(250));
    assert!(matches!(host.apply(&edit), Err(Refused::TooLarge { .. })));
    let edit = ("description".to_owned(), text(1));
    let told = host.document.edit(&"files".into(), vec![edit], &host.operator, &host.ceilings);
    assert!(matches!(told, Err(Refused::TooLarge { .. })), "{told:?}");
    // Shorter is always taken.
    let edit = ("description".to_owned(), "short".into());
    host.document.edit(&"agent-0".into(), vec![edit], &host.operator, &host.ceilings).unwrap().unwrap();
    // So is what disables or retires an agent.
    let retire = Client::new(2, &host).set("files", "retired", 1_000);
    assert_eq!(host.apply(&retire).unwrap().corrections, Vec::<String>::new());

    let (next, state) = host.document.renewed(HOST + 1);
    assert_eq!(next.records(), host.document.records());
    let mut again = Document::new(next.epoch().clone());
    again.restore(&state).unwrap();
    assert_eq!(again.records(), host.document.records());
    let mut whole = Document::new(host.document.epoch().clone());
    whole.restore(&host.document.diff(&StateVector::default())).unwrap();
    assert_eq!(whole.records(), host.document.records());
}
