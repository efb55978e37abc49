//! What one capped call costs inside the process: turn, store, instance, guest, drop.
//!
//! Beside it, in the same run, the same component on wasmtime as it comes: pooling allocator with its defaults, no limits,
//! no books. Prints percentiles and the ratio; never fails on time. Run by `make bench`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use stockade::Host;
use stockade::agent::{Agent, Caller};
use stockade::manifest::Manifest;
use stockade::memory::Tenancy;

const ROUNDS: usize = 5;
const CALLS: usize = 20_000;
const ARGUMENTS: &str = r#"{"name":"Ann"}"#;

fn main() -> anyhow::Result<()> {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
    let component = target.join("wasm32-wasip2/release/hello.wasm").canonicalize()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir()?;
        let text = format!("agents:\n  hello:\n    component: {}\n", component.display());
        let manifest = Manifest::parse(&text, dir.path()).map_err(|errors| anyhow::anyhow!("{errors}"))?;
        let host = Host::new(&manifest, target.join("release/stockade").canonicalize()?, Tenancy::Sole)?;
        host.agents().load().await;
        let hello = host.agents().get("hello").expect("it is in the manifest").clone();
        let bare = bare::Bare::new(&component).await?;

        println!("{CALLS} calls of hello.greet each; microseconds");
        println!("{:34} {:>8} {:>8} {:>8}", "", "p50", "p99", "ratio");
        for _ in 0..ROUNDS {
            let baseline = percentiles(async || drop(bare.call().await)).await;
            show("wasmtime as it comes", baseline, baseline);
            show("a capped call", percentiles(async || call(&hello).await).await, baseline);
            let (hello_too, threads) = (hello.clone(), tokio::runtime::Handle::current());
            let one =
                tokio::task::spawn_blocking(move || threads.block_on(percentiles(async || call(&hello_too).await)));
            percentiles(async || call(&hello).await).await;
            show("a capped call, two threads at once", one.await?, baseline);
        }
        Ok(())
    })
}

async fn call(agent: &Agent) {
    let caller = Arc::new(Caller::new("bench".into(), "2026-07-28"));
    let answer = agent.call_tool(&caller, "greet", ARGUMENTS).await;
    assert!(answer.is_ok(), "{answer:?}");
}

async fn percentiles(mut call: impl AsyncFnMut()) -> [f64; 2] {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call().await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    [times[CALLS / 2], times[CALLS * 99 / 100]]
}

fn show(what: &str, [p50, p99]: [f64; 2], baseline: [f64; 2]) {
    println!("{what:34} {p50:8.2} {p99:8.2} {:8.2}", p50 / baseline[0]);
}

/// The same call without any of the host.
mod bare {
    use std::path::Path;

    use stockade::agent::contract::exports::stockade::agent::tools;
    use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
    use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    struct State(WasiCtx, ResourceTable);

    impl WasiView for State {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
        }
    }

    pub struct Bare {
        pre: InstancePre<State>,
        tools: tools::GuestIndices,
    }

    impl Bare {
        pub async fn new(component: &Path) -> anyhow::Result<Self> {
            let mut config = Config::new();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
            let engine = Engine::new(&config)?;
            let component = Component::from_file(&engine, component)?;
            let mut linker = Linker::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            let pre = linker.instantiate_pre(&component)?;
            let tools = tools::GuestIndices::new(&pre)?;
            Ok(Self { pre, tools })
        }

        pub async fn call(&self) -> anyhow::Result<String> {
            let state = State(WasiCtx::builder().build(), ResourceTable::new());
            let mut store = Store::new(self.pre.engine(), state);
            let instance = self.pre.instantiate_async(&mut store).await?;
            let guest = self.tools.load(&mut store, &instance)?;
            let result = guest.call_call(&mut store, "greet", super::ARGUMENTS).await?;
            Ok(format!("{result:?}"))
        }
    }
}
