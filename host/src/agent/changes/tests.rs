//! Who hears of what, and how often.

use std::task::{Context, Poll, Waker};

use stockade_ledger::{Ledger, Spec};

use super::*;

struct Host {
    changes: Changes,
    account: Account,
}

fn host() -> Host {
    let account = Ledger::new(1 << 20).account(Spec { name: "streams".into(), ceiling: 8 << 10, floor: 0 }).unwrap();
    Host { changes: Changes::default(), account }
}

impl Host {
    fn listen(&self, kinds: Kinds, agent: Option<&str>) -> Listener {
        self.changes.listen(Interest { kinds, agent: agent.map(Into::into) }, &self.account).unwrap()
    }

    fn tell(&self) {
        self.changes.lock().tell();
    }
}

fn topic(uri: &str) -> Topic {
    Topic { agent: "files".into(), uri: uri.into() }
}

fn watch(listener: &Listener, uri: &str) -> Result<(), Unwatched> {
    listener.watch(topic(uri), 2, Some("1"), Some(Duration::from_secs(1)))
}

/// What a listener hears now: its lists and resources, or that it is over.
fn heard(listener: &Listener) -> Option<Option<(Kinds, Vec<String>)>> {
    match listener.poll_marks(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(marks) => {
            Some(marks.map(|marks| (marks.kinds, marks.resources.iter().map(|topic| topic.uri.to_string()).collect())))
        }
    }
}

#[test]
fn any_number_of_changes_is_heard_once() {
    let host = host();
    let (all, tools) = (host.listen(Kinds::ALL, None), host.listen(Kinds::TOOLS, Some("files")));
    let other = host.listen(Kinds::ALL, Some("tables"));
    for _ in 0..100 {
        host.changes.lists_changed(&"files".into(), Kinds::TOOLS);
        host.changes.lists_changed(&"files".into(), Kinds::PROMPTS);
    }
    assert_eq!(heard(&all), None, "nothing before it is told");
    host.tell();
    assert_eq!(heard(&all), Some(Some((Kinds::TOOLS.with(Kinds::PROMPTS), vec![]))));
    assert_eq!(heard(&tools), Some(Some((Kinds::TOOLS, vec![]))), "only what it listens for");
    assert_eq!((heard(&all), heard(&tools), heard(&other)), (None, None, None));
}

#[test]
fn resources_are_heard_of_by_those_who_watch_them() {
    let host = host();
    let (one, both) = (host.listen(Kinds::default(), None), host.listen(Kinds::default(), None));
    watch(&one, "a").unwrap();
    watch(&both, "a").unwrap();
    watch(&both, "b").unwrap();
    watch(&both, "b").unwrap();
    for uri in ["a", "a", "b", "nobody-asked"] {
        host.changes.resource_changed(&"files".into(), uri);
    }
    host.changes.resource_changed(&"tables".into(), "a");
    host.tell();
    let heard_of = |uris: &[&str]| Some(Some((Kinds::default(), uris.iter().map(ToString::to_string).collect())));
    assert_eq!(heard(&one), heard_of(&["a"]));
    assert_eq!(heard(&both), heard_of(&["a", "b"]));
    assert!(both.unwatch(&topic("a")) && !both.unwatch(&topic("a")));
    host.changes.resource_changed(&"files".into(), "a");
    host.tell();
    assert_eq!((heard(&one), heard(&both)), (heard_of(&["a"]), None));
}

#[test]
fn nothing_remains_of_a_listener_that_is_gone() {
    let host = host();
    let listener = host.listen(Kinds::ALL, None);
    watch(&listener, "a").unwrap();
    assert!(host.account.used() > 0);
    host.changes.resource_changed(&"files".into(), "a");
    drop(listener);
    host.tell();
    let books = host.changes.lock();
    assert_eq!((host.account.used(), books.listeners.len(), books.topics.len(), books.schedule.len()), (0, 0, 0, 0));
}

#[test]
fn a_listener_has_bounds() {
    let host = host();
    let listener = host.listen(Kinds::ALL, None);
    watch(&listener, "a").unwrap();
    watch(&listener, "b").unwrap();
    assert_eq!(watch(&listener, "c"), Err(Unwatched::TooMany));
    assert!(listener.unwatch(&topic("a")));
    assert!(matches!(watch(&listener, &"long".repeat(2000)), Err(Unwatched::Refused(_))));
    watch(&listener, "c").unwrap();
}

#[test]
fn a_version_that_differs_is_a_change() {
    let host = host();
    let listener = host.listen(Kinds::default(), None);
    watch(&listener, "a").unwrap();
    assert!(host.changes.next_due().is_some_and(|(due, _)| due == topic("a")));
    for (version, changed) in [(Some("1"), false), (None, false), (Some("2"), true), (Some("2"), false)] {
        host.changes.seen(&topic("a"), version);
        host.tell();
        assert_eq!(heard(&listener).is_some(), changed, "{version:?}");
    }
}

#[test]
fn all_topics_of_a_slow_agent_are_put_off_at_once() {
    let host = host();
    let listener = host.listen(Kinds::default(), None);
    watch(&listener, "a").unwrap();
    watch(&listener, "b").unwrap();
    let (_, due) = host.changes.next_due().unwrap();
    let (later, agent) = (due + Duration::from_secs(60), topic("a").agent);
    host.changes.postpone(&"another".into(), due + Duration::from_secs(1), later);
    assert_eq!(host.changes.next_due().unwrap().1, due);
    host.changes.postpone(&agent, due + Duration::from_secs(1), later);
    assert_eq!(host.changes.next_due().unwrap().1, later);
}

#[test]
fn it_can_be_over() {
    let host = host();
    let (listener, other) = (host.listen(Kinds::ALL, None), host.listen(Kinds::ALL, None));
    host.changes.lists_changed(&"files".into(), Kinds::TOOLS);
    host.tell();
    listener.close();
    assert_eq!(heard(&listener), Some(Some((Kinds::TOOLS, vec![]))), "first what is left");
    assert_eq!(heard(&listener), Some(None));
    host.changes.close();
    assert!(heard(&other).is_some());
    assert_eq!((heard(&other), heard(&host.listen(Kinds::ALL, None))), (Some(None), Some(None)));
}

#[tokio::test(start_paused = true)]
async fn listeners_are_told_a_few_times_a_second() {
    let host = host();
    let listener = host.listen(Kinds::ALL, None);
    let changes = host.changes.clone();
    let telling = tokio::spawn(async move { changes.run().await });
    let began = tokio::time::Instant::now();
    host.changes.lists_changed(&"files".into(), Kinds::TOOLS);
    let marks = std::future::poll_fn(|cx| listener.poll_marks(cx)).await.unwrap();
    assert_eq!((marks.kinds, began.elapsed()), (Kinds::TOOLS, DEBOUNCE));
    telling.abort();
}
