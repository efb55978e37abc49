//! The gate against the library it guards: runs of random updates, each repeatable from its seed, on every processor.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use stockade::registry::fuzz;

use crate::load::figures::{Figures, Target};

/// Random bytes that a run is made of, at most.
const BYTES_MAX: usize = 600;

/// Runs that a thread takes at a time.
const TAKEN: u64 = 1_000;

#[derive(Debug, Clone, Copy)]
pub struct Gate {
    pub runs: u64,
    /// Seed of the first one; each next one's is one more.
    pub first: u64,
}

impl Gate {
    /// # Errors
    ///
    /// When something does not hold that must: standard error says what, and in the run of which seed.
    pub fn run(self) -> Result<Figures> {
        let (next, end) = (AtomicU64::new(self.first), self.first.saturating_add(self.runs));
        let began = Instant::now();
        let work = || {
            let mut counts = [0_u64; 2];
            loop {
                let from = next.fetch_add(TAKEN, Ordering::Relaxed);
                if from >= end {
                    return counts;
                }
                run(from..(from + TAKEN).min(end), &mut counts);
            }
        };
        let counts: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
                .map(|number| thread::Builder::new().name(format!("gate-{number}")).spawn_scoped(scope, work))
                .collect();
            workers.into_iter().map(|worker| worker.map(thread::ScopedJoinHandle::join)).collect()
        });
        let mut sum = [0_u64; 2];
        for counts in counts {
            let Ok([through, not]) = counts? else { bail!("something does not hold; see above") };
            sum = [sum[0] + through, sum[1] + not];
        }
        let [through, not] = sum;
        let took = began.elapsed().as_secs_f64();
        let mut figures = Figures::default();
        figures.add("runs", self.runs as f64, "");
        figures.add("runs a second", self.runs as f64 / took, "");
        // Both, and many: else the updates are not what they are meant to be.
        let least = Target::AtLeast(self.runs as f64);
        figures.judge("updates let through", through as f64, "", least);
        figures.judge("updates refused", not as f64, "", least);
        ensure!(through + not > 0 || self.runs == 0, "no run made an update");
        Ok(figures)
    }
}

fn run(seeds: Range<u64>, counts: &mut [u64; 2]) {
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = random.usize(..BYTES_MAX);
        let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let outcome = std::panic::catch_unwind(|| {
            fuzz::bytes(&data);
            fuzz::updates(&data)
        });
        let [through, not] = outcome.unwrap_or_else(|panic| {
            eprintln!("seed {seed}: load gate runs=1 first={seed}");
            std::panic::resume_unwind(panic)
        });
        *counts = [counts[0] + u64::from(through), counts[1] + u64::from(not)];
    }
}
