//! What follows from a look at memory: on real books, with holders that give back what they hold.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stockade_ledger::{Account, Charge, Ledger, Spec};

use super::super::{Ease, Level, Measured, Meter, Pressure, Reading, Relief, Thresholds};
use super::{Lookout, QUIET, Watchman};

const MIB: u64 = 1 << 20;

/// What the pool says that it keeps, where anything is measured.
const POOL: u64 = 3 * MIB;

struct Watched {
    watchman: Watchman,
    guests: Account,
    relief: Relief,
    pressure: Pressure,
    now: Instant,
}

impl Watched {
    fn new(meter: Option<Meter>) -> Self {
        let thresholds = Thresholds { warning: 400 * MIB, critical: 450 * MIB, maximum: 500 * MIB };
        let ledger = Ledger::new(thresholds.maximum);
        let guests = ledger.account(Spec { name: "guests".into(), ceiling: 500 * MIB, floor: 0 }).unwrap();
        let (relief, pressure) = (Relief::default(), Pressure::default());
        let memory = 512 * MIB;
        let native = ledger.account(Spec { name: "native".into(), ceiling: 100 * MIB, floor: 0 }).unwrap();
        let (relief_of, pressure_of) = (relief.clone(), pressure.clone());
        let lookout = Lookout {
            memory,
            thresholds,
            ledger,
            relief: relief_of,
            pressure: pressure_of,
            meter,
            native,
            pool: Box::new(|| POOL),
        };
        Self { watchman: Watchman::new(lookout), guests, relief, pressure, now: Instant::now() }
    }

    /// A holder of so many bytes, which gives back all that it is asked for.
    fn holder(&self, name: &'static str, ease: Ease, bytes: u64) -> Arc<Mutex<Charge>> {
        let held = Arc::new(Mutex::new(self.guests.charge(bytes).unwrap()));
        let of_closure = held.clone();
        self.relief.register(name, ease, move |wanted| {
            let mut charge = of_closure.lock().unwrap();
            let gave = wanted.min(charge.bytes());
            charge.shrink(gave);
            gave
        });
        held
    }

    fn look(&mut self) -> Reading {
        self.now += Duration::from_millis(250);
        self.watchman.look(self.now);
        self.pressure.reading()
    }
}

#[test]
fn at_critical_what_can_be_done_without_goes_and_what_runs_stays() {
    let mut host = Watched::new(None);
    let cache = host.holder("cache", Ease::Cache, 60 * MIB);
    let call = host.holder("calls", Ease::Running, 395 * MIB);
    let seen = host.look();
    assert_eq!((seen.level, seen.books, seen.measured), (Level::Critical, 455 * MIB, None));
    assert!(!seen.refusing, "books that are full still keep their guarantees");
    let left = cache.lock().unwrap().bytes();
    assert!((24 * MIB..30 * MIB).contains(&left), "it gives as much as makes the host calm: {left} left");
    assert_eq!((host.look().level, call.lock().unwrap().bytes()), (Level::Warning, 395 * MIB));
}

#[test]
fn at_maximum_what_runs_is_asked_when_nothing_else_helps() {
    let mut host = Watched::new(None);
    let cache = host.holder("cache", Ease::Cache, 10 * MIB);
    // Not to the byte: what is left is too little for a call.
    let call = host.holder("calls", Ease::Running, 489 * MIB);
    assert_eq!(host.look().level, Level::Maximum);
    assert_eq!((cache.lock().unwrap().bytes(), call.lock().unwrap().bytes()), (0, 489 * MIB - 1));
    assert_eq!(host.look().level, Level::Maximum, "until it is left by a margin");
    drop(host.guests.charge(0));
    call.lock().unwrap().shrink(200 * MIB);
    assert_eq!(host.look().level, Level::Normal);
}

#[test]
fn what_is_measured_counts_when_it_is_more_than_the_books() {
    // A file that says what the kernel would: this process cannot grow to 512 MiB for a test.
    let dir = tempfile::tempdir().unwrap();
    let say = |bytes: u64| {
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let text = format!("RssAnon:\t{} kB\nRssShmem:\t0 kB\n", bytes >> 10);
        std::fs::write(dir.path().join("proc/self/status"), text).unwrap();
    };
    let mut host = Watched::new(Some(Meter::below(dir.path(), 512 * MIB)));
    say(40 * MIB);
    let _call = host.guests.charge(100 * MIB).unwrap();
    let seen = host.look();
    // A jemalloc that nobody uses holds something, too.
    let own = seen.native.expect("it is measured").resident + POOL;
    assert_eq!((seen.drift(), seen.reserved_untouched(), seen.used()), (0, 60 * MIB + own, 100 * MIB + own));
    say(505 * MIB);
    let seen = host.look();
    assert_eq!((seen.level, seen.refusing, seen.drift()), (Level::Maximum, true, 505 * MIB - seen.books));
    assert_eq!(seen.measured, Some(Measured { own: 505 * MIB, group: None, used: 505 * MIB }));
    assert!(host.watchman.drifting);
    say(120 * MIB);
    let seen = host.look();
    assert_eq!((seen.level, seen.refusing, host.watchman.drifting), (Level::Normal, false, false));
    std::fs::remove_dir_all(dir.path().join("proc")).unwrap();
    assert_eq!((host.look().measured, host.watchman.blind), (None, true));
}

#[test]
fn while_nothing_happens_it_speaks_twice_a_minute() {
    let mut host = Watched::new(None);
    host.look();
    let first = host.watchman.said.expect("the first look says how memory stands");
    host.look();
    assert_eq!(host.watchman.said, Some(first));
    host.now += QUIET;
    host.look();
    assert!(host.watchman.said > Some(first));
}
