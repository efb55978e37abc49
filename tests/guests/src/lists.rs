//! Lists of resources that do not end, or are larger than a client can want. The first page is harmless; the rest is asked
//! for by cursor, so that loading this agent does no harm.

use crate::exports::stockade::agent::resources::ResourcePage;
use crate::stockade::agent::types::{Cache, CacheScope, Error, Resource};
use crate::{address, cursors};

const PAGE_RESOURCES: usize = 5_000;

/// Together more than the host copies for one answer.
const NAME_BYTES: usize = 1 << 20;
const HUGE_NAMES: usize = 4;

/// The page at a cursor: `huge-page` (thousands of resources), `huge-names`, `endless-pages` (always a next cursor, always
/// a new one), `same-page` (its own next), `circle` (two pages, each the next of the other).
pub fn page(cursor: Option<&str>) -> Result<ResourcePage, Error> {
    let (resources, next) = match cursor {
        None => (cursors::TRAPS.iter().map(|trap| resource(trap.name.into())).collect(), Some("huge-page".into())),
        Some("huge-page") => ((0..PAGE_RESOURCES).map(|number| resource(format!("entry-{number}"))).collect(), None),
        Some("huge-names") => ((0..HUGE_NAMES).map(huge_name).collect(), None),
        Some("same-page") => (vec![resource("same".into())], Some("same-page".into())),
        // Empty pages that are good for an hour and lead to each other: who keeps them could go round for ever.
        Some("circle") => return Ok(kept("circle-back")),
        Some("circle-back") => return Ok(kept("circle")),
        Some(cursor) => {
            let number = endless(cursor)?;
            (vec![resource(format!("page-{number}"))], Some(format!("endless-pages/{}", number + 1)))
        }
    };
    Ok(ResourcePage { resources, next, cache: None })
}

fn kept(next: &str) -> ResourcePage {
    let cache = Some(Cache { ttl_ms: 3_600_000, scope: CacheScope::Public });
    ResourcePage { resources: vec![], next: Some(next.into()), cache }
}

/// Which of the endless pages this cursor stands for.
fn endless(cursor: &str) -> Result<u64, Error> {
    let number = match cursor.split_once('/') {
        None if cursor == "endless-pages" => Some(0),
        Some(("endless-pages", number)) => number.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Error::InvalidInput(format!("no page at {cursor}")))
}

fn huge_name(number: usize) -> Resource {
    let mut huge = resource(format!("huge-{number}"));
    huge.name = "x".repeat(NAME_BYTES);
    huge
}

fn resource(name: String) -> Resource {
    Resource {
        uri: address(&name),
        name,
        title: None,
        description: None,
        mime_type: Some("text/plain".into()),
        size: None,
        version: None,
        annotations: None,
        icons: vec![],
    }
}
