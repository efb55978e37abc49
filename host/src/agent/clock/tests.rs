//! Tests of `clock`.

use super::*;

fn stop<T: std::fmt::Debug>(outcome: wasmtime::Result<T>) -> Stop {
    outcome.unwrap_err().downcast().expect("a stop of our own")
}

#[tokio::test]
async fn waiting_ends_at_the_deadline_and_costs_no_cpu() {
    let clock = Clock::new(Duration::from_secs(10), Duration::from_millis(20));
    let outcome = clock.bound(std::future::pending::<wasmtime::Result<()>>()).await;
    assert!(matches!(stop(outcome), Stop::Deadline));
    assert!(clock.cpu_total() < Duration::from_millis(20), "{:?}", clock.cpu_total());
}

#[tokio::test]
async fn work_between_waits_is_billed() {
    let clock = Clock::new(Duration::from_millis(20), Duration::from_secs(60));
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
    let clock = Clock::new(Duration::from_secs(10), Duration::from_secs(10));
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
