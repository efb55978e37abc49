//! Bounds of the registry's document and of its clients.

use std::time::Duration;

use super::table::{Setting, Table};

/// Longest and shortest time that an entry is kept once it is retired.
const RETIRED_MIN: Duration = Duration::from_secs(1);
const RETIRED_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// Bounds of the registry's document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLimits {
    /// Clients connected at once.
    pub clients: u32,
    /// Messages a second of one client; one that sends more is read more slowly.
    pub rate: u32,
    /// How long an agent's entry is kept once it is retired.
    pub retired: Duration,
}

pub(super) fn check(mut table: Table<'_>) -> DocumentLimits {
    let day = Setting::default(Duration::from_secs(86_400));
    let limits = DocumentLimits {
        clients: table.count("clients", Setting::default(1_000), 1..=100_000).value,
        rate: table.count("rate", Setting::default(1_000), 1..=1_000_000).value,
        retired: table.time("retired", day, RETIRED_MIN..=RETIRED_MAX).value,
    };
    table.end();
    limits
}
