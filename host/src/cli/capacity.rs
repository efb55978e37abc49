//! What a manifest promises, what it could be asked for at worst, and what would suit other sizes of `memory`.

use std::fmt::Write;

use crate::agent;
use crate::manifest::{AgentName, AgentSpec, Manifest, size};
use crate::memory::{HEALTH_FLOOR_BYTES, NATIVE_GROWTH_BYTES, REQUESTS_FLOOR_BYTES, each, percent, share};

/// Sizes of `memory` that a suggestion is made for.
const SIZES: [u64; 3] = [256 << 20, 512 << 20, 1 << 30];

/// Agents that are named where something is said of many.
const NAMED_MAX: usize = 20;

/// Something that is asked for, and what there is of it.
struct Demand {
    what: &'static str,
    worst: u64,
    ceiling: u64,
}

impl Demand {
    /// How much of the worst case there is; less than one is refused.
    fn share(&self) -> f64 {
        if self.worst == 0 { f64::INFINITY } else { self.ceiling as f64 / self.worst as f64 }
    }
}

/// A sum over all agents.
fn sum(manifest: &Manifest, of: impl Fn(&AgentSpec) -> u64) -> u64 {
    manifest.agents.values().map(of).fold(0, u64::saturating_add)
}

/// Everything that one limit or another bounds, if all of it were asked for at once.
fn demands(manifest: &Manifest) -> [Demand; 6] {
    let part = |percent| share(manifest.memory, percent);
    let calls = |spec: &AgentSpec| u64::from(spec.concurrency);
    let demand = |what, worst, percent| Demand { what, worst, ceiling: part(percent) };
    [
        demand("guest memory", sum(manifest, |spec| spec.memory.saturating_mul(calls(spec))), percent::GUESTS),
        demand("copies of results", sum(manifest, |spec| spec.copies.saturating_mul(calls(spec))), percent::COPIES),
        demand("replies", u64::from(manifest.http.in_flight).saturating_mul(manifest.http.reply), percent::REPLIES),
        demand("sessions", u64::from(manifest.transports.sessions) * each::SESSION, percent::OTHERS),
        demand("connections", u64::from(manifest.http.connections) * each::CONNECTION, percent::CONNECTIONS),
        demand("registry document", manifest.agents.len() as u64 * each::ENTRY, percent::DOCUMENT),
    ]
}

/// Writes the answer to "would these caps fit?".
pub(super) fn write(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let guaranteed = sum(manifest, agent::first_bytes);
    let floors = NATIVE_GROWTH_BYTES + REQUESTS_FLOOR_BYTES + HEALTH_FLOOR_BYTES;
    writeln!(
        out,
        "\nguaranteed  {} to one call of each agent, {} to the host itself beside what it takes at rest",
        size::round(guaranteed),
        size::round(floors)
    )?;
    let left_out = agent::without_own_place(manifest);
    let named = left_out.iter().take(NAMED_MAX).map(AgentName::as_str);
    let more = left_out.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| format!("{more} more"));
    let left_out: Vec<&str> = named.chain(more.as_deref()).collect();
    match &left_out[..] {
        [] => writeln!(out, "            whatever others do, one call of each agent finds a place")?,
        left_out => writeln!(
            out,
            "            there are too many agents for that: {} share with all others; raise `memory`, or lower `reserve` and \
             `copies`",
            left_out.join(", ")
        )?,
    }
    let calls: u64 = sum(manifest, |spec| spec.concurrency.into());
    writeln!(out, "worst case  {calls} calls at once, each at its cap, and all else the manifest allows:")?;
    let mut demands = demands(manifest);
    demands.sort_by(|one, other| one.share().total_cmp(&other.share()));
    for demand @ Demand { what, worst, ceiling } in &demands {
        let verdict = if demand.share() < 1.0 { "beyond that it is refused" } else { "fits" };
        let (worst, ceiling) = (size::round(*worst), size::round(*ceiling));
        writeln!(out, "            {what:<18} {worst:>8} of {ceiling:>8}, {verdict}")?;
    }
    match &demands[0] {
        first if first.share() < 1.0 => writeln!(out, "            first refused: {}; the host never is", first.what)?,
        _ => writeln!(out, "            all of it fits")?,
    }
    suggest(out, manifest)
}

/// What would fit at once in hosts of other sizes.
fn suggest(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let calls = sum(manifest, |spec| spec.concurrency.into());
    let largest = manifest.agents.values().map(|spec| spec.memory).max();
    let (Some(largest), 1..) = (largest, calls) else { return Ok(()) };
    for memory in SIZES {
        // Each call also takes its copies, from an account of their own.
        let guests = share(memory, percent::GUESTS);
        let each = (guests / calls) >> 20;
        let (at_once, memory) = (guests / largest, size::show(memory));
        match each {
            0 => writeln!(
                out,
                "suggestion  memory {memory}: too little for {calls} calls; {at_once} of the largest fit"
            )?,
            each => writeln!(
                out,
                "suggestion  memory {memory}: all {calls} calls fit with `memory: {each}M` each, or {at_once} of the largest \
                 as they are"
            )?,
        }
    }
    Ok(())
}
