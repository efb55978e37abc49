//! The `Accept` header, as far as it matters here: JSON, events, or both (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::mcp::Accept;

/// How much a client wants each of the two, in thousandths; 0 is not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    json: u16,
    events: u16,
}

/// What a reply to a POST may be; none when the client takes neither.
pub fn of_post(headers: &HeaderMap) -> Option<Accept> {
    match wanted(headers) {
        Wanted { json: 0, events: 0 } => None,
        Wanted { json, events: 0 } if json > 0 => Some(Accept::Json),
        Wanted { json, events } if events > json => Some(Accept::Events),
        _ => Some(Accept::Either),
    }
}

/// Whether a GET may be answered with events.
pub fn takes_events(headers: &HeaderMap) -> bool {
    wanted(headers).events > 0
}

/// Who says nothing takes anything; but a client that never heard of events gets none.
fn wanted(headers: &HeaderMap) -> Wanted {
    if !headers.contains_key(ACCEPT) {
        return Wanted { json: 1000, events: 0 };
    }
    let values = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = || values().flat_map(|value| value.split(','));
    Wanted { json: quality(ranges(), "application/json"), events: quality(ranges(), "text/event-stream") }
}

/// The weight of a media type: that of the range which names it most exactly.
fn quality<'a>(ranges: impl Iterator<Item = &'a str>, kind: &str) -> u16 {
    let family = kind.split('/').next().unwrap_or_default();
    let fit = |range: &str| match range {
        range if range.eq_ignore_ascii_case(kind) => Some(2),
        "*/*" => Some(0),
        range => range.strip_suffix("/*").filter(|it| it.eq_ignore_ascii_case(family)).map(|_| 1),
    };
    let weights = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        Some((fit(parts.next()?)?, weight(parts)))
    });
    weights.max_by_key(|(exactness, _)| *exactness).map_or(0, |(_, weight)| weight)
}

/// `q=0.5` is 500; without a weight, or with one that is none, 1000.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u16 {
    let said = parameters.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
    let weight = said.and_then(|said| said.trim().parse::<f32>().ok()).filter(|weight| (0.0..=1.0).contains(weight));
    weight.map_or(1000, |weight| (weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests;
