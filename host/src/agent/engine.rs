//! The engine every guest runs on, and the clock that interrupts guests.
//!
//! The compiling child and the host must agree on everything that shapes code, so both take their configuration from
//! here. Never lets one agent's settings change another's engine: there is one engine per process.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::compile_child::Optimise;
use super::stats::Classes;
use anyhow::Context as _;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm,
};

/// How often a running guest is interrupted: the grain of fairness between guests and of CPU deadlines.
const TICK: Duration = Duration::from_millis(2);

/// Address space of one linear memory. With 4 GiB and a guard no access needs a bounds check.
pub(super) const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// Stack a guest may use, and the native stack it runs on.
pub(super) const GUEST_STACK_BYTES: usize = 512 << 10;
const NATIVE_STACK_BYTES: usize = 2 << 20;

/// Elements of one table; larger ones are refused by name.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// Core instances, memories and tables one component may have.
const CORE_INSTANCES_MAX: u32 = 16;
const MEMORIES_MAX: u32 = 4;
const TABLES_MAX: u32 = 8;

/// Memory a free slot keeps, so that the next call does not have to fault it in again.
const MEMORY_RESIDENT_BYTES: usize = 256 << 10;
const TABLE_RESIDENT_BYTES: usize = 64 << 10;
const WARM_SLOTS_MAX: u32 = 64;

/// Slots that may wait to be cleaned together. More than one would leave the memory of ended calls resident after the books
/// say that it is free.
const DECOMMIT_BATCH: usize = 1;

/// Frames kept for the log when a guest traps.
const BACKTRACE_FRAMES_MAX: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// Upper ends of the classes of lateness, in seconds.
pub const LATENESS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1, 1.0];

/// How late the ticks came at which running guests are interrupted. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Arc<Mutex<Classes<8>>>);

impl Lateness {
    pub fn classes(&self) -> Classes<8> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, late: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(late.as_secs_f64(), &LATENESS);
    }
}

/// Sizes of the pool that instances come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    /// Instances at once.
    pub instances: u32,
    /// Largest cap any agent has, in bytes.
    pub memory_bytes_max: u64,
}

impl Pool {
    /// Address space of the memories that so many calls at once can ever have used, in bytes. A free slot stays mapped as large
    /// as it was used, and a call takes a new one as long as not too many are warm: the next call of the same component may
    /// want the old one again.
    pub fn slots(&self, calls: u64) -> u64 {
        let (memories, all) = (u64::from(MEMORIES_MAX), u64::from(self.instances) * u64::from(MEMORIES_MAX));
        (calls * memories + u64::from(WARM_SLOTS_MAX)).min(all) * self.memory_bytes_max
    }
}

/// What runs guests.
pub(super) fn for_running(pool: Pool) -> anyhow::Result<(Engine, Lateness)> {
    let mut allocation = PoolingAllocationConfig::new();
    allocation
        .total_component_instances(pool.instances)
        // For all of them at once, or a component of many parts could take the parts of others.
        .total_core_instances(pool.instances * CORE_INSTANCES_MAX)
        .total_memories(pool.instances * MEMORIES_MAX)
        .total_tables(pool.instances * TABLES_MAX)
        .total_stacks(pool.instances)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memory_size(usize::try_from(pool.memory_bytes_max)?)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(MEMORY_RESIDENT_BYTES)
        .table_keep_resident(TABLE_RESIDENT_BYTES)
        .max_unused_warm_slots(WARM_SLOTS_MAX)
        .decommit_batch_size(DECOMMIT_BATCH)
        .pagemap_scan(Enabled::Auto);
    let mut config = common();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(allocation));
    let engine = Engine::new(&config).map_err(anyhow::Error::from).with_context(|| {
        format!(
            "no address space for {} instances; lower `concurrency`, or raise the limit that `ulimit -v` shows",
            pool.instances
        )
    })?;
    let lateness = Lateness::default();
    tick(&engine, lateness.clone())?;
    Ok((engine, lateness))
}

/// What compiles components, in a child process. The pool is left out: it does not shape code.
pub(super) fn for_compiling(optimise: Optimise) -> anyhow::Result<Engine> {
    let mut config = common();
    match optimise {
        Optimise::Speed => config.cranelift_opt_level(OptLevel::Speed).parallel_compilation(false),
        Optimise::None => config.cranelift_opt_level(OptLevel::None).parallel_compilation(false),
        // Somebody waits. Registers are half of the work: measured, 12.4 seconds without their own pass, 6.3 with it.
        Optimise::Quick => config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            .parallel_compilation(true),
    };
    Ok(Engine::new(&config)?)
}

/// Everything that both sides share. No async ABI, GC, threads, exceptions or 64-bit memories: the contract needs none of
/// them, and each has had advisories.
fn common() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_exceptions(false)
        .gc_support(false)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES_MAX));
    config
}

/// Starts the thread that interrupts guests. It ends with the engine.
fn tick(engine: &Engine, lateness: Lateness) -> anyhow::Result<()> {
    let engine = engine.weak();
    let run = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            let began = Instant::now();
            std::thread::sleep(TICK);
            lateness.add(began.elapsed().saturating_sub(TICK));
        }
    };
    std::thread::Builder::new().name("epoch".into()).spawn(run).context("no thread for the epoch clock")?;
    Ok(())
}
