//! Those who ask: honest clients, the neighbour, attackers, and clients that never say goodbye.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

use super::{HOSTILE, TOO_MANY_MEMORIES};
use crate::load::ask;
use crate::load::wire::Wire;

/// Time between two requests of an honest client, and of the neighbour.
const HONEST_PAUSE: Duration = Duration::from_millis(100);
const NEIGHBOUR_PAUSE: Duration = Duration::from_millis(20);

/// Time between two attacks of one attacker.
const ATTACK_PAUSE: Duration = Duration::from_millis(200);

/// Attackers at once: between these two, in waves.
const ATTACKERS: std::ops::RangeInclusive<usize> = 30..=200;
const WAVE: Duration = Duration::from_secs(20);

/// Sessions begun each second that nobody ends.
const CHURN_PAUSE: Duration = Duration::from_millis(50);

/// Time between two large reads.
const LARGE_PAUSE: Duration = Duration::from_secs(1);

/// What attackers try, one after the other. Of memory mostly; the rest is there to hide it.
const TRICKS: [&str; 12] = [
    "leak-small",
    "grow-loop",
    "giant-vec",
    "hold-60m",
    "giant-list",
    "many-strings",
    "grow-at-once",
    "handles",
    "spin",
    "stdout-flood",
    "recurse-stack",
    "panic",
];

/// What became of the requests of some.
#[derive(Debug, Default)]
pub struct Part {
    pub answered: u64,
    /// Those that did not end well, by how.
    pub outcomes: BTreeMap<String, u64>,
    pub latencies: Vec<Duration>,
}

impl Part {
    pub fn failed(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// The latency that this fraction stayed within.
    pub fn quantile(&self, fraction: f64) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let rank = (fraction * latencies.len() as f64).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn count(&mut self, outcome: Result<Option<String>>) {
        self.answered += 1;
        let ended = match outcome {
            Ok(None) => return,
            Ok(Some(limit)) => limit,
            Err(error) => format!("{error:#}"),
        };
        *self.outcomes.entry(ended).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.latencies.extend(other.latencies);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }
}

/// Some who go on until they are stopped.
pub struct Going {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Part>,
}

impl Going {
    fn new() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), tasks: JoinSet::new() }
    }

    pub async fn stop(mut self) -> Part {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Part::default();
        while let Some(part) = self.tasks.join_next().await {
            all.add(part.expect("no panic"));
        }
        all
    }

    /// One who asks `request(n)` for n = 0, 1, ..., each on a connection of its own if `anew`.
    fn ask(
        &mut self,
        address: SocketAddr,
        (pause, anew): (Duration, bool),
        request: impl Fn(u64) -> Option<Vec<u8>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let (mut part, mut wire) = (Part::default(), None);
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for n in 0.. {
                ticks.tick().await;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let Some(request) = request(n) else { continue };
                let began = Instant::now();
                let outcome = exchange(address, &mut wire, &request).await;
                part.latencies.push(began.elapsed());
                if anew || outcome.is_err() {
                    wire = None;
                }
                part.count(outcome);
            }
            part
        });
    }
}

/// One request; answers with the name of the limit it met, if it met one.
async fn exchange(address: SocketAddr, wire: &mut Option<Wire>, request: &[u8]) -> Result<Option<String>> {
    if wire.is_none() {
        *wire = Some(Wire::connect(address, 0).await?);
    }
    let wire = wire.as_mut().expect("just connected");
    wire.send(request).await?;
    let head = wire.head().await?;
    if head.can_have(512 << 10) {
        let counted = wire.count(&head).await?;
        ensure!(head.status == 200, "{} with {} bytes", head.status, counted.bytes);
        return Ok(None);
    }
    let body = wire.body(&head).await?;
    let reply: Value = serde_json::from_slice(&body)?;
    let limit = [&reply["error"]["data"]["limit"], &reply["result"]["_meta"]["stockade/limit"]["limit"]];
    if let Some(limit) = limit.iter().find_map(|limit| limit.as_str()) {
        return Ok(Some(limit.to_owned()));
    }
    ensure!(head.status < 300 && reply["error"].is_null(), "{}: {}", head.status, reply["error"]);
    Ok(None)
}

/// All who ask this host.
#[derive(Debug, Clone, Copy)]
pub struct Crowd(SocketAddr);

impl Crowd {
    pub fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// Clients that read and call as people do, a large reader among them, and sessions that nobody ends.
    pub fn honest(self, clients: usize) -> Going {
        let (address, mut going) = (self.0, Going::new());
        for client in 0..clients as u64 {
            going.ask(address, (HONEST_PAUSE, false), move |n| {
                Some(match (client + n) % 4 {
                    0 => ask::call(address, "hello", "greet", &json!({ "name": "Ann" })),
                    1 => ask::call(address, "everything", "echo", &json!({ "n": n })),
                    2 => ask::read(address, "files", "file:///load/small.txt"),
                    _ => ask::list(address, "tools/list"),
                })
            });
        }
        going.ask(address, (LARGE_PAUSE, true), move |n| {
            Some(match n % 2 {
                0 => ask::read(address, "files", "file:///load/large.bin"),
                _ => ask::download(address, "files", "file:///load/large.bin"),
            })
        });
        going.ask(address, (CHURN_PAUSE, false), move |_| Some(ask::initialize(address)));
        going
    }

    /// One client at a steady rate, whose latency is watched.
    pub async fn neighbour(self, time: Duration) -> Part {
        let (address, mut going) = (self.0, Going::new());
        going.ask(address, (NEIGHBOUR_PAUSE, false), move |_| {
            Some(ask::call(address, "hello", "greet", &json!({ "name": "neighbour" })))
        });
        tokio::time::sleep(time).await;
        going.stop().await
    }

    /// Attackers in waves, over all hostile agents.
    pub fn attack(self) -> Going {
        let (address, mut going) = (self.0, Going::new());
        let (least, most) = (*ATTACKERS.start(), *ATTACKERS.end());
        let began = Instant::now();
        for attacker in 0..most {
            going.ask(address, (ATTACK_PAUSE, true), move |n| {
                let phase = began.elapsed().as_secs_f64() / WAVE.as_secs_f64() * std::f64::consts::TAU;
                let active = least as f64 + (most - least) as f64 * (1.0 - phase.cos()) / 2.0;
                let trick = TRICKS[(attacker + n as usize) % TRICKS.len()];
                let agent = match n % 20 {
                    19 => format!("memories-{}", attacker % TOO_MANY_MEMORIES.len()),
                    _ => format!("hostile-{}", attacker % HOSTILE),
                };
                ((attacker as f64) < active).then(|| ask::call(address, &agent, trick, &json!({})))
            });
        }
        going
    }
}
