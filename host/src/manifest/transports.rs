//! What MCP clients may keep open: sessions, streams, subscriptions, questions.

use std::time::Duration;

use super::table::{Setting, Table};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

/// Longest time anything may be configured to last; a longer one is a mistake in the unit.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);
const TIME_MIN: Duration = Duration::from_millis(100);

/// Bounds of what clients may keep open.
#[derive(Debug, Clone, Copy)]
pub struct Transports {
    /// Sessions of clients of the `initialize` era.
    pub sessions: u32,
    /// Time without a request or an open stream after which a session ends.
    pub idle: Duration,
    /// Time after which a session ends in any case.
    pub lifetime: Duration,
    /// Streams open at once that last: change notices, streams of sessions. A reply that ends by itself is one of
    /// `http.in_flight`.
    pub streams: u32,
    /// Time after which a quiet stream says that it is still there.
    pub keep_alive: Duration,
    /// Bytes of messages that wait for one client to take them; more are dropped and counted.
    pub queue: u64,
    /// Resources one session or one `subscriptions/listen` may be subscribed to.
    pub subscriptions: u32,
    /// Bytes of the URIs of one `subscriptions/listen`.
    pub filter: u64,
    /// Calls that may wait for a client's answer to a question at once (before 2026-07-28).
    pub inputs: u32,
    /// Longest wait for such an answer, and how long the state of a question is good (2026-07-28).
    pub input_wait: Duration,
    /// Messages in one JSON-RPC batch (2025-03-26).
    pub batch: u32,
    /// Whether the transport of 2024-11-05 is served, at `/sse` and `/messages`.
    pub sse: bool,
}

pub(super) fn check(mut table: Table<'_>) -> Transports {
    let times = TIME_MIN..=TIME_MAX;
    let limits = Transports {
        sessions: table.count("sessions", Setting::default(10_000), 1..=1_000_000).value,
        idle: table.time("idle", seconds(180), times.clone()).value,
        lifetime: table.time("lifetime", seconds(86_400), times.clone()).value,
        streams: table.count("streams", Setting::default(512), 1..=1_000_000).value,
        keep_alive: table.time("keep_alive", seconds(15), times.clone()).value,
        queue: table.size("queue", Setting::default(64 * K), K..=M).value,
        subscriptions: table.count("subscriptions", Setting::default(128), 1..=10_000).value,
        filter: table.size("filter", Setting::default(64 * K), K..=M).value,
        inputs: table.count("inputs", Setting::default(64), 1..=10_000).value,
        input_wait: table.time("input_wait", seconds(300), times).value,
        batch: table.count("batch", Setting::default(32), 1..=1_000).value,
        sse: table.choice("sse", false, &[("true", true), ("false", false)]).value,
    };
    table.end();
    limits
}

const fn seconds(count: u64) -> Setting<Duration> {
    Setting::default(Duration::from_secs(count))
}
