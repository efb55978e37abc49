//! The ladder: where it steps up, and where it steps down again.

use super::Level::{Critical, Maximum, Normal, Warning};
use super::{Ladder, Level, Thresholds};

const THRESHOLDS: Thresholds = Thresholds { warning: 400, critical: 450, maximum: 500 };

#[track_caller]
fn walk(ladder: &mut Ladder, steps: &[(u64, Level)]) {
    for (used, level) in steps {
        let before = ladder.level();
        assert_eq!((ladder.step(*used), ladder.level()), (before != *level, *level), "at {used}, from {before}");
    }
}

#[test]
fn a_level_is_reached_at_its_threshold_and_left_below_it() {
    // A twentieth of 512 is 25.
    let mut ladder = Ladder::new(THRESHOLDS, 512);
    walk(&mut ladder, &[(0, Normal), (399, Normal), (400, Warning), (399, Warning), (375, Warning), (374, Normal)]);
    walk(&mut ladder, &[(450, Critical), (449, Critical), (425, Critical), (424, Warning), (449, Warning)]);
    walk(&mut ladder, &[(500, Maximum), (475, Maximum), (474, Critical), (424, Warning), (0, Normal)]);
    walk(&mut ladder, &[(900, Maximum), (0, Normal)]);
}

#[test]
fn close_thresholds_keep_their_order() {
    let near = Thresholds { warning: 498, critical: 499, maximum: 500 };
    let mut ladder = Ladder::new(near, 512);
    walk(&mut ladder, &[(500, Maximum), (499, Critical), (498, Warning), (480, Warning), (472, Normal)]);
}

#[test]
fn to_be_calm_is_to_leave_critical() {
    let mut ladder = Ladder::new(THRESHOLDS, 512);
    ladder.step(460);
    ladder.step(ladder.calm());
    assert_eq!(ladder.level(), Warning);
}

#[test]
fn levels_have_the_words_that_operators_know() {
    let words = Level::ALL.map(|level| (level.to_string(), level.as_health()));
    let known = [("normal", "healthy"), ("warning", "warning"), ("critical", "critical"), ("maximum", "max")];
    assert_eq!(words, known.map(|(name, health)| (name.to_owned(), health)));
}
