//! A real document, and clients that are real documents of their own.

mod hostile;
mod size;

use stockade_gate::Standing;
use yrs::{Array as _, StateVector as Vector, Text as _};

use super::*;
use crate::access::Access;
use crate::manifest::{Manifest, Overrides, Role};

const HOST: u64 = 100;

fn manifest() -> Manifest {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    std::fs::write(folder.path().join("a.wasm"), b"").unwrap();
    let file = folder.path().join("m.yaml");
    let agents = "agents: { files: { component: a.wasm, memory: 16M, dirs: { /docs: { path: docs, access: read } } } }";
    std::fs::write(&file, format!("memory: 512M\n{agents}")).unwrap();
    Manifest::load(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The document, what the manifest fixes, and somebody of each role.
struct Host {
    document: Document,
    ceilings: Ceilings,
    operator: Principal,
    reader: Principal,
    paces: Paces,
}

impl Host {
    fn new() -> Self {
        let manifest = manifest();
        let mut document = Document::new(Epoch { number: 1, host: vec![HOST] });
        document.begin();
        document.write("files", &[("name", "files".into()), ("enabled", true.into())]).unwrap();
        document.write("other", &[("name", "other".into())]).unwrap();
        let reader = Principal::anonymous(100);
        let operator = Principal::anonymous(100).in_role(Role::Operator);
        assert_eq!(Access::new(&manifest, None).anonymous().role, Role::Reader);
        Self { document, ceilings: Ceilings::new(&manifest), operator, reader, paces: Paces::default() }
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<Applied, Refused> {
        self.apply_by(&Principal::anonymous(100).in_role(Role::Operator), bytes)
    }

    fn apply_by(&mut self, by: &Principal, bytes: &[u8]) -> Result<Applied, Refused> {
        let update = Update::read(bytes, &Limits::LIVE).map_err(|malformed| Refused::Gate(malformed.into()))?;
        let applied = self.document.apply((bytes, &update, false), by, &self.ceilings, &mut self.paces);
        self.compare();
        applied
    }

    /// The records say what the document says.
    fn compare(&self) {
        let Document { doc, agents, records, records_bytes, .. } = &self.document;
        let txn = doc.transact();
        let said = agents.keys(&txn).map(|agent| (agent.into(), values::record(&txn, agents, agent).unwrap().into()));
        assert_eq!(*records, said.collect::<Records>());
        assert_eq!(*records_bytes, records.values().map(|record| record.bytes()).sum::<usize>());
    }

    fn value(&self, agent: &str, field: &str) -> Value {
        self.document.records()[agent].get(field).clone()
    }
}

/// A client: a document of its own.
struct Client {
    doc: Doc,
    agents: MapRef,
}

impl Client {
    fn new(id: u64, host: &Host) -> Self {
        let client = Self::empty(id);
        client.take(&host.document.diff(&StateVector::default()));
        client
    }

    fn empty(id: u64) -> Self {
        let doc = Doc::with_client_id(id);
        let agents = doc.get_or_insert_map("agents");
        Self { doc, agents }
    }

    fn take(&self, update: &[u8]) {
        self.doc.transact_mut().apply_update(yrs::Update::decode_v1(update).unwrap()).unwrap();
    }

    /// What a change of its own looks like to others.
    fn edit(&self, change: impl FnOnce(&mut TransactionMut<'_>, &MapRef)) -> Vec<u8> {
        let mut txn = self.doc.transact_mut();
        change(&mut txn, &self.agents);
        txn.commit();
        txn.encode_update_v1()
    }

    fn set(&self, agent: &str, field: &'static str, value: impl Into<Value>) -> Vec<u8> {
        let value = value.into();
        self.edit(|txn, agents| values::put(txn, agents, agent, [(field, value)]))
    }

    fn value(&self, agent: &str, field: &str) -> Value {
        values::value(&self.doc.transact(), &self.agents, agent, field)
    }
}

#[test]
fn edits_of_those_who_may_are_taken_and_told() {
    let mut host = Host::new();
    let (ann, bob) = (Client::new(1, &host), Client::new(2, &host));
    let [one, two] = [ann.set("files", "title", "Files"), bob.set("files", "memory", 4_194_304)];
    for edit in [one, two] {
        let applied = host.apply(&edit).unwrap();
        assert_eq!((applied.updates.len(), applied.corrections.len()), (1, 0));
        [&ann, &bob].iter().for_each(|client| client.take(&applied.updates[0]));
    }
    for client in [&ann, &bob] {
        assert_eq!(
            (client.value("files", "title"), client.value("files", "memory")),
            ("Files".into(), 4_194_304.into())
        );
    }
    assert_eq!((host.value("files", "title"), host.value("files", "memory")), ("Files".into(), 4_194_304.into()));
    let changed: Vec<_> = host.document.take_changed().into_iter().map(|(agent, _)| agent.to_string()).collect();
    assert_eq!(changed, ["files", "other"]);
    // The same again is nothing.
    let again = ann.doc.transact().encode_state_as_update_v1(&Vector::default());
    assert!(host.apply(&again).unwrap().updates.is_empty());
    assert!(host.document.take_changed().is_empty());
}

#[test]
fn a_wrong_value_is_put_back_for_everybody() {
    let mut host = Host::new();
    let ann = Client::new(1, &host);
    host.document.write("files", &[("memory", 1_048_576.into())]).unwrap();
    ann.take(&host.document.diff(&StateVector::default()));
    let wrong: [(&'static str, Value, &str); 8] = [
        ("memory", "lots".into(), "`memory` takes a whole number of bytes"),
        ("memory", 1.5.into(), "a whole number"),
        ("memory", 33_554_432.into(), "`memory: 33554432` of agent `files` is more than the manifest's 16777216"),
        ("memory", 0.into(), "`enabled: false` disables it"),
        ("concurrency", 1000.into(), "more than the manifest's"),
        ("enabled", 1.into(), "true or false"),
        ("grants", serde_json::json!(["/etc"]), "the manifest grants no directory `/etc`"),
        ("title", "x".repeat(257).into(), "at most 256 bytes"),
    ];
    for (field, value, reason) in wrong {
        let before = host.value("files", field);
        let applied = host.apply(&ann.set("files", field, value)).unwrap();
        assert!(applied.corrections[0].contains(reason), "{applied:?}");
        assert_eq!(applied.updates.len(), 2);
        applied.updates.iter().for_each(|update| ann.take(update));
        assert_eq!((host.value("files", field), ann.value("files", field)), (before.clone(), before), "{field}");
    }
    for (field, value) in
        [("grants", serde_json::json!(["/docs"])), ("grants", serde_json::json!([])), ("retired", Value::Null)]
    {
        assert!(host.apply(&ann.set("files", field, value)).unwrap().corrections.is_empty(), "{field}");
    }
    // As pycrdt sends them.
    let float = ann.edit(|txn, agents| {
        let Some(yrs::Out::YMap(map)) = agents.get(txn, "files") else { panic!("a map") };
        map.insert(txn, "memory", 4_194_304.0);
    });
    assert!(host.apply(&float).unwrap().corrections.is_empty());
    assert_eq!(host.value("files", "memory"), 4_194_304);
}

#[test]
fn of_many_wrong_values_all_are_put_back_and_few_are_told() {
    let mut host = Host::new();
    let wrong = Client::new(1, &host).edit(|txn, agents| {
        for agent in ["files", "other"] {
            let fields = FIELDS.iter().filter(|field| field.by != crate::registry::schema::Writer::Host);
            values::put(txn, agents, agent, fields.map(|field| (field.name, serde_json::json!({ "no": 1 }))));
        }
    });
    let before = host.document.records().clone();
    assert_eq!(host.apply(&wrong).unwrap().corrections.len(), CORRECTIONS_MAX);
    assert_eq!(*host.document.records(), before);
}

#[test]
fn what_somebody_may_not_write_changes_nothing() {
    let mut host = Host::new();
    let before = host.document.diff(&StateVector::default());
    let forbidden = |host: &mut Host, edit: Vec<u8>, by: fn(&Host) -> &Principal| {
        let by = Principal::anonymous(100).in_role(by(&Host::new()).role.clone());
        host.apply_by(&by, &edit).unwrap_err().to_string()
    };
    let as_operator: fn(&Host) -> &Principal = |host| &host.operator;
    let as_reader: fn(&Host) -> &Principal = |host| &host.reader;
    // Each from a client of its own, that has not seen the others' edits.
    let mut ids = 1..;
    let mut edit = |host: &Host, change: &dyn Fn(&mut TransactionMut<'_>, &MapRef)| {
        Client::new(ids.next().unwrap(), host).edit(|txn, agents| change(txn, agents))
    };
    let set = |agent: &'static str, field: &'static str| {
        move |txn: &mut TransactionMut<'_>, agents: &MapRef| {
            values::put(txn, agents, agent, [(field, Value::from("x"))]);
        }
    };
    for field in FIELDS.iter().filter(|field| field.by == crate::registry::schema::Writer::Host) {
        let edit = edit(&host, &set("files", field.name));
        let refused = forbidden(&mut host, edit, as_operator);
        assert!(refused.starts_with(&format!("`{}` of agent `files` may not be written", field.name)), "{refused}");
    }
    for field in &FIELDS {
        let edit = edit(&host, &set("files", field.name));
        assert!(forbidden(&mut host, edit, as_reader).contains("may not be written by `anonymous`"));
    }
    let unknown = edit(&host, &set("files", "colour"));
    assert!(forbidden(&mut host, unknown, as_operator).starts_with("`colour` of agent `files`"));
    let new = edit(&host, &set("new", "title"));
    assert!(forbidden(&mut host, new, as_operator).starts_with("agent `new`"));
    let gone = edit(&host, &|txn, agents| drop(agents.remove(txn, "other")));
    assert!(forbidden(&mut host, gone, as_operator).starts_with("agent `other`"));
    let mixed = edit(&host, &|txn, agents| {
        values::put(txn, agents, "files", [("title", "right".into()), ("version", "9".into())]);
    });
    assert!(forbidden(&mut host, mixed, as_operator).starts_with("`version` of agent `files`"));
    // Nothing but deleted structs touches nothing, and is more than nothing all the same.
    assert!(forbidden(&mut host, vec![1, 1, 9, 0, 0, 5, 0], as_reader).contains("the document"));
    assert_eq!(host.document.diff(&StateVector::default()), before);
    assert_eq!(host.document.records().len(), 2);
}

#[test]
fn publishers_write_what_is_for_people_of_their_own_agents() {
    let mut host = Host::new();
    let publisher = Principal::anonymous(100).in_role(publisher_of("files"));
    let may = |host: &mut Host, client: u64, agent: &str, field: &'static str, value: Value| {
        let edit = Client::new(client, host).set(agent, field, value);
        host.apply_by(&publisher, &edit).is_ok()
    };
    assert!(may(&mut host, 1, "files", "title", "mine".into()));
    assert!(may(&mut host, 2, "files", "description", "for all".into()));
    assert!(!may(&mut host, 3, "files", "enabled", false.into()));
    assert!(!may(&mut host, 4, "other", "title", "not mine".into()));
}

/// The role as the manifest gives it.
fn publisher_of(agent: &str) -> Role {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let sha256 = "0".repeat(64);
    let tokens = format!("tokens: {{ team: {{ sha256: {sha256}, role: publisher, names: [{agent}] }} }}");
    std::fs::write(&file, format!("memory: 512M\n{tokens}\nagents: {{}}")).unwrap();
    let manifest = Manifest::load(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    manifest.tokens["team"].role.clone()
}

#[test]
fn other_types_and_roots_are_no_part_of_it() {
    let mut host = Host::new();
    let ann = Client::new(1, &host);
    let refused = |host: &mut Host, edit: Vec<u8>| match host.apply(&edit).unwrap_err() {
        Refused::Gate(Standing::Malformed(malformed)) => malformed.to_string(),
        other => panic!("{other}"),
    };
    let text = ann.doc.get_or_insert_text("notes");
    let edit = ann.edit(|txn, _| text.insert(txn, 0, "hello"));
    assert!(refused(&mut host, edit).contains("the only root is `agents`"));
    let list = Client::new(2, &host);
    let array = list.doc.get_or_insert_array("agents2");
    let edit = list.edit(|txn, _| {
        array.push_back(txn, 1);
    });
    assert!(refused(&mut host, edit).contains("the only root is `agents`"));
    let typed = Client::new(3, &host);
    let edit = typed.edit(|txn, agents| {
        let Some(yrs::Out::YMap(map)) = agents.get(txn, "files") else { panic!("a map") };
        map.insert(txn, "title", yrs::TextPrelim::new("text"));
    });
    assert!(refused(&mut host, edit).contains("type number 2"));
    // A map as a value is read, and put back.
    let mapped = Client::new(4, &host);
    let edit = mapped.edit(|txn, agents| {
        let Some(yrs::Out::YMap(map)) = agents.get(txn, "files") else { panic!("a map") };
        map.insert(txn, "title", yrs::MapPrelim::from([("a", 1)]));
    });
    assert_eq!(host.apply(&edit).unwrap().corrections.len(), 1);
    assert_eq!(host.value("files", "title"), Value::Null);
}

#[test]
fn a_document_that_begins_anew_says_the_same_in_less() {
    let mut host = Host::new();
    let ann = Client::new(1, &host);
    for round in 0..500 {
        let edit = ann.set(
            if round % 2 == 0 { "files" } else { "other" },
            if round % 3 == 0 { "title" } else { "description" },
            format!("{round}"),
        );
        host.apply(&edit).unwrap();
    }
    let (next, state) = host.document.renewed(HOST + 1);
    assert_eq!(next.records(), host.document.records());
    assert_eq!(next.epoch(), &Epoch { number: 2, host: vec![HOST + 1, HOST] });
    assert!(next.bytes() * 4 < host.document.bytes(), "{} of {}", next.bytes(), host.document.bytes());
    let fresh = Doc::with_client_id(6);
    let agents = fresh.get_or_insert_map("agents");
    fresh.transact_mut().apply_update(yrs::Update::decode_v1(&state).unwrap()).unwrap();
    assert_eq!(
        values::record(&fresh.transact(), &agents, "files").as_ref(),
        host.document.records().get("files").map(|record| &**record)
    );
    // Whoever has synced names the host's new id.
    assert!(next.state_vector().0.iter().any(|(client, _)| *client == HOST + 1));
}

#[test]
fn so_many_epochs_of_before_are_remembered() {
    let ids: Vec<u64> = (0..=EPOCHS_MAX as u64).map(|id| HOST + id).collect();
    let mut document = Document::new(Epoch { number: 9, host: ids.clone() });
    document.begin();
    let (next, _) = document.renewed(HOST - 1);
    let known = &next.epoch().host;
    assert_eq!((next.epoch().number, known.len(), known[0]), (10, EPOCHS_MAX + 1, HOST - 1));
    assert_eq!(known[1..], ids[..EPOCHS_MAX], "the earliest is forgotten");
}

#[test]
fn what_is_stored_is_restored_by_the_same_gate() {
    let mut host = Host::new();
    let ann = Client::new(1, &host);
    let mut stored = vec![host.document.diff(&StateVector::default())];
    for (field, value) in [("title", "Files"), ("description", "of all"), ("title", "again")] {
        stored.extend(host.apply(&ann.set("files", field, value)).unwrap().updates);
    }
    let mut again = Document::new(host.document.epoch().clone());
    again.know(host.document.authors().clone());
    stored.iter().for_each(|update| again.restore(update).unwrap());
    assert_eq!(again.records(), host.document.records());
    assert_eq!(again.bytes(), host.document.bytes());
    // The host's own clock goes on where it was.
    let update = again.write("files", &[("version", "2".into())]).unwrap();
    ann.take(&update);
    assert_eq!(ann.value("files", "version"), "2");
    let mut damaged = stored[0].clone();
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    assert!(matches!(again.restore(&damaged), Err(Refused::Gate(_))));
}

#[test]
fn a_marked_document_knows_what_others_have() {
    let mut host = Host::new();
    let ann = Client::new(1, &host);
    host.apply(&ann.set("files", "title", "one")).unwrap();
    host.document.mark();
    let before = host.document.state_vector();
    let late = Client::new(2, &host);
    host.apply(&ann.set("files", "title", "two")).unwrap();
    host.apply(&ann.set("files", "memory", "wrong")).unwrap();
    let sorted = |vector: StateVector| vector.0.into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(sorted(host.document.marked_vector()), sorted(before));
    late.take(&host.document.diff(&host.document.marked_vector()));
    assert_eq!((late.value("files", "title"), late.value("files", "memory")), ("two".into(), Value::Null));
}
