//! When a new version is given up.

use super::*;

fn fail(probation: &Probation, limit: LimitName, by: &str, principals: usize) {
    let troubled = || Troubled { agent: "demo".into(), version: "1.0.1".into(), limit: limit.as_str() };
    probation.fail(limit, &by.into(), principals, troubled);
}

#[test]
fn it_is_given_up_after_as_many_failures_as_put_an_agent_to_rest() {
    let (hears, mut heard) = mpsc::channel(1);
    let probation = Probation::default();
    (0..9).for_each(|_| fail(&probation, LimitName::Panic, "ann", 1));
    assert!(heard.try_recv().is_err(), "it is no new version");
    probation.begin(hears);
    for _ in 1..FAILURES_MAX {
        fail(&probation, LimitName::Panic, "ann", 1);
        fail(&probation, LimitName::Busy, "ann", 1);
        probation.pass("tools.list-tools");
    }
    assert!(heard.try_recv().is_err());
    fail(&probation, LimitName::Memory, "ann", 1);
    assert_eq!(heard.try_recv().unwrap().limit, "memory");
    fail(&probation, LimitName::Memory, "ann", 1);
    assert!(heard.try_recv().is_err(), "once");
}

#[test]
fn one_caller_alone_cannot_have_it_given_up_nor_anybody_once_it_has_answered() {
    let (hears, mut heard) = mpsc::channel(1);
    let probation = Probation::default();
    probation.begin(hears.clone());
    (0..20).for_each(|_| fail(&probation, LimitName::Cpu, "ann", 3));
    assert!(heard.try_recv().is_err());
    fail(&probation, LimitName::Cpu, "bob", 3);
    assert!(heard.try_recv().is_ok());

    probation.begin(hears);
    probation.pass("tools.call");
    (0..20).for_each(|_| fail(&probation, LimitName::Cpu, "bob", 1));
    assert!(heard.try_recv().is_err());
}
