//! Lengths of time as operators write them: `250ms`, `5s`, `3m`, `24h`.
//!
//! A number alone is refused, since nobody can tell seconds from milliseconds. Never rounds what it reads.

use std::time::Duration;

/// Units from the largest, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const FORM: &str = "a time is a whole number with ms, s, m or h, such as 5s";

/// Reads a time, or says how it should have been written.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = UNITS.iter().find(|(unit, _)| *unit == &text[digits.len()..]).map(|(_, factor)| *factor);
    match factor {
        Some(factor) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Duration::from_millis)
            .ok_or_else(|| "that is longer than any machine runs".to_owned()),
        _ if text.parse::<u64>().is_ok() => Err(format!("write {text}s or {text}ms: {FORM}")),
        _ => Err(FORM.to_owned()),
    }
}

/// The shortest exact way to write a time, such as `5s`.
pub(super) fn show(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let exact = |factor: u64| milliseconds >= u128::from(factor) && milliseconds.is_multiple_of(u128::from(factor));
    match UNITS.iter().find(|(_, factor)| exact(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", milliseconds / u128::from(*factor)),
        None => "0s".to_owned(),
    }
}
