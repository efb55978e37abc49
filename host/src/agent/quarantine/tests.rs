//! Tests of `quarantine`.

use super::*;

fn who(name: &str) -> Arc<str> {
    name.into()
}

fn fail(quarantine: &Quarantine, times: u32, principal: &str) -> Option<Duration> {
    (0..times).filter_map(|_| quarantine.blame(LimitName::Memory, &who(principal))).last()
}

#[tokio::test(start_paused = true)]
async fn rests_get_longer_up_to_a_minute() {
    let quarantine = Quarantine::new(1);
    assert_eq!(fail(&quarantine, 4, "a"), None);
    let mut rests = Vec::new();
    for _ in 0..9 {
        rests.push(fail(&quarantine, 1, "a").expect("a rest begins").as_secs());
        assert!(quarantine.resting().is_some());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(quarantine.resting().is_none());
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn one_good_call_forgives() {
    let quarantine = Quarantine::new(1);
    fail(&quarantine, 4, "a");
    quarantine.forgive();
    assert_eq!(fail(&quarantine, 4, "a"), None);
    assert!(fail(&quarantine, 1, "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn one_of_several_callers_cannot_do_it_alone() {
    let quarantine = Quarantine::new(3);
    assert_eq!(fail(&quarantine, 50, "a"), None);
    assert!(fail(&quarantine, 1, "b").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_agents_fault_does_not_count() {
    let quarantine = Quarantine::new(1);
    for limit in [LimitName::Busy, LimitName::HostFull, LimitName::Copies, LimitName::Output, LimitName::Loading] {
        assert_eq!((0..9).find_map(|_| quarantine.blame(limit, &who("a"))), None, "{limit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_end_during_a_rest_do_not_make_it_longer() {
    let quarantine = Quarantine::new(1);
    assert_eq!(fail(&quarantine, 5, "a"), Some(REST_MIN));
    assert_eq!(fail(&quarantine, 5, "a"), None);
    assert_eq!(quarantine.resting().map(|it| it.remaining), Some(REST_MIN));
}
