//! What is kept of what a guest says, and what is not.

use stockade_ledger::{Ledger, Spec};

use super::*;

fn feedback(wanted: Wanted) -> (Feedback, Account) {
    let account = Ledger::new(1 << 20).account(Spec { name: "streams".into(), ceiling: 1 << 20, floor: 0 }).unwrap();
    (Feedback::new(wanted, &account), account)
}

const ALL: Wanted = Wanted { progress: true, level: Some(Level::Debug), bytes: 64 << 10 };

#[test]
fn the_latest_progress_wins_and_only_rises() {
    let (feedback, _account) = feedback(ALL);
    for done in [0.0, 50.0, 50.0, 40.0, f64::NAN, f64::INFINITY] {
        feedback.progress(done, Some(f64::INFINITY), Some(format!("at {done}")));
    }
    let Some(News::Progress(progress)) = feedback.take() else { panic!("there was progress") };
    assert_eq!((progress.done, progress.total, progress.message.as_deref()), (50.0, None, Some("at 50")));
    feedback.progress(50.0, None, None);
    assert!(feedback.take().is_none(), "what was told once does not come again");
}

#[test]
fn messages_below_the_level_are_not_kept() {
    let (feedback, account) = feedback(Wanted { level: Some(Level::Warning), ..ALL });
    feedback.log(Level::Notice, "quiet".into());
    feedback.log(Level::Error, "loud".into());
    let Some(News::Message(message)) = feedback.take() else { panic!("there was a message") };
    assert_eq!((message.level, &*message.text), (Level::Error, "loud"));
    assert!(feedback.take().is_none());
    drop(message);
    assert_eq!(account.used(), 0);
}

#[test]
fn nobody_asked_so_nothing_is_kept() {
    let (feedback, account) = feedback(Wanted { progress: false, level: None, bytes: 64 << 10 });
    feedback.log(Level::Emergency, "help".into());
    feedback.progress(1.0, None, Some("half".into()));
    assert!(feedback.take().is_none());
    assert_eq!(account.used(), 0);
}

#[test]
fn messages_without_room_are_dropped_and_counted() {
    let (feedback, account) = feedback(Wanted { bytes: 10, ..ALL });
    for text in ["123456", "1234", "5", "6"] {
        feedback.log(Level::Info, text.into());
    }
    assert_eq!(account.used(), 10);
    assert!(matches!(feedback.take(), Some(News::Message(_))));
    assert!(matches!(feedback.take(), Some(News::Message(_))));
    assert_eq!(feedback.dropped(), 2);
    for _ in 0..2 * LOG_MESSAGES_MAX {
        feedback.log(Level::Info, "x".into());
        while feedback.take().is_some() {}
    }
    let before = feedback.dropped();
    feedback.log(Level::Info, "x".into());
    assert!(feedback.take().is_none(), "a call has so many messages, however fast they are taken");
    assert_eq!(feedback.dropped(), before + 1);
}

#[test]
fn a_long_text_is_cut() {
    let (feedback, account) = feedback(ALL);
    feedback.log(Level::Info, "ü".repeat(TEXT_BYTES_MAX));
    let Some(News::Message(message)) = feedback.take() else { panic!("there was a message") };
    assert_eq!(message.text.len(), TEXT_BYTES_MAX);
    assert_eq!(account.used(), TEXT_BYTES_MAX as u64);
}
