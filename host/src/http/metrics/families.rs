//! What is told, and under which names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::AGENTS_MAX;
use crate::agent::{Agent, Classes, Figures, Function, LATENESS, MEMORY_CLASSES, TIME_CLASSES};
use crate::http::App;
use crate::mcp::Open;
use crate::memory::{Level, Reading};
use crate::registry::View;

/// Everything that this host tells.
pub struct Host(pub Arc<App>);

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Host")
    }
}

type Labels<const N: usize> = [(&'static str, Arc<str>); N];

const NONE: Labels<0> = [];

fn label(name: &'static str, value: &str) -> Labels<1> {
    [(name, value.into())]
}

impl Collector for Host {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        let app = &*self.0;
        memory(&mut out, app)?;
        accounts(&mut out, app)?;
        clients(&mut out, app)?;
        document(&mut out, app)?;
        published(&mut out, app)?;
        agents(&mut out, app)?;
        let late = [(NONE, app.agents.lateness())];
        out.classes("epoch_lateness", "How late running guests were interrupted", &Unit::Seconds, &late, &LATENESS)
    }
}

fn memory(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let reading = app.settings.pressure.reading();
    let Reading { level, measured, books, native, pool, .. } = reading;
    let plain = |value: u64| [(NONE, value)];
    out.bytes("memory_limit", "What the whole process may use", plain(app.settings.memory))?;
    let thresholds = app.settings.thresholds;
    let levels = [("warning", thresholds.warning), ("critical", thresholds.critical), ("maximum", thresholds.maximum)];
    out.bytes("memory_threshold", "Where a level begins", levels.map(|(level, bytes)| (label("level", level), bytes)))?;
    let stands = Level::ALL.map(|each| (label("level", &each.to_string()), u64::from(each == level)));
    out.gauges("memory_level", "1 for the level at which memory use stands", None, stands)?;
    out.bytes("memory_books", "What the ledger has lent or set aside", plain(books))?;
    if let Some(measured) = measured {
        out.bytes("memory_measured", "What counts against the limit, as the kernel sees it", plain(measured.used))?;
        out.bytes(
            "memory_resident",
            "Anonymous and shared pages of the process and its children",
            plain(measured.own),
        )?;
        out.bytes("memory_drift", "In use, and lent by no account", plain(reading.drift()))?;
        out.bytes("memory_reserved_untouched", "Lent, and not in use", plain(reading.reserved_untouched()))?;
        if let Some(group) = measured.group {
            out.bytes("memory_control_group", "Charged to the control group, less file cache", plain(group))?;
        }
    }
    let Some(native) = native else { return Ok(()) };
    out.bytes("pool_resident", "Kept in free slots of the pool for the next call", plain(pool))?;
    out.bytes("heap_allocated", "The host's own heap: in use", plain(native.allocated))?;
    out.bytes("heap_resident", "The host's own heap: held", plain(native.resident))
}

fn accounts(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let snapshot = app.settings.ledger.snapshot();
    // Children are those of agents, which the agents' own figures tell.
    let accounts: Vec<_> = snapshot.accounts.iter().filter(|account| !account.name.contains('/')).collect();
    let each = |figure: fn(&stockade_ledger::AccountSnapshot) -> u64| {
        accounts.iter().map(move |account| ([("account", account.name.clone())], figure(account))).collect::<Vec<_>>()
    };
    out.bytes("account_used", "Bytes lent now", each(|account| account.used))?;
    out.bytes("account_limit", "Bytes that may be lent", each(|account| account.ceiling))?;
    out.bytes("account_floor", "Bytes that can always be lent", each(|account| account.floor))?;
    out.bytes("account_peak", "The most that was lent", each(|account| account.peak))?;
    out.counters("account_refusals", "Requests that were refused", None, each(|account| account.refusals))
}

fn clients(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let Open { sessions, streams, listeners } = app.mcp.open();
    let plain = |value: u64| [(NONE, value)];
    out.gauges("sessions", "Sessions that are open", None, plain(sessions.into()))?;
    out.gauges("streams", "Streams that are open", None, plain(streams.into()))?;
    out.gauges("listeners", "Clients that wait for changes", None, plain(listeners as u64))?;
    out.gauges("requests_in_flight", "Requests that are being answered", None, plain(app.in_flight.held().into()))?;
    let kept = app.mcp.kept.figures();
    out.gauges("results_kept", "Results kept for whoever asks next", None, plain(kept.entries as u64))?;
    let lookups =
        [("hit", kept.hits), ("miss", kept.misses)].map(|(outcome, count)| (label("outcome", outcome), count));
    out.counters("results_asked", "Questions that a kept result might have answered", None, lookups)?;
    let [received, sent] = app.traffic.bytes();
    let directions = [("received", received), ("sent", sent)];
    let directions = directions.map(|(direction, bytes)| (label("direction", direction), bytes));
    out.counters("traffic", "Bytes of all connections", Some(&Unit::Bytes), directions)
}

fn published(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let publishing = &app.settings.publishing;
    let plain = |value: u64| [(NONE, value)];
    let open = plain(publishing.open_uploads() as u64);
    out.gauges("uploads_open", "Uploads that have begun and are not over", None, open)?;
    out.bytes("published_size", "Disk that counts for what was pushed, of `uploads.disk`", plain(publishing.stored()))
}

fn document(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let document = &app.settings.document;
    let (View { epoch, stored, bytes, entries, least }, (connected, present)) = (document.view(), document.crowd());
    let plain = |value: u64| [(NONE, value)];
    out.gauges("document_agents", "Agents that the registry has", None, plain(document.count() as u64))?;
    out.gauges("document_epoch", "How often the registry's document has begun anew", None, plain(epoch))?;
    out.counters("document_stored", "Updates of the registry's document on disk", None, plain(stored))?;
    out.bytes("document_size", "Memory of the registry's document", plain(bytes))?;
    out.bytes("document_least", "What that would be without its past, about", plain(least))?;
    let stuck = plain(u64::from(document.is_stuck()));
    out.gauges(
        "document_stuck",
        "1 while the disk does not take what is written to the registry's document",
        None,
        stuck,
    )?;
    let refused = document.refused().map(|(kind, count)| (label("reason", kind), count));
    out.counters("document_refused", "Edits of the registry's document that were refused or put right", None, refused)?;
    out.gauges("document_entries", "Runs of edits that the document remembers", None, plain(entries))?;
    let clients = [("connected", connected), ("present", present)];
    let clients = clients.map(|(state, count)| (label("state", state), count as u64));
    out.gauges("document_clients", "Clients of the document, and those who say that somebody is there", None, clients)
}

/// What an agent has to tell, or all those without labels of their own.
struct Told {
    name: Arc<str>,
    version: Arc<str>,
    figures: Figures,
    running: u64,
    waiting: u64,
    /// Agents that are loaded and do not rest, of those this tells of.
    ready: u64,
}

impl Told {
    fn of(agent: &Agent) -> Self {
        let version = agent.offer().map_or_else(|_| "".into(), |offer| offer.version.clone());
        let (running, waiting) = agent.crowd();
        let (running, waiting) = (running.into(), waiting as u64);
        let ready = u64::from(agent.offer().is_ok() && agent.rests().is_none());
        Self { name: agent.name().into(), version, figures: agent.figures(), running, waiting, ready }
    }

    fn all(app: &App) -> Vec<Self> {
        Self::bounded(app.agents.roll().iter().map(|agent| Self::of(agent)))
    }

    /// The first ones as they are, and all others as one.
    fn bounded(mut agents: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut told: Vec<Self> = agents.by_ref().take(AGENTS_MAX).collect();
        let others = agents.reduce(Self::with);
        told.extend(others.map(|others| Self { name: "_OTHER".into(), version: "".into(), ..others }));
        told
    }

    fn with(mut self, other: Self) -> Self {
        self.running += other.running;
        self.waiting += other.waiting;
        self.ready += other.ready;
        self.figures.memory_peak = self.figures.memory_peak.max(other.figures.memory_peak);
        self.figures.waited.merge(&other.figures.waited);
        for (limit, count) in other.figures.refused {
            *self.figures.refused.entry(limit).or_default() += count;
        }
        for (name, Function { outcomes, wall, memory }) in other.figures.functions {
            let own = self.figures.functions.entry(name).or_default();
            for (outcome, count) in outcomes {
                *own.outcomes.entry(outcome).or_default() += count;
            }
            own.wall.merge(&wall);
            own.memory.merge(&memory);
        }
        self
    }

    fn labels(&self) -> Labels<2> {
        [("agent", self.name.clone()), ("version", self.version.clone())]
    }

    /// One row for each function, with what `figure` makes of it.
    fn functions<T>(&self, figure: impl Fn(&Function) -> T) -> impl Iterator<Item = (Labels<3>, T)> {
        let [agent, version] = self.labels();
        self.figures.functions.iter().map(move |(name, function)| {
            ([agent.clone(), version.clone(), ("function", Arc::from(*name))], figure(function))
        })
    }
}

fn agents(out: &mut Out<'_>, app: &App) -> fmt::Result {
    let told = Told::all(app);
    let plain = |figure: fn(&Told) -> u64| told.iter().map(move |told| (told.labels(), figure(told)));
    out.gauges("agent_ready", "Whether it is loaded and does not rest", None, plain(|told| told.ready))?;
    out.gauges("agent_instances", "Instances that live", None, plain(|told| told.running))?;
    out.gauges("agent_waiting", "Calls that wait for their turn", None, plain(|told| told.waiting))?;
    out.bytes("agent_memory_peak", "The most guest memory one call has held", plain(|told| told.figures.memory_peak))?;
    let outcomes = told.iter().flat_map(|told| told.functions(|function| function.outcomes.clone()));
    let outcomes = outcomes.flat_map(|([agent, version, function], outcomes): (_, BTreeMap<&str, u64>)| {
        let row = move |(outcome, count): (&str, u64)| {
            ([agent.clone(), version.clone(), function.clone(), ("outcome", Arc::from(outcome))], count)
        };
        outcomes.into_iter().map(row)
    });
    out.counters("agent_calls", "Calls that ran, by how they ended", None, outcomes)?;
    let refused = told.iter().flat_map(|told| {
        let [agent, version] = told.labels();
        let row = move |(limit, count): (&crate::agent::LimitName, &u64)| {
            ([agent.clone(), version.clone(), ("limit", Arc::from(limit.as_str()))], *count)
        };
        told.figures.refused.iter().map(row)
    });
    out.counters("agent_refused", "Calls that were refused before they ran", None, refused)?;
    let walls: Vec<_> = told.iter().flat_map(|told| told.functions(|function| function.wall)).collect();
    out.classes("agent_call_duration", "Wall clock of calls", &Unit::Seconds, &walls, &TIME_CLASSES)?;
    let memories: Vec<_> = told.iter().flat_map(|told| told.functions(|function| function.memory)).collect();
    out.classes("agent_call_memory", "Most guest memory of calls", &Unit::Bytes, &memories, &MEMORY_CLASSES)?;
    let waits: Vec<_> = told.iter().map(|told| (told.labels(), told.figures.waited)).collect();
    out.classes("agent_queue_wait", "Time that calls waited for their turn", &Unit::Seconds, &waits, &TIME_CLASSES)
}

/// Where families are written to.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn bytes<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (S, u64)>,
    ) -> fmt::Result {
        self.gauges(name, help, Some(&Unit::Bytes), rows)
    }

    fn gauges<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (S, u64)>,
    ) -> fmt::Result {
        self.family((name, help, unit), MetricType::Gauge, rows, |row, value| row.encode_gauge(&value))
    }

    fn counters<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (S, u64)>,
    ) -> fmt::Result {
        self.family((name, help, unit), MetricType::Counter, rows, |row, value| {
            row.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn family<S: EncodeLabelSet>(
        &mut self,
        (name, help, unit): (&str, &str, Option<&Unit>),
        of: MetricType,
        rows: impl IntoIterator<Item = (S, u64)>,
        write: fn(&mut MetricEncoder<'_>, u64) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, of)?;
        rows.into_iter().try_for_each(|(labels, value)| write(&mut family.encode_family(&labels)?, value))
    }

    fn classes<S: EncodeLabelSet, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: &Unit,
        rows: &[(S, Classes<N>)],
        ends: &[f64; N],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(unit), MetricType::Histogram)?;
        rows.iter().try_for_each(|(labels, classes)| {
            // The writer adds what is above all of them.
            let buckets: Vec<(f64, u64)> = ends.iter().copied().zip(classes.counts).collect();
            family.encode_family(labels)?.encode_histogram::<NoLabelSet>(classes.sum, classes.count(), &buckets, None)
        })
    }
}

#[cfg(test)]
mod tests;
