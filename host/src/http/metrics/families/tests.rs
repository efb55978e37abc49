//! Labels stay bounded, whatever there is to tell of.

use std::collections::BTreeMap;

use super::*;
use crate::agent::LimitName;

/// An agent with so many calls of one function behind it.
fn agent(number: u64, calls: u64) -> Told {
    let mut function = Function { outcomes: BTreeMap::from([("ok", calls)]), ..Function::default() };
    (0..calls).for_each(|_| function.wall.add(0.01, &TIME_CLASSES));
    let figures = Figures {
        memory_peak: number,
        functions: BTreeMap::from([("tools.call", function)]),
        refused: BTreeMap::from([(LimitName::Busy, 1)]),
        ..Figures::default()
    };
    Told { name: format!("a{number}").into(), version: "1".into(), figures, running: 1, waiting: 2, ready: 1 }
}

#[test]
fn beyond_the_first_agents_all_others_are_one() {
    let max = AGENTS_MAX as u64;
    assert_eq!(Told::bounded((0..max).map(|number| agent(number, 1))).len(), AGENTS_MAX);
    // The largest first: what is merged is no longer in order.
    let told = Told::bounded((0..max + 3).map(|number| agent(2 * max - number, number)));
    assert_eq!(told.len(), AGENTS_MAX + 1);
    let Told { name, version, figures, running, waiting, ready } = &told[AGENTS_MAX];
    assert_eq!((&**name, &**version, *running, *waiting, *ready), ("_OTHER", "", 3, 6, 3));
    let calls = 3 * max + 3;
    let function = &figures.functions["tools.call"];
    assert_eq!((function.outcomes["ok"], function.wall.count()), (calls, calls));
    assert_eq!((figures.refused[&LimitName::Busy], figures.memory_peak), (3, max));
}
