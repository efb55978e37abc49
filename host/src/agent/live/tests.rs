//! Who goes first when an instance ends.

use std::sync::atomic::{AtomicBool, Ordering};

use stockade_ledger::{Ledger, Spec};
use wasmtime::{Instance, Module};

use super::*;
use crate::agent::clock::{Clock, Lanes};
use crate::agent::engine::{self, Pool};
use crate::memory::{Children, Meter};

const MIB: u64 = 1 << 20;

/// A limiter whose every byte is charged to `guests`.
fn limiter(guests: &Account) -> Limiter {
    let second = std::time::Duration::from_secs(1);
    let growth = Growth {
        charge: guests.empty(),
        large: Large::default(),
        listed: None,
        clock: Clock::new(second, second, Lanes::default()),
        relief: Relief::default(),
    };
    Limiter::new(256 * MIB, 0, growth)
}

/// As bytes, since the engine reads no text: a module that declares and exports a memory of one page.
const ONE_MEMORY: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01\x07\x05\x01\x01m\x02\0";

#[tokio::test]
async fn the_books_hear_of_memory_when_it_is_gone_and_not_before() {
    let guests = Ledger::new(1 << 30).account(Spec { name: "guests".into(), ceiling: 1 << 30, floor: 0 }).unwrap();
    let (engine, _lateness) = engine::for_running(Pool { instances: 2, memory_bytes_max: 256 * MIB }).unwrap();
    let module = Module::new(&engine, ONE_MEMORY).unwrap();
    let mut store = PaidStore::new(Store::new(&engine, limiter(&guests)));
    store.limiter(|limiter| limiter);
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = Instance::new_async(&mut *store, &module, &[]).await.unwrap();
    let memory = instance.get_memory(&mut *store, "m").unwrap();
    memory.grow_async(&mut *store, 200 * MIB / (64 << 10)).await.unwrap();
    memory.data_mut(&mut *store).fill(1);
    assert!(guests.used() > 200 * MIB);

    let (meter, ended) = (Meter::new(1 << 30, None, Children::default()), AtomicBool::new(false));
    let resident = || meter.read().unwrap().own;
    let held = resident();
    assert!(held > 200 * MIB);
    let watch = || {
        while !ended.load(Ordering::Relaxed) {
            // In this order: what is paid for no more has been given back before.
            let (paid, there) = (guests.used(), resident());
            assert!(
                paid > 0 || there < held - 100 * MIB,
                "{there} bytes of {held} are there, and nobody pays for them"
            );
        }
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(watch);
        drop(store);
        ended.store(true, Ordering::Relaxed);
        watching.join().unwrap();
    });
    assert_eq!(guests.used(), 0);
    assert!(resident() < held - 100 * MIB);
}
