//! How fast each principal may add to the document. What is added stays until the document begins anew, and then all clients are
//! sent away: nobody but an operator brings that about at will.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_gate::Burden;

use super::document::Refused;
use crate::access::Principal;

/// What a principal may add at once, and in a second: runs of structs, and what counts as so many. One message may take more than
/// fifty thousand.
const AT_ONCE: u64 = 60_000;
const A_SECOND: u64 = 200;

/// What counts as so many runs: a client that is new, and a range that is deleted apart from others, since there may be fewer of
/// those.
const CLIENT: u64 = 100;
const DELETION: u64 = 3;

/// Comparisons that count as one run.
const COMPARISONS: u64 = 100;

/// When each principal that has written may add as much at once as anybody. There are as many as tokens.
#[derive(Debug, Default)]
pub struct Paces(BTreeMap<Arc<str>, Instant>);

impl Paces {
    /// Takes what somebody wants to add now.
    ///
    /// # Errors
    ///
    /// When it has added too much lately.
    pub fn take(&mut self, by: &Principal, burden: Burden, now: Instant) -> Result<(), Refused> {
        let Burden { entries, clients, deletions, comparisons } = burden;
        let cost = entries as u64 + clients as u64 * CLIENT + deletions as u64 * DELETION;
        let cost = cost + comparisons as u64 / COMPARISONS;
        let took = |units: u64| Duration::from_millis(units * 1_000 / A_SECOND);
        let whole_at = self.0.get(&by.name).map_or(now, |at| now.max(*at)) + took(cost);
        let wait = (whole_at - now).saturating_sub(took(AT_ONCE));
        if wait > Duration::ZERO {
            return Err(Refused::TooFast { principal: by.name.clone(), wait });
        }
        self.0.insert(by.name.clone(), whole_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_lately_counts_and_what_is_refused_does_not() {
        let (mut paces, by, now) = (Paces::default(), Principal::anonymous(100), Instant::now());
        let entries = |entries: u64| Burden { entries: entries as usize, clients: 0, deletions: 0, comparisons: 0 };
        let after = |units: u64| now + Duration::from_millis(units * 1_000 / A_SECOND);
        paces.take(&by, entries(AT_ONCE), now).unwrap();
        let refused = paces.take(&by, entries(400), now).unwrap_err();
        assert_eq!(refused, Refused::TooFast { principal: by.name.clone(), wait: Duration::from_secs(2) });
        assert!(refused.to_string().contains("there is room again in 3 s"), "{refused}");
        paces.take(&by, entries(400), after(400)).unwrap();
        // New clients, deletions and comparisons count as well.
        let new = Burden { entries: 0, clients: 2, deletions: 33, comparisons: 10_100 };
        paces.take(&by, new, after(799)).unwrap_err();
        paces.take(&by, new, after(800)).unwrap();
        paces.take(&by, entries(AT_ONCE), after(10 * AT_ONCE)).unwrap();
    }
}
