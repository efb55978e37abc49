//! What is kept, for how long, for whom, and what makes room. On a clock that tests move.

use super::*;
use crate::memory::Children;

const MINUTE: Cache = Cache { ttl_ms: 60_000, scope: CacheScope::Public };

fn kept(entries_max: u32) -> (Accounts, Kept) {
    // A hundredth of 64 MiB for the cache is plenty here.
    let accounts = Accounts::open(64 << 20, 60 << 20, 0, Children::default()).unwrap();
    let kept = Kept::new(&accounts, entries_max);
    (accounts, kept)
}

/// Whoever asks as `who` for what is called `name`.
fn question<'a>(kept: &'a Kept, name: &str, who: &str, generation: u64) -> Question<'a> {
    let key = |part: &str| Sha256::digest(format!("{name}/{part}")).into();
    Question { kept, keys: [key(""), key(who)], generation }
}

fn bytes(question: &Question) -> Option<Vec<u8>> {
    question.answer().map(|(result, _)| result.bytes.to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_result_is_good_for_as_long_as_its_agent_says() {
    let (accounts, kept) = kept(10);
    let ask = question(&kept, "tools", "ann", 1);
    assert!(ask.answer().is_none());
    ask.keep(None, b"no hint", 1, None);
    ask.keep(Some(&Cache { ttl_ms: 0, ..MINUTE }), b"not to be kept", 1, None);
    assert!(ask.answer().is_none() && accounts.cache.used() == 0);
    ask.keep(Some(&MINUTE), b"page", 3, Some("2"));
    tokio::time::advance(Duration::from_secs(20)).await;
    let (result, left) = ask.answer().expect("it is kept");
    assert_eq!((&*result.bytes, result.entries, result.next.as_deref()), (&b"page"[..], 3, Some("2")));
    assert_eq!((left.ttl_ms, left.scope), (40_000, CacheScope::Public));
    tokio::time::advance(Duration::from_secs(40)).await;
    drop(result);
    assert!(ask.answer().is_none() && accounts.cache.used() == 0, "it is over");
    let Figures { hits, misses, entries } = kept.figures();
    assert_eq!((hits, misses, entries), (1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_longer_than_a_day() {
    let (_accounts, kept) = kept(10);
    let ask = question(&kept, "tools", "ann", 1);
    ask.keep(Some(&Cache { ttl_ms: u32::MAX, ..MINUTE }), b"page", 1, None);
    tokio::time::advance(TIME_MAX - Duration::from_millis(1)).await;
    assert!(ask.answer().is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(ask.answer().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_private_is_for_one_principal() {
    let (_accounts, kept) = kept(10);
    let [ann, bob] = ["ann", "bob"].map(|who| question(&kept, "tools", who, 1));
    ann.keep(Some(&Cache { scope: CacheScope::Private, ..MINUTE }), b"for ann", 1, None);
    assert_eq!((bytes(&ann), bytes(&bob)), (Some(b"for ann".to_vec()), None));
    bob.keep(Some(&MINUTE), b"for all", 1, None);
    let carl = question(&kept, "tools", "carl", 1);
    assert_eq!(bytes(&carl), Some(b"for all".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_what_was_kept_before() {
    let (accounts, kept) = kept(10);
    question(&kept, "tools", "ann", 1).keep(Some(&MINUTE), b"old", 1, None);
    assert!(question(&kept, "tools", "ann", 2).answer().is_none());
    assert_eq!(accounts.cache.used(), 0, "and nobody pays for it any more");
    // What was asked before the change is answered after it.
    question(&kept, "tools", "ann", 1).keep(Some(&MINUTE), b"late", 1, None);
    assert!(question(&kept, "tools", "ann", 2).answer().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_makes_room() {
    let (accounts, kept) = kept(3);
    let there = |name: &str| question(&kept, name, "ann", 1).answer().is_some();
    for name in ["a", "b", "c"] {
        question(&kept, name, "ann", 1).keep(Some(&MINUTE), name.as_bytes(), 1, None);
    }
    assert!(there("a"));
    question(&kept, "d", "ann", 1).keep(Some(&MINUTE), b"d", 1, None);
    assert_eq!(["a", "b", "c", "d"].map(there), [true, false, true, true]);

    // By bytes, too: each takes a quarter of what is left of the account.
    let (own, large) = (accounts.cache.used(), vec![b'x'; RESULT_BYTES_MAX]);
    let _others = accounts.cache.charge(accounts.cache.free() - RESULT_BYTES_MAX as u64 - ENTRY_BYTES).unwrap();
    question(&kept, "e", "ann", 1).keep(Some(&MINUTE), &large, 1, None);
    question(&kept, "f", "ann", 1).keep(Some(&MINUTE), &large, 1, None);
    assert_eq!((there("e"), there("f")), (false, true), "{own} bytes were held before");
    question(&kept, "g", "ann", 1).keep(Some(&MINUTE), &vec![b'x'; RESULT_BYTES_MAX + 1], 1, None);
    assert!(!there("g") && there("f"), "one that is too large makes nothing go");
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_short_it_goes_first() {
    let (accounts, kept) = kept(10);
    for name in ["a", "b", "c"] {
        question(&kept, name, "ann", 1).keep(Some(&MINUTE), &[0; 1000], 1, None);
    }
    let gave: u64 = accounts.relief.ask(1, ..=Ease::Cache).iter().map(|gave| gave.bytes).sum();
    assert_eq!((gave, kept.figures().entries), (1000 + ENTRY_BYTES, 2), "no more than is needed");
    accounts.relief.ask(u64::MAX, ..);
    assert_eq!((accounts.cache.used(), kept.figures().entries), (0, 0));
}
