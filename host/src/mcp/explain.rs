//! Limits in words: who met which limit, and by how much. For people; programs read the object beside it.

use std::fmt::Write as _;

use super::error::HostLimit;
use crate::agent::{Limit, LimitName, Unit};

/// `files 0.1.0: memory limit of 64 MiB reached: 63.9 MiB used, 1 MiB more wanted`
pub fn limit(limit: &Limit) -> String {
    let figures = |text: &str| {
        let (cap, used, wanted) = (amount(limit.cap, limit.unit), amount(limit.used, limit.unit), limit.wanted);
        let more = match wanted {
            0 => String::new(),
            _ => format!(", {} more wanted", amount(wanted, limit.unit)),
        };
        format!("{text} limit of {cap} reached: {used} used{more}")
    };
    let what = match limit.limit {
        LimitName::Memory => figures("memory"),
        LimitName::Table => figures("table"),
        LimitName::Cpu => figures("CPU time"),
        LimitName::Deadline => figures("time"),
        LimitName::Copies => figures("result size"),
        LimitName::Handles => figures("handle"),
        LimitName::Output => figures("standard output"),
        LimitName::Stack => "stack exhausted, or a wild pointer".into(),
        LimitName::Exit => format!("ended its process with code {}", limit.used),
        LimitName::Panic => "panicked".into(),
        LimitName::Busy => "busy: too many calls run or wait".into(),
        LimitName::HostFull => "the host has no memory left for this call".into(),
        LimitName::Quarantine => "rests after too many failures in a row".into(),
        LimitName::Loading => "is still being loaded".into(),
        LimitName::NotLoaded => "could not be loaded".into(),
        LimitName::Disabled => "is disabled".into(),
    };
    let mut text = match &*limit.version {
        "" => format!("{}: {what}", limit.agent),
        version => format!("{} {version}: {what}", limit.agent),
    };
    if let Some(detail) = &limit.detail {
        let _ = write!(text, " ({})", detail.trim());
    }
    if let Some(after) = limit.retry_after_ms {
        let _ = write!(text, "; try again in {}", amount(after, Unit::Milliseconds));
    }
    text
}

/// A reply that is larger than the host collects.
pub fn reply(limit: &HostLimit) -> String {
    let cap = amount(limit.cap, Unit::Bytes);
    let who = limit.agent.as_deref().unwrap_or("the host");
    format!("{who}: the reply is larger than the limit `http.reply` of {cap}; ask for less")
}

/// A figure with its unit; bytes in the largest binary unit, with one decimal where it says something.
pub fn amount(figure: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(figure),
        Unit::Milliseconds if figure >= 1000 => scaled(figure, 1000, "s"),
        Unit::Milliseconds => format!("{figure} ms"),
        Unit::Elements => format!("{figure} elements"),
        Unit::Calls => format!("{figure} calls"),
        Unit::Handles => format!("{figure} handles"),
        Unit::Failures => format!("{figure} failures"),
        Unit::Code | Unit::None => figure.to_string(),
    }
}

fn bytes(figure: u64) -> String {
    match figure {
        0..1024 => format!("{figure} bytes"),
        1024..0x10_0000 => scaled(figure, 1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => scaled(figure, 1 << 20, "MiB"),
        _ => scaled(figure, 1 << 30, "GiB"),
    }
}

/// Rounded down, so that what was used never reads as more than the limit.
fn scaled(figure: u64, scale: u64, unit: &str) -> String {
    match (figure / scale, u128::from(figure % scale) * 10 / u128::from(scale)) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenths) => format!("{whole}.{tenths} {unit}"),
    }
}

#[cfg(test)]
mod tests;
