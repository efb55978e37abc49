//! Many lines at one door: who is kept waiting, for how long, and whether everything adds up. All on a clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use fastrand::Rng;
use stockade_ledger::Account;
use tokio::task::JoinSet;

use super::*;

/// Calls without end, so many at a time, each lasting so long. They end with what is returned.
fn flood(door: &Door, line: LineId, need: Need, callers: u32, lasting: Duration) -> (JoinSet<()>, Arc<AtomicU32>) {
    let (mut calls, passed) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..callers {
        let (door, passed) = (door.clone(), passed.clone());
        calls.spawn(async move {
            loop {
                let ticket = door.pass(line, need, PATIENCE).await;
                if ticket.is_ok() {
                    passed.fetch_add(1, Relaxed);
                }
                tokio::time::sleep(lasting).await;
            }
        });
    }
    (calls, passed)
}

#[tokio::test(start_paused = true)]
async fn who_runs_nothing_never_waits_for_others() {
    let (_ledger, door, lines) = door(100, 100, &[(50, 50), (50, 50)]);
    let (hostile, quiet) = (lines[0], lines[1]);
    assert!(door.has_own(quiet));
    // All that is shared, by reserves and by growth.
    let _grown = door.shared().charge(35).unwrap();
    let (_calls, _) = flood(&door, hostile, NEED, 20, Duration::from_secs(5));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(door.shared().charge(6).is_err());
    for _ in 0..100 {
        let began = Instant::now();
        let ticket = door.pass(quiet, NEED, PATIENCE).await.expect("its first call is kept room for");
        assert_eq!(began.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(7)).await;
        drop(ticket);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_at_most_half() {
    let (_ledger, door, lines) = door(100, 100, &[(1, 1); 10]);
    assert_eq!(lines.iter().filter(|line| door.has_own(**line)).count(), 5);
    assert_eq!(door.shared().ceiling(), 50);
    // The others are served from what is everybody's.
    let mut tickets = Vec::new();
    for line in &lines {
        tickets.extend(door.pass(*line, NEED, Duration::ZERO).await);
    }
    assert_eq!(tickets.len(), 10);
}

#[test]
fn where_there_is_an_instance_for_every_call_none_is_kept() {
    let single = [plain(1, 1); 3];
    let all = Need { reserve: 1000, copies: 1000, goes_on: false };
    assert_eq!(own_places(&single, all, 3), [true; 3]);
    assert_eq!(own_places(&single, all, 2), [true, false, false], "two for three: one of them is everybody's");
    let little = Need { reserve: 45, ..all };
    assert_eq!(own_places(&single, little, 3), [true, true, false], "half of the memory is everybody's");
}

#[tokio::test(start_paused = true)]
async fn a_large_need_comes_to_its_turn() {
    let (_ledger, door, lines) = door(100, 100, &[(2, 2), (50, 50)]);
    let (large, small) = (lines[0], lines[1]);
    let _own = door.pass(large, NEED, PATIENCE).await.unwrap();
    // They come and go without end, and always leave too little.
    let (_calls, passed) = flood(&door, small, NEED, 50, Duration::from_millis(10));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    door.pass(large, Need { reserve: 80, copies: 1, goes_on: false }, PATIENCE).await.expect("it is waited for");
    let waited = began.elapsed();
    assert!(waited <= PATIENCE / 2 + Duration::from_millis(30), "it waited {waited:?}");
    assert!(passed.load(Relaxed) > 100, "the others were not held up before");
}

#[tokio::test(start_paused = true)]
async fn turns_follow_the_weights() {
    let terms = [1, 3].map(|weight| Terms { weight, ..plain(50, 50) });
    let (_accounts, door, lines) = with_accounts(400, 100, &terms);
    let (light, heavy) = (lines[0], lines[1]);
    let (_light, of_light) = flood(&door, light, NEED, 45, Duration::from_millis(10));
    let (_heavy, of_heavy) = flood(&door, heavy, NEED, 45, Duration::from_millis(10));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let [light, heavy] = [of_light, of_heavy].map(|passed| f64::from(passed.load(Relaxed)));
    assert!((2.5..3.5).contains(&(heavy / light)), "{heavy} beside {light}");
}

#[tokio::test(start_paused = true)]
async fn pressure_slows_calls_down_and_then_stops_all_but_first_ones() {
    use crate::memory::{Level, Reading};
    let (accounts, door, lines) = with_accounts(1000, 100, &[plain(4, 4), plain(4, 4)]);
    let (one, other) = (lines[0], lines[1]);
    let at = |level, refusing| {
        accounts.pressure.publish(Reading { level, refusing, limit: 500, books: 510, ..Reading::default() });
    };
    let now = |line| door.pass(line, NEED, Duration::ZERO);
    at(Level::Critical, false);
    let _two = [now(one).await.unwrap(), now(one).await.unwrap()];
    let Err(Closed::Pressure { cap: 500, used: 510 }) = now(one).await else { panic!("half may run") };
    at(Level::Maximum, false);
    assert!(now(one).await.is_err());
    drop(now(other).await.expect("a first call is kept room for"));
    at(Level::Maximum, true);
    let Err(Closed::Pressure { .. }) = now(other).await else { panic!("memory is really gone") };
    at(Level::Normal, false);
    drop(now(other).await.unwrap());
    drop(now(one).await.unwrap());
}

/// One call of a random crowd: passes or not, grows perhaps, and ends.
async fn call(door: Door, line: LineId, (need, first): (Need, bool), growth: Account, seed: u64) -> Result<(), Closed> {
    let mut random = Rng::with_seed(seed);
    tokio::time::sleep(Duration::from_millis(random.u64(..400))).await;
    let alone = door.crowd(line) == (0, 0);
    let began = Instant::now();
    let ticket = door.pass(line, need, Duration::from_secs(60)).await?;
    assert!(!(alone && first) || began.elapsed().is_zero(), "a guaranteed first call waited");
    let _grown = (random.u64(..2) == 0).then(|| growth.charge(random.u64(..40)).ok());
    tokio::time::sleep(Duration::from_millis(1 + random.u64(..30))).await;
    drop(ticket);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn random_crowds_are_served_to_the_last_and_nothing_is_lent_twice() {
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let terms: Vec<Terms> = (0..2 + random.u64(..5))
            .map(|_| {
                let first = Need { reserve: 1 + random.u64(..20), copies: 1 + random.u64(..9), goes_on: false };
                let (concurrency, weight) = (1 + random.u32(..8), 1 + random.u32(..4));
                Terms { concurrency, waiting_max: 1_000, weight, first }
            })
            .collect();
        let (guests, instances) = (100 + random.u64(..200), 4 + random.u32(..30));
        let (accounts, door, lines) = with_accounts(guests, instances, &terms);
        let mut calls = JoinSet::new();
        for _ in 0..150 {
            let chosen = random.usize(..lines.len());
            let (line, terms) = (lines[chosen], terms[chosen]);
            // Some want more than a first call is kept.
            let large = random.u64(..4) == 0;
            let reserve = if large { terms.first.reserve + random.u64(..40) } else { terms.first.reserve };
            let first = !large && door.has_own(line);
            let need = Need { reserve, ..terms.first };
            calls.spawn(call(door.clone(), line, (need, first), door.shared(), random.u64(..)));
        }
        // Meanwhile the books are looked at: the ledger itself refuses to lend more than there is.
        while let Some(done) = calls.join_next().await {
            done.expect("no panic").unwrap_or_else(|closed| panic!("seed {seed}: {closed:?}"));
            assert!(accounts.guests.used() <= accounts.guests.ceiling());
        }
        assert_eq!(lent(&accounts.ledger), 0, "seed {seed}");
        assert!(lines.iter().all(|line| door.crowd(*line) == (0, 0)), "seed {seed}");
    }
}
