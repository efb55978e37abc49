//! When a file was changed, and what that makes its version.

#[cfg(test)]
mod tests;

use std::fs::Metadata;
use std::time::{Duration, UNIX_EPOCH};

/// Changes whenever the file does, as far as its size and modification time tell.
pub fn version(metadata: &Metadata) -> String {
    format!("{:x}-{:x}", since_epoch(metadata).as_nanos(), metadata.len())
}

/// Modification time as ISO 8601, to the second.
pub fn last_modified(metadata: &Metadata) -> String {
    iso8601(since_epoch(metadata).as_secs())
}

/// A file without a time, or from before 1970, counts as from 1970.
fn since_epoch(metadata: &Metadata) -> Duration {
    metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default()
}

/// Seconds since 1970 in the Gregorian calendar, UTC.
fn iso8601(seconds: u64) -> String {
    // Years here begin in March, so that the leap day is a year's last; after an era of 400 years all repeats.
    const ERA_DAYS: u64 = 146_097;
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA_DAYS - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3_600, time / 60 % 60, time % 60)
}
