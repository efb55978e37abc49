//! Those who hold bytes that the host can do without, and give them back when they are asked.
//!
//! Owns the order in which they are asked. Never knows what they hold: a holder registers a closure.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

/// Gives back up to so many bytes, and says how many it gave.
type Relieve = Box<dyn Fn(u64) -> u64 + Send + Sync>;

/// How easily something is done without; asked in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ease {
    /// It is made again for less than it takes to miss it: results kept for whoever asks next.
    Cache,
    /// It is loaded again: compiled code that nobody runs.
    Code,
    /// Somebody has to begin again: sessions that nobody uses.
    Idle,
    /// Somebody loses what he works at. Asked only when nothing else is left.
    Running,
}

/// All of them. A cheap handle.
#[derive(Clone, Default)]
pub struct Relief(Arc<Mutex<Vec<Holder>>>);

struct Holder {
    name: &'static str,
    ease: Ease,
    relieve: Relieve,
}

/// What one holder gave back, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relieved {
    /// Who.
    pub holder: &'static str,
    /// How much.
    pub bytes: u64,
}

impl Relief {
    /// Enters somebody who can give bytes back. `relieve` is called from any thread, may take locks of its own, and must
    /// not wait. It should hold what it needs weakly: it is kept as long as the host.
    pub fn register(&self, name: &'static str, ease: Ease, relieve: impl Fn(u64) -> u64 + Send + Sync + 'static) {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holders.push(Holder { name, ease, relieve: Box::new(relieve) });
        holders.sort_by_key(|holder| holder.ease);
    }

    /// Asks those of this ease, the easiest first, until `bytes` are given back.
    pub fn ask(&self, bytes: u64, ease: impl RangeBounds<Ease>) -> Vec<Relieved> {
        let holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gave = Vec::new();
        let mut left = bytes;
        for Holder { name, relieve, .. } in holders.iter().filter(|holder| ease.contains(&holder.ease)) {
            if left == 0 {
                break;
            }
            let bytes = relieve(left);
            left = left.saturating_sub(bytes);
            if bytes > 0 {
                gave.push(Relieved { holder: name, bytes });
            }
        }
        gave
    }
}

impl fmt::Debug for Relief {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.debug_list().entries(holders.iter().map(|holder| holder.name)).finish()
    }
}

#[cfg(test)]
mod tests;
