//! Results that are kept for whoever asks next: pages of lists, and small resources, as they are written.
//!
//! For as long as the agent's own hint says (`ttl-ms`), and for whom it says: a private result for the principal that asked,
//! a public one for all who have declared as much as the one who asked first. A change that the agent announces, or that a
//! poll finds, ends all that was kept of it, and so does another version of the agent. Owns the table and pays for it; the
//! least recently used goes first, and all of it goes when memory is short.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stockade_ledger::{Account, Charge};
use tokio::time::Instant;

use super::call::{Call, Endpoint, Target};
use super::version::Era;
use crate::agent::Caller;
use crate::agent::contract::{Cache, CacheScope};
use crate::memory::{Accounts, Ease};

/// Bytes of one result.
const RESULT_BYTES_MAX: usize = 256 << 10;

/// Bytes that a result takes besides its own: its places in the table, the charge.
const ENTRY_BYTES: u64 = 512;

/// Longest time anything is kept, whatever its agent says.
const TIME_MAX: Duration = Duration::from_secs(86_400);

/// All of them. A cheap handle.
#[derive(Debug, Clone)]
pub struct Kept(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    account: Account,
    entries_max: usize,
    table: Mutex<Table>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<Key, Entry>,
    /// The least recently used first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
}

/// Everything that decides what a result is: a digest, as what agents and clients choose has any length.
type Key = [u8; 32];

#[derive(Debug)]
struct Entry {
    used: u64,
    until: Instant,
    generation: u64,
    result: Arc<Written>,
}

/// A result, as far as it was written.
#[derive(Debug)]
pub struct Written {
    pub bytes: Box<[u8]>,
    /// Entries of a list among the bytes.
    pub entries: usize,
    /// Where the agent's list goes on.
    pub next: Option<Box<str>>,
    pub scope: CacheScope,
    _charge: Charge,
}

/// What of an agent is asked for.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A page of a list, by the list's letter and the agent's own cursor.
    Page(char, Option<&'a str>),
    /// A resource, by the agent's own URI.
    Content(&'a str),
}

/// Something that may be kept: who asks whom for what.
pub struct Question<'a> {
    kept: &'a Kept,
    keys: [Key; 2],
    /// Of the agent, when it was asked.
    generation: u64,
}

/// How often something was there, and how often not; and how much there is.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub hits: u64,
    pub misses: u64,
    pub entries: usize,
}

impl Kept {
    /// At most so many results, as far as the account `cache` pays for them.
    pub fn new(accounts: &Accounts, entries_max: u32) -> Self {
        let inner = Inner {
            account: accounts.cache.clone(),
            entries_max: entries_max as usize,
            table: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        let kept = Self(Arc::new(inner));
        let weak = Arc::downgrade(&kept.0);
        let relieve = move |bytes| weak.upgrade().map_or(0, |inner| inner.give_back(bytes));
        accounts.relief.register("cache", Ease::Cache, relieve);
        kept
    }

    pub fn figures(&self) -> Figures {
        let entries = self.0.lock().by_key.len();
        Figures { hits: self.0.hits.load(Relaxed), misses: self.0.misses.load(Relaxed), entries }
    }
}

impl<'a> Question<'a> {
    /// None where the answer depends on more than the question: on answers to what the agent has asked.
    pub fn of(call: &Call<'a>, target: &Target, what: What<'_>) -> Option<Self> {
        let Caller { principal, protocol_version, capabilities, answers, state, .. } = &*call.caller;
        let kept = &call.service.kept;
        if kept.0.entries_max == 0 || !answers.is_empty() || state.is_some() {
            return None;
        }
        let mut parts = Sha256::new();
        let mut add = |part: &str| {
            parts.update((part.len() as u64).to_le_bytes());
            parts.update(part);
        };
        add(target.agent.name());
        add(&target.offer.digest);
        add(if matches!(call.endpoint, Endpoint::Common) { "common" } else { "own" });
        add(if call.era == Era::Modern { "modern" } else { "legacy" });
        add(protocol_version);
        match what {
            What::Page(letter, at) => {
                add(letter.encode_utf8(&mut [0; 4]));
                add(if at.is_some() { "from" } else { "start" });
                add(at.unwrap_or_default());
            }
            What::Content(uri) => {
                add("content");
                add(uri);
            }
        }
        capabilities.iter().for_each(|capability| add(capability));
        let public = parts.clone().finalize().into();
        parts.update([0]);
        parts.update(&**principal);
        let keys = [public, parts.finalize().into()];
        let generation = call.service.agents.changes().generation(target.agent.name());
        Some(Self { kept, keys, generation })
    }

    /// What was kept, and for how long it is still good, in milliseconds.
    pub fn answer(&self) -> Option<(Arc<Written>, Cache)> {
        let inner = &*self.kept.0;
        let now = Instant::now();
        let mut table = inner.lock();
        let found = self.keys.iter().find_map(|key| table.get(key, self.generation, now));
        drop(table);
        let counter = if found.is_some() { &inner.hits } else { &inner.misses };
        counter.fetch_add(1, Relaxed);
        let (result, left) = found?;
        let cache = Cache { ttl_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX), scope: result.scope };
        Some((result, cache))
    }

    /// Keeps a result as long as its agent allows, if there is room.
    pub fn keep(&self, cache: Option<&Cache>, bytes: &[u8], entries: usize, next: Option<&str>) {
        let Some(Cache { ttl_ms: ttl_ms @ 1.., scope }) = cache else { return };
        if bytes.len() > RESULT_BYTES_MAX {
            return;
        }
        let inner = &*self.kept.0;
        let paid = (bytes.len() + next.map_or(0, str::len)) as u64 + ENTRY_BYTES;
        let Some(charge) = inner.charge(paid) else { return };
        let result = Arc::new(Written {
            bytes: bytes.into(),
            entries,
            next: next.map(Into::into),
            scope: *scope,
            _charge: charge,
        });
        let until = Instant::now() + Duration::from_millis((*ttl_ms).into()).min(TIME_MAX);
        let key = self.keys[usize::from(*scope == CacheScope::Private)];
        let mut table = inner.lock();
        let mut gone = Vec::from_iter(table.remove(&key));
        while table.by_key.len() >= inner.entries_max {
            gone.extend(table.remove_oldest());
        }
        table.insert(key, Entry { used: 0, until, generation: self.generation, result });
        drop(table);
        drop(gone);
    }
}

impl Inner {
    /// Pays, with what those used least recently give back if need be. What others hold is not ours to ask for.
    fn charge(&self, bytes: u64) -> Option<Charge> {
        loop {
            match self.account.charge(bytes) {
                Ok(charge) => return Some(charge),
                Err(refusal) if &*refusal.account == self.account.name() => {
                    let oldest = self.lock().remove_oldest();
                    drop(oldest?);
                }
                Err(_) => return None,
            }
        }
    }

    fn give_back(&self, bytes: u64) -> u64 {
        let before = self.account.used();
        let mut gone = 0;
        while gone < bytes {
            let Some(oldest) = self.lock().remove_oldest() else { break };
            drop(oldest);
            gone = before.saturating_sub(self.account.used());
        }
        gone
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A result that is still good; one that is not is forgotten.
    fn get(&mut self, key: &Key, generation: u64, now: Instant) -> Option<(Arc<Written>, Duration)> {
        let entry = self.by_key.get(key)?;
        if entry.until <= now || entry.generation != generation {
            drop(self.remove(key));
            return None;
        }
        let entry = self.remove(key)?;
        let found = (entry.result.clone(), entry.until - now);
        self.insert(*key, entry);
        Some(found)
    }

    /// Puts an entry in as the one used last.
    fn insert(&mut self, key: Key, mut entry: Entry) {
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(entry.used, key);
        self.by_key.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.by_key.remove(key)?;
        self.by_use.remove(&entry.used);
        Some(entry)
    }

    fn remove_oldest(&mut self) -> Option<Entry> {
        let (_, key) = self.by_use.pop_first()?;
        self.by_key.remove(&key)
    }
}

#[cfg(test)]
mod tests;
