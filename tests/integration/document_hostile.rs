//! Clients of the registry's document that do what clients may not: each is told why it is sent away, and nobody else notices.

use serde_json::json;
use stockade::access::Token;
use stockade::registry::schema::{FIELDS, Field, Writer};
use stockade_gate::Message;
use stockade_gate::draft::{Draft, at, gone, instead_of, map, root, value as value_of, within};
use stockade_tests::TestHost;
use stockade_tests::editor::{Closed, Editor};
use stockade_tests::load::host::Host;
use yrs::{Any, Map as _, Out};

use crate::access::tokens;

const AGENTS: &str = "agents:\n  hello: { component: '{agents}/hello.wasm', memory: 16M }\n  \
                      everything: { component: '{agents}/everything.wasm', memory: 16M }\n";

/// How a host ends a connection: its code, and what its reason contains for an update that happens and for one that syncs.
type End = (u16, [&'static str; 2]);

/// How a connection has ended; none if it goes on.
async fn ended(editor: &mut Editor) -> Option<(u16, String)> {
    let error = editor.settle().await.err()?;
    let Closed { code, reason } = error.downcast::<Closed>().expect("it says why");
    Some((code, reason))
}

/// Inputs that were seen to crash, hang or bloat a yrs document that trusts its clients.
fn hostile(host: (u64, u32)) -> Vec<(&'static str, Vec<u8>, Option<End>)> {
    let draft = Draft::default;
    let value = |value: Vec<u8>| draft().section(1, 0, [root("a", (8, value))]).bytes();
    let (deep, mut claims) = ([vec![1], [117, 1].repeat(7_000), vec![126]].concat(), vec![1]);
    (0..100).for_each(|_| claims.extend([118, 0xc0, 0x84, 0x3d, 1, b'k']));
    let nested = |depth: u32| {
        let within = (0..depth).map(|n| within(at(1, n), "k", map()));
        draft().section(1, 0, [vec![root("a", map())], within.collect()].concat()).bytes()
    };
    let crowd = |clients: u64| {
        (1..=clients).fold(draft(), |draft, client| draft.section(client, 0, [root("hello", map())])).bytes()
    };
    let deletes = |clients: u64| (1..=clients).fold(draft(), |draft, client| draft.delete(client, &[[0, 1]])).bytes();
    let both = |code, reason| Some((code, [reason; 2]));
    vec![
        (
            "one client twice",
            draft().section(1, 0, [gone(1)]).section(1, 1, [gone(1)]).bytes(),
            both(4400, "a client comes twice"),
        ),
        ("a value 7,000 deep", value(deep), both(4400, "depth of a value: 33, and 32")),
        ("maps 5,000 deep", nested(5_000), Some((4400, ["structs of an update", "nesting of maps"]))),
        ("maps three deep", nested(3), both(4400, "nesting of maps: 3, and 2")),
        ("a claim of 2^27 clients", vec![0x80, 0x80, 0x80, 0x40], both(4400, "clients of an update: 134217728")),
        ("claims of a million entries", value(claims), both(4400, "it ends too early")),
        ("bytes, which no field holds", value(vec![1, 116, 2, 1, 1]), both(4400, "value number 116 has no place")),
        (
            "a value of 300 parts",
            value([vec![1, 117, 0xac, 2], vec![126; 300]].concat()),
            both(4400, "parts of a value: 257, and 256"),
        ),
        ("a hundred thousand clients and one key", crowd(100_000), both(1009, "and 1048576 are allowed")),
        ("forty thousand clients and one key", crowd(40_000), both(4400, "clients of an update: 40000, and 256")),
        ("a hundred clients and one key", crowd(100), both(4403, "agent `hello` may not be written by `operator`")),
        (
            "the host's own id",
            draft().section(host.0, host.1, [root("a", map())]).bytes(),
            both(4400, "the host's own id"),
        ),
        (
            "the host's own id, far ahead",
            draft().section(host.0, (1 << 31) - 2, [gone(1)]).bytes(),
            both(4400, "the host's own id"),
        ),
        (
            "the host's own id, further than clocks go",
            draft().section(host.0, 4_000_000_000, [gone(1)]).bytes(),
            both(4400, "clock: 4000000000, and 2147483647"),
        ),
        (
            "thirty thousand deletes of unknown clients",
            deletes(30_000),
            both(4400, "clients of whom an update deletes: 30000, and 10000"),
        ),
        // Honest clients may do so: they are asked for what is missing.
        ("deletes of unknown clients", deletes(1_000), None),
        ("what nobody knows", draft().section(1, 0, [instead_of(at(9, 9), value_of(1))]).bytes(), None),
        ("a client's later structs", draft().section(1, 5, [gone(1)]).bytes(), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_updates_are_refused_by_name_and_harm_nobody() {
    let agents = "memory: 256M\nagents: { hello: { component: '{hello}' } }";
    let host = Host::start(tempfile::tempdir().expect("a folder"), agents).await.expect("the host starts");
    let token = std::fs::read_to_string(host.dir.path().join("data/operator.token")).expect("the operator's token");
    let token = Some(token.trim());
    let mut honest = Editor::connect(host.address, token).await.expect("it is let in");
    let own = *honest.known().first().expect("the host has written");
    let before = host.resident().expect("it runs").bytes;
    for (name, update, end) in hostile(own) {
        for (nth, frame) in [Message::Update(&update), Message::Step2(&update)].into_iter().enumerate() {
            let mut editor = Editor::connect(host.address, token).await.expect("it is let in");
            // Of what is too long the host does not even take the end.
            let sent = editor.send_bytes(frame.write()).await;
            assert!(sent.is_ok() || end.is_some(), "{name}: {sent:?}");
            let ended = ended(&mut editor).await;
            assert_eq!(ended.as_ref().map(|(code, _)| *code), end.map(|(code, _)| code), "{name}: {ended:?}");
            if let (Some((_, reason)), Some((_, said))) = (ended, end) {
                assert!(reason.contains(said[nth]), "{name}: {reason}");
            }
        }
        honest.set([("hello", "title", name)]).await.expect("it is connected");
        honest.settle().await.expect("nobody else is harmed");
        let reader = Editor::connect(host.address, None).await.expect("it is let in");
        assert_eq!((reader.names(), reader.field("hello", "title")), (vec!["hello".to_owned()], Some(name.into())));
    }
    let grown = host.resident().expect("it runs").bytes.saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes");
}

/// The library would keep each of them, and look at all of them again for each that comes.
#[tokio::test(flavor = "multi_thread")]
async fn updates_that_miss_something_are_not_kept() {
    let host = TestHost::start(&format!("document: {{ rate: 1000000 }}\n{AGENTS}"));
    let mut honest = Editor::connect(host.address, Some(&host.operator_token())).await.expect("it is let in");
    let mut hostile = Editor::connect(host.address, Some(&host.operator_token())).await.expect("it is let in");
    let before = host.used("document");
    for turn in 0..40 {
        for nth in 0..500 {
            let (client, clock) = (1_000 + turn * 500 + nth, 1 + nth as u32);
            let update = Draft::default().section(client, clock, [instead_of(at(client, 0), value_of(1))]).bytes();
            hostile.send_bytes(Message::Update(&update).write()).await.expect("it is no offence");
        }
        hostile.settle().await.expect("it goes on");
        honest.set([("hello", "memory", 1_000_000 + turn as i64)]).await.expect("it is connected");
        honest.settle().await.expect("it goes on");
    }
    assert_eq!(host.used("document").saturating_sub(before) / (64 << 10), 0, "nothing is kept");
    let reader = Editor::connect(host.address, None).await.expect("it is let in");
    assert_eq!((reader.known().len(), reader.field("hello", "memory")), (2, Some(Any::from(1_000_039_i64))));
    // What everybody asks for who comes anew is kept until it changes.
    honest.set([("hello", "title", "the last word")]).await.expect("it is connected");
    honest.settle().await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_has_its_code() {
    let mut host = TestHost::start(&format!("document: {{ clients: 4 }}\n{AGENTS}"));
    let token = host.operator_token();
    let other = Editor::connect_to("another", host.address, Some(&token)).await.err().expect("there is one document");
    let Closed { code, reason } = other.downcast().expect("it says why");
    assert_eq!((code, &*reason), (4404, "there is one document, `@mcp.registry`"));
    let mut editor = Editor::connect(host.address, Some(&token)).await.expect("it is let in");
    editor.send_text("hello").await.expect("sent");
    assert_eq!(ended(&mut editor).await, Some((4400, "messages are binary".to_owned())));
    let mut reader = Editor::connect(host.address, None).await.expect("it is let in");
    reader.set([("hello", "title", "mine")]).await.expect("sent");
    let (code, reason) = ended(&mut reader).await.expect("it may not");
    assert_eq!((code, &*reason), (4403, "`title` of agent `hello` may not be written by `anonymous`"));
    let mut editors = Vec::new();
    for _ in 0..4 {
        editors.push(Editor::connect(host.address, Some(&token)).await.expect("it is let in"));
    }
    let fifth = Editor::connect(host.address, Some(&token)).await.err().expect("there is no place");
    let Closed { code, reason } = fifth.downcast().expect("it says why");
    assert_eq!((code, &*reason), (1013, "`document.clients` allows you 4 connections, and there are 4"));
    let mut last = editors.pop().expect("four");
    drop(editors);
    // What everybody asks for who comes anew is kept until it changes.
    last.set([("hello", "title", "the last word")]).await.expect("sent");
    last.settle().await.expect("taken");
    let host = tokio::task::spawn_blocking(move || {
        host.stop();
        host
    });
    let host = host.await.expect("it stops");
    assert_eq!(ended(&mut last).await, Some((1001, "the host is stopping".to_owned())));
    drop(host);
}

/// As a y-websocket client that was away: what it has is of a document that is no more, and must not be mixed with the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_before_does_not_come_back() {
    let host = TestHost::start(AGENTS);
    let token = host.operator_token();
    let mut old = Editor::connect(host.address, Some(&token)).await.expect("it is let in");
    let mut author = Editor::connect(host.address, Some(&token)).await.expect("it is let in");
    author.set([("hello", "title", "kept")]).await.expect("sent");
    // So many clients have never written at once: the document begins anew.
    let mut crowds = (0..30).map(newcomers);
    let epoch = loop {
        let update = crowds.next().expect("it begins anew before that");
        if author.send_bytes(Message::Update(&update).write()).await.is_err() {
            break ended(&mut author).await;
        }
        if let Some(epoch) = ended(&mut author).await {
            break Some(epoch);
        }
    };
    let retired = Some((
        4409,
        "your copy is of another document, or of before this one began anew: discard it and come with an empty one"
            .to_owned(),
    ));
    assert_eq!((&epoch, &ended(&mut old).await), (&retired, &retired));
    // Whoever was away has written meanwhile.
    let _ = old.set([("hello", "title", "of before")]).await;
    let mut host = host;
    for is_restarted in [false, true] {
        if is_restarted {
            host = tokio::task::spawn_blocking(move || host.again()).await.expect("it starts again");
        }
        let again = old.reconnect(host.address, Some(&token)).await.expect_err("it is of before");
        let Closed { code, .. } = again.downcast().expect("it says why");
        assert_eq!(code, 4409);
        let mut fresh = Editor::connect(host.address, Some(&token)).await.expect("it is let in");
        assert_eq!(fresh.field("hello", "title"), Some("kept".into()));
        assert!(fresh.known().len() <= 2, "{:?}", fresh.known());
        fresh.set([("hello", "memory", 1 << 20)]).await.expect("sent");
        fresh.settle().await.expect("it is taken");
    }
}

/// A host where Ann may publish `hello`, and its operator's editor.
async fn with_ann() -> (TestHost, Token, Editor) {
    let ann = Token::fresh().expect("random bytes");
    let table = tokens(&[("ann", &ann, "publisher, names: [hello]")]);
    let host = TestHost::start(&format!("{table}{AGENTS}"));
    let operator = Editor::connect(host.address, Some(&host.operator_token())).await.expect("it is let in");
    (host, ann, operator)
}

/// An update of many clients that have never written before, others in each turn.
fn newcomers(turn: u64) -> Vec<u8> {
    let ids = 10_000 + 250 * turn..10_000 + 250 * (turn + 1);
    ids.fold(Draft::default(), |draft, id| draft.section(id, 0, [gone(1)])).bytes()
}

/// A value that a field may hold.
fn any(field: &Field) -> Any {
    match field.name {
        "enabled" => Any::from(true),
        "title" | "description" | "name" | "version" | "digest" | "owner" => Any::from("said"),
        "aliases" => Any::Map(std::collections::HashMap::new().into()),
        "grants" => Any::Array([].into()),
        _ => Any::from(1_000_000_i64),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_edits_what_its_agents_say_of_themselves() {
    let (host, ann, mut operator) = with_ann().await;
    // So that there is something to delete.
    for field in FIELDS.iter().filter(|field| field.by != Writer::Host && field.name != "retired") {
        operator.set(["hello", "everything"].map(|agent| (agent, field.name, any(field)))).await.expect("sent");
    }
    operator.settle().await.expect("taken");
    let held = ["hello", "everything"].map(|agent| FIELDS.each_ref().map(|field| operator.field(agent, field.name)));
    let before = |agent: &str, field: &str| {
        let place = FIELDS.iter().position(|each| each.name == field).expect("a field");
        held[usize::from(agent == "everything")][place].clone()
    };
    let connect = || Editor::connect(host.address, Some(ann.reveal()));
    let mut refused = 0;
    for (agent, field) in ["hello", "everything"].into_iter().flat_map(|agent| FIELDS.iter().map(move |it| (agent, it)))
    {
        let may = agent == "hello" && field.by == Writer::Publisher;
        for deletes in [false, true] {
            if deletes && before(agent, field.name).is_none() {
                continue;
            }
            let mut editor = connect().await.expect("it is let in");
            let sent = editor.edit(|txn, agents| {
                let Some(Out::YMap(map)) = agents.get(txn, agent) else { panic!("no {agent}") };
                match deletes {
                    true => drop(map.remove(txn, field.name)),
                    false => drop(map.insert(txn, field.name, any(field))),
                }
            });
            sent.await.expect("sent");
            let what = format!("`{}` of agent `{agent}` may not be written by `ann`", field.name);
            match ended(&mut editor).await {
                None => assert!(may, "{what}"),
                Some(ended) => {
                    assert_eq!(ended, (4403, what));
                    assert!(!may, "{ended:?}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > FIELDS.len() * 2, "{refused}");
    // All or nothing; and no agent is its own to remove.
    let mut mixed = connect().await.expect("it is let in");
    mixed.set([("hello", "title", "mine"), ("everything", "title", "mine")]).await.expect("sent");
    let reason = "`title` of agent `everything` may not be written by `ann`".to_owned();
    assert_eq!(ended(&mut mixed).await, Some((4403, reason)));
    let mut removing = connect().await.expect("it is let in");
    removing.edit(|txn, agents| drop(agents.remove(txn, "hello"))).await.expect("sent");
    let (code, reason) = ended(&mut removing).await.expect("it may not");
    assert_eq!(code, 4403, "{reason}");

    let reader = Editor::connect(host.address, None).await.expect("it is let in");
    for (agent, field) in ["hello", "everything"].into_iter().flat_map(|agent| FIELDS.iter().map(move |it| (agent, it)))
    {
        let own = agent == "hello" && field.by == Writer::Publisher;
        let expected = if own { None } else { before(agent, field.name) };
        assert_eq!(reader.field(agent, field.name), expected, "`{}` of {agent}", field.name);
    }
    // What everybody asks for who comes anew is kept until it changes.
    operator.set([("hello", "title", "the last word")]).await.expect("sent");
    operator.settle().await.expect("taken");
}

/// What is added stays until the document begins anew, and then all clients must come again: nobody but an operator brings that
/// about at will.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_cannot_make_the_document_begin_anew() {
    let (host, ann, mut honest) = with_ann().await;
    let mut hostile = Editor::connect(host.address, Some(ann.reveal())).await.expect("it is let in");
    let mut end = None;
    for turn in 0..20 {
        let sent = hostile.send_bytes(Message::Update(&newcomers(turn)).write()).await;
        sent.expect("the connection has not ended yet");
        end = ended(&mut hostile).await;
        if end.is_some() {
            break;
        }
    }
    let (code, reason) = end.expect("it is too much at some time");
    assert!(code == 1013 && reason.contains("`ann` adds to the document faster"), "{code} {reason}");
    honest.set([("hello", "title", "unharmed")]).await.expect("it is connected");
    honest.settle().await.expect("the document is the same");
    assert_eq!(host.agent("hello").call("greet", json!({ "name": "Ann" })).await.status, 200);
}
