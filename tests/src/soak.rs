//! A host under everything at once, for as long as one likes: honest clients, a neighbour whose latency is watched, hostile
//! agents, sessions that nobody ends, large reads, components that are loaded again and again.
//!
//! Three stretches: quiet, with the honest load alone; attacked; and calm again. What the neighbour sees in the second is
//! compared with what it saw in the first, at the same rate of requests; what the kernel counts is compared with the books,
//! four times a second. Where this machine allows it, the host runs inside a real limit of the kernel's ([`cage`]).

pub mod cage;
pub mod crowd;
pub mod plot;
pub mod samples;

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::guests::{Source, case};
use crate::load::figures::{Figures, Target, mib};
use crate::load::host::Host;
use cage::Cage;
use crowd::{Crowd, Part};
use samples::{Sample, Sampler};

/// What the host may use, in bytes.
pub const MEMORY: u64 = 512 << 20;

/// Resident memory under the honest load alone, in MiB.
const NORMAL_MIB_MAX: f64 = 400.0;

/// How much slower the neighbour may be while others attack.
const RATIO_MAX: f64 = 1.1;

/// Hostile agents that load.
pub const HOSTILE: usize = 6;

/// Hostile agents that must not load: of two and of thirty-two memories. They are asked for all the same.
pub const TOO_MANY_MEMORIES: [&str; 3] =
    ["two-memories", "many-memories-in-one-module", "many-memories-in-many-modules"];

/// The large file, in bytes.
const LARGE_BYTES: u64 = 64 << 20;

/// How long a host may take to give everything back, once nobody asks for anything.
const SETTLING: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Soak {
    pub time: Duration,
    /// Honest clients.
    pub clients: usize,
    /// Where the plot goes.
    pub plot: Option<PathBuf>,
}

impl Soak {
    /// # Errors
    ///
    /// When the host does not start, or ends.
    pub async fn run(&self) -> Result<Figures> {
        let cage = Cage::new(MEMORY);
        let host = Arc::new(start(cage.as_ref().ok()).await?);
        let pid = host.process.pid()?;
        let sampler = Sampler::start(host.clone());
        let crowd = Crowd::new(host.address);

        let began = Instant::now();
        let mut marks = Vec::new();
        let honest = crowd.honest(self.clients);
        let mut cores = [Cores::of(pid)?, Cores::of(std::process::id())?];
        let quiet = crowd.neighbour(self.time / 5).await;
        let quiet_cores = cores.each_mut().map(Cores::since);
        marks.push(("attack", began.elapsed()));
        let attack = crowd.attack();
        let attacked = crowd.neighbour(self.time * 3 / 5).await;
        let attacked_cores = cores.each_mut().map(Cores::since);
        marks.push(("calm", began.elapsed()));
        let attacked_with = attack.stop().await;
        let calm = crowd.neighbour(self.time / 5).await;
        let honest = honest.stop().await;
        tokio::time::sleep(SETTLING.min(self.time / 5)).await;
        let samples = sampler.stop().await?;

        if let Some(path) = &self.plot {
            plot::draw(path, &samples, &marks).with_context(|| format!("cannot draw {}", path.display()))?;
            eprintln!("memory over time: {}", path.display());
        }
        let mut figures = Figures::default();
        figures.judge("host still runs", f64::from(u8::from(host.process.pid()? == pid)), "", Target::AtLeast(1.0));
        match &cage {
            Ok(cage) => figures.judge("killed by the kernel", cage.kills()? as f64, "", Target::AtMost(0.0)),
            Err(error) => eprintln!("not run inside a limit of the kernel's: {error:#}"),
        }
        memory(&mut figures, &samples, marks[0].1);
        clients(&mut figures, &honest, &attacked_with);
        neighbour(&mut figures, [&quiet, &attacked, &calm]);
        for (names, [host, driver]) in [
            (["processors used by the host, quiet", "processors used by this driver, quiet"], quiet_cores),
            (["processors used by the host, attacked", "processors used by this driver, attacked"], attacked_cores),
        ] {
            figures.add(names[0], host, "");
            figures.add(names[1], driver, "");
        }
        if let Some(host) = Arc::into_inner(host) {
            host.process.end().await?;
        }
        let lent = samples.last().map_or(f64::NAN, |last| last.lent as f64);
        figures.judge("lent to calls at the end", lent, "B", Target::AtMost(0.0));
        Ok(figures)
    }
}

/// A host with the agents we ship, and hostile ones.
async fn start(cage: Option<&Cage>) -> Result<Host> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("load"))?;
    File::create(dir.path().join("load/large.bin"))?.set_len(LARGE_BYTES)?;
    fs::write(dir.path().join("load/small.txt"), "x".repeat(60 << 10))?;
    let memory = match cage {
        // It finds the limit by itself.
        Some(_) => String::new(),
        None => format!("memory: {MEMORY}\n"),
    };
    let hostile: String =
        (0..HOSTILE).map(|n| format!("  hostile-{n}: {{ component: '{{guests}}', queue_wait: 500ms }}\n")).collect();
    let mut misfits = String::new();
    for (n, name) in TOO_MANY_MEMORIES.iter().enumerate() {
        let Source::Made(component) = case(name).source else { bail!("{name} is made when asked for") };
        fs::write(dir.path().join(format!("{name}.wasm")), component())?;
        misfits += &format!("  memories-{n}: {{ component: '{{dir}}/{name}.wasm' }}\n");
    }
    // Fewer places for loaded code than agents: they are loaded again and again.
    let manifest = format!(
        "{memory}http: {{ in_flight: 512 }}\ntransports: {{ sessions: 2000 }}\ncompile: {{ loaded: 6 }}\n\
         agents:\n  hello: {{ component: '{{hello}}' }}\n  everything: {{ component: '{{everything}}' }}\n  files: \
         {{ component: '{{files}}', memory: 16M, dirs: {{ /load: {{ path: '{{dir}}/load', access: read }} }} }}\n{hostile}{misfits}"
    );
    Host::start_in(dir, &manifest, cage.map(Cage::procs).as_deref()).await
}

/// How many processors a process has kept busy since somebody asked last.
struct Cores {
    pid: u32,
    at: Instant,
    ticks: u64,
}

/// Units in which `/proc/pid/stat` counts CPU time, per second: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

impl Cores {
    fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, at: Instant::now(), ticks: Self::ticks(pid)? })
    }

    /// User and system time (proc(5)).
    fn ticks(pid: u32) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
        let (_, behind_name) = stat.rsplit_once(')').context("no process name")?;
        let figures = behind_name.split_ascii_whitespace().skip(11).take(2);
        figures.map(|ticks| Ok(ticks.parse::<u64>()?)).sum()
    }

    fn since(&mut self) -> f64 {
        let now = Self::of(self.pid).unwrap_or(Self { pid: self.pid, at: Instant::now(), ticks: self.ticks });
        let busy = (now.ticks - self.ticks) as f64 / TICKS_PER_SECOND / (now.at - self.at).as_secs_f64();
        *self = now;
        busy
    }
}

fn memory(figures: &mut Figures, samples: &[Sample], attack: Duration) {
    let most = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or_default() as f64;
    let quiet = samples.iter().filter(|sample| sample.at < attack).map(|sample| sample.resident).max();
    figures.add("samples", samples.len() as f64, "");
    let normal = mib(quiet.unwrap_or_default() as f64);
    figures.judge("resident, honest load alone", normal, "MiB", Target::AtMost(NORMAL_MIB_MAX));
    figures.add("resident, at most", mib(most(|sample| sample.resident)), "MiB");
    let memory = mib(MEMORY as f64);
    figures.judge("measured, at most", mib(most(|sample| sample.measured)), "MiB", Target::AtMost(memory));
    figures.add("books, at most", mib(most(|sample| sample.books)), "MiB");
    let drift = mib(most(|sample| sample.drift));
    if let Some(worst) = samples.iter().max_by_key(|sample| sample.drift) {
        eprintln!("furthest above the books: {worst:?}");
    }
    figures.judge("measured above the books, at most", drift, "MiB", Target::AtMost(memory / 10.0));
}

fn clients(figures: &mut Figures, honest: &Part, attack: &Part) {
    figures.add("honest requests", honest.answered as f64, "");
    figures.judge("honest requests that failed", honest.failed() as f64, "", Target::AtMost(0.0));
    figures.add("attacks", attack.answered as f64, "");
    for (outcome, count) in &attack.outcomes {
        eprintln!("attack ended as {outcome}: {count}");
    }
    for (outcome, count) in &honest.outcomes {
        eprintln!("honest request ended as {outcome}: {count}");
    }
}

fn neighbour(figures: &mut Figures, [quiet, attacked, calm]: [&Part; 3]) {
    let failed = quiet.failed() + attacked.failed() + calm.failed();
    for (outcome, count) in quiet.outcomes.iter().chain(&attacked.outcomes).chain(&calm.outcomes) {
        eprintln!("neighbour's request ended as {outcome}: {count}");
    }
    figures.add("neighbour's requests", (quiet.answered + attacked.answered + calm.answered) as f64, "");
    figures.judge("neighbour's requests that failed", failed as f64, "", Target::AtMost(0.0));
    let p99 = |part: &Part| part.quantile(0.99).as_secs_f64() * 1e3;
    figures.add("neighbour's p50 quiet", quiet.quantile(0.5).as_secs_f64() * 1e3, "ms");
    figures.add("neighbour's p50 attacked", attacked.quantile(0.5).as_secs_f64() * 1e3, "ms");
    figures.add("neighbour's p99 quiet", p99(quiet), "ms");
    figures.add("neighbour's p99 attacked", p99(attacked), "ms");
    figures.add("neighbour's p99 calm again", p99(calm), "ms");
    figures.judge("p99 attacked / quiet", p99(attacked) / p99(quiet), "", Target::AtMost(RATIO_MAX));
}
