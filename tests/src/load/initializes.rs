//! Clients that open session after session and never end one: what a session costs, and that a full table costs nothing
//! more.

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::ask;
use super::figures::{Figures, Target, growth, mib};
use super::host::Host;
use super::wire::Wire;

/// Kept-alive connections that the requests share.
const CONNECTIONS: u64 = 4;

/// Requests before anything is measured: buffers and allocators filled.
const WARM_UP: u64 = 2_000;

/// Bytes that one session may cost.
const SESSION_BYTES_TARGET: f64 = 1024.0;

/// Bytes of resident memory that count as none.
const FLAT_BYTES_MAX: f64 = (2 << 20) as f64;

#[derive(Debug, Clone, Copy)]
pub struct Initializes {
    /// Sessions opened in all.
    pub count: u64,
    /// Sessions the host may hold.
    pub sessions: u64,
}

/// What became of some requests.
#[derive(Debug, Default, Clone, Copy)]
struct Answers {
    succeeded: u64,
    with_session: u64,
}

impl Initializes {
    pub async fn run(self) -> Result<Figures> {
        let Self { count, sessions } = self;
        let manifest =
            format!("transports: {{ sessions: {sessions} }}\nagents: {{ hello: {{ component: '{{hello}}' }} }}\n");
        let host = Host::start(tempfile::tempdir()?, &manifest).await?;
        let mut wires = Vec::new();
        for _ in 0..CONNECTIONS {
            wires.push(Wire::connect(host.address, 0).await?);
        }
        let (ping, initialize) = (ask::ping(host.address), ask::initialize(host.address));
        let (wires, _) = send(wires, &ping, WARM_UP).await?;
        let before = host.resident()?;
        let (wires, filling) = send(wires, &initialize, sessions.min(count)).await?;
        let full = host.resident()?;
        let (_wires, beyond) = send(wires, &initialize, count.saturating_sub(sessions)).await?;
        let after = host.resident()?;

        let mut figures = Figures::default();
        let opened = (filling.with_session + beyond.with_session) as f64;
        figures.add("resident before", mib(before.bytes as f64), "MiB");
        figures.add("resident at the cap", mib(full.bytes as f64), "MiB");
        figures.add("resident at the end", mib(after.bytes as f64), "MiB");
        figures.judge("replies with a session", opened, "", Target::AtLeast(count as f64));
        figures.add("replies without success", (count - filling.succeeded - beyond.succeeded) as f64, "");
        let each = growth(before, full) / sessions.min(count) as f64;
        figures.judge("bytes per session", each, "B", Target::AtMost(SESSION_BYTES_TARGET));
        let flat = mib(FLAT_BYTES_MAX);
        figures.judge("growth after the cap", mib(growth(full, after)), "MiB", Target::AtMost(flat));
        Ok(figures)
    }
}

/// Sends a request `count` times over these connections.
async fn send(wires: Vec<Wire>, request: &[u8], count: u64) -> Result<(Vec<Wire>, Answers)> {
    let mut tasks = JoinSet::new();
    let connections = wires.len() as u64;
    for (number, mut wire) in (0..).zip(wires) {
        let request = request.to_vec();
        let own = count / connections + u64::from(number < count % connections);
        tasks.spawn(async move {
            let mut answers = Answers::default();
            for _ in 0..own {
                wire.send(&request).await?;
                let head = wire.head().await?;
                wire.body(&head).await?;
                answers.succeeded += u64::from(head.status == 200);
                answers.with_session += u64::from(head.session.is_some());
            }
            anyhow::Ok((wire, answers))
        });
    }
    let (mut wires, mut all) = (Vec::new(), Answers::default());
    while let Some(done) = tasks.join_next().await {
        let (wire, answers) = done.context("a connection's task neither panics nor is aborted")??;
        wires.push(wire);
        all.succeeded += answers.succeeded;
        all.with_session += answers.with_session;
    }
    Ok((wires, all))
}
