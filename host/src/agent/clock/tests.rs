//! Tests of `clock`.

use super::*;

fn stop<T: std::fmt::Debug>(outcome: wasmtime::Result<T>) -> Stop {
    outcome.unwrap_err().downcast().expect("a stop of our own")
}

#[tokio::test]
async fn waiting_ends_at_the_deadline_and_costs_no_cpu() {
    let clock = Clock::new(Duration::from_secs(10), Duration::from_millis(20), Lanes::default());
    let outcome = clock.bound(std::future::pending::<wasmtime::Result<()>>()).await;
    assert!(matches!(stop(outcome), Stop::Deadline));
    assert!(clock.cpu_total() < Duration::from_millis(20), "{:?}", clock.cpu_total());
}

#[tokio::test]
async fn work_between_waits_is_billed() {
    let clock = Clock::new(Duration::from_millis(20), Duration::from_secs(60), Lanes::default());
    let work = async {
        loop {
            std::hint::black_box((0..10_000).sum::<u64>());
            tokio::task::yield_now().await;
        }
    };
    let outcome: wasmtime::Result<()> = clock.bound(work).await;
    assert!(matches!(stop(outcome), Stop::Cpu));
    assert!(clock.cpu_total() >= Duration::from_millis(20));
}

#[tokio::test]
async fn each_call_has_its_own_time_and_the_total_goes_on() {
    let clock = Clock::new(Duration::from_secs(10), Duration::from_secs(10), Lanes::default());
    let burn = || async {
        let began = thread_cpu_nanos();
        while thread_cpu_nanos() - began < 5_000_000 {}
        Ok(())
    };
    clock.bound(burn()).await.unwrap();
    clock.bound(burn()).await.unwrap();
    assert!(clock.0.cpu_spent.load(Relaxed) < 9_000_000, "the second call is billed alone");
    assert!(clock.cpu_total() >= Duration::from_millis(10));
}

#[tokio::test]
async fn a_guest_that_waits_can_be_halted() {
    let clock = Clock::new(Duration::from_secs(10), Duration::from_secs(10), Lanes::default());
    let halting = clock.clone();
    let waits = tokio::spawn(async move { clock.bound(std::future::pending::<wasmtime::Result<()>>()).await });
    tokio::task::yield_now().await;
    halting.halt(Stop::Pressure { beyond: 7 });
    halting.halt(Stop::Cpu);
    assert!(matches!(stop(waits.await.unwrap()), Stop::Pressure { beyond: 7 }), "the first reason counts");
    let late = halting.bound(std::future::pending::<wasmtime::Result<()>>()).await;
    assert!(matches!(stop(late), Stop::Deadline | Stop::Pressure { .. }));
}

#[tokio::test]
async fn heavy_calls_take_turns_and_light_ones_do_not_wait_for_them() {
    let lanes = Lanes::new(1);
    let clock = || Clock::new(Duration::from_secs(10), Duration::from_secs(10), lanes.clone());
    let burn = |clock: Clock, slices: u32| async move {
        for _ in 0..slices {
            let began = thread_cpu_nanos();
            while thread_cpu_nanos() - began < 5_000_000 {}
            clock.check()?;
            clock.clone().take_turns().await;
        }
        Ok(())
    };
    let heavy = [clock(), clock()];
    let both = heavy.each_ref().map(|clock| {
        let (clock, work) = (clock.clone(), burn(clock.clone(), 4));
        tokio::spawn(async move { clock.bound(work).await })
    });
    tokio::task::yield_now().await;
    // One holds the lane or waits for it; who has used little needs none.
    let light = clock();
    light.bound(burn(light.clone(), 0)).await.unwrap();
    for ended in both {
        ended.await.unwrap().unwrap();
    }
    assert_eq!(lanes.free(), 1, "every lane is left");
    assert!(heavy.iter().all(|clock| clock.cpu_total() >= Duration::from_millis(20)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_stuck_in_the_host_does_not_stop_the_others() {
    let lanes = Lanes::new(1);
    let stuck = lanes.take().await;
    let began = Instant::now();
    drop(lanes.take().await);
    assert!(began.elapsed() <= Duration::from_millis(200), "{:?}", began.elapsed());
    // The one made in its place is enough for all others.
    for _ in 0..3 {
        drop(lanes.take().await);
    }
    drop(stuck);
    assert_eq!(lanes.free(), 1, "it brings none back");
}

#[tokio::test(start_paused = true)]
async fn lanes_that_move_are_not_written_off_however_long_somebody_waits() {
    let lanes = Lanes::new(1);
    let busy = (0..8).map(|_| {
        let lanes = lanes.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let lane = lanes.take().await;
                assert_eq!(lanes.free(), 0, "one at a time");
                tokio::time::sleep(Duration::from_millis(30)).await;
                drop(lane);
            }
        })
    });
    for busy in busy.collect::<Vec<_>>() {
        busy.await.unwrap();
    }
    assert_eq!(lanes.free(), 1);
}
