//! What clients say of themselves (awareness), for as long as they are there: never part of the document.
//!
//! A table of our own, since the library's forgets nobody. A connection may speak for the few clients it has introduced, and
//! what it said goes with it. Changes are told in batches: each client renews its state every 15 s, and told one by one that
//! would be the square of their number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_gate::awareness::{self, State};
use stockade_ledger::{Account, Charge, Refusal};
use tokio::time::Instant;

/// Clients that one connection may speak for.
const PER_CONNECTION_MAX: usize = 8;

/// Bytes that a state takes besides its own.
const STATE_BYTES: u64 = 128;

/// Clients in one message to clients: they read any number, and repeat it, but one message should not be large.
const TOLD_MAX: usize = 16;

/// The last clock that is taken: no client counts so far, and one that is told more might not be able to say the next.
const CLOCK_MAX: u64 = 1 << 30;

/// How long it is remembered who has gone, and of how many: whoever repeats late what such a client has said does not bring it
/// back. In all, 256 KiB at most.
const GONE_KEPT: Duration = Duration::from_secs(30);
const GONE_MAX: usize = 4_096;

/// The table.
#[derive(Debug)]
pub struct Presence {
    account: Account,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_client: BTreeMap<u64, Said>,
    /// Whose states are to be told.
    news: BTreeSet<u64>,
    /// The last clocks of those who have gone, and since when, the oldest first.
    gone: BTreeMap<u64, (u64, Instant)>,
    gone_since: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
struct Said {
    clock: u64,
    /// None once it has gone; it is forgotten when that is told.
    json: Option<Box<str>>,
    connection: u64,
    charge: Charge,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    #[error("a connection speaks for at most {PER_CONNECTION_MAX} clients")]
    TooMany,
    #[error("no room: {0}")]
    NoRoom(Refusal),
}

impl Presence {
    pub fn new(account: Account) -> Self {
        Self { account, table: Mutex::default() }
    }

    /// Takes what a connection says of its own clients. What it repeats of others changes nothing.
    ///
    /// # Errors
    ///
    /// When it may not say some of it; the rest is taken.
    pub fn hear(&self, connection: u64, states: &[State<'_>]) -> Result<(), Unheard> {
        let mut table = self.lock();
        table.forget(Instant::now());
        // Counted once: a message may speak of very many.
        let mut own = table.by_client.values().filter(|said| said.connection == connection).count();
        let mut takes = |state| table.take(&self.account, (connection, &mut own), state);
        states.iter().map(&mut takes).fold(Ok(()), Result::and)
    }

    /// Ends what a connection has said: its clients have gone.
    pub fn leave(&self, connection: u64) {
        let mut table = self.lock();
        let Table { by_client, news, .. } = &mut *table;
        for (client, said) in by_client.iter_mut().filter(|(_, said)| said.connection == connection) {
            // Nothing, at the same clock: what comes back with the next one is seen (`applyAwarenessUpdate`).
            said.json = None;
            said.charge.shrink(said.charge.bytes() - STATE_BYTES);
            news.insert(*client);
        }
    }

    /// What has changed since this was asked last, as messages.
    pub fn news(&self) -> Vec<Vec<u8>> {
        let mut table = self.lock();
        let news: Vec<u64> = std::mem::take(&mut table.news).into_iter().collect();
        let told = news.chunks(TOLD_MAX).map(|clients| table.message(clients)).collect();
        let now = Instant::now();
        for client in news {
            if table.by_client.get(&client).is_some_and(|said| said.json.is_none()) {
                let said = table.by_client.remove(&client).expect("it was looked at");
                table.gone.insert(client, (said.clock, now));
                table.gone_since.push_back((now, client));
            }
        }
        table.forget(now);
        told
    }

    /// The next few who are there, behind this one, as a message, and the last of them; none if there are no more.
    pub fn page(&self, after: Option<u64>) -> Option<(u64, Vec<u8>)> {
        let table = self.lock();
        let behind = table.by_client.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let here = behind.filter(|(_, said)| said.json.is_some()).map(|(client, _)| *client);
        let here: Vec<u64> = here.take(TOLD_MAX).collect();
        Some((*here.last()?, table.message(&here)))
    }

    /// Clients that are there.
    pub fn count(&self) -> usize {
        self.lock().by_client.values().filter(|said| said.json.is_some()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes what a connection says of one client.
    fn take(
        &mut self,
        account: &Account,
        (connection, own): (u64, &mut usize),
        state: &State<'_>,
    ) -> Result<(), Unheard> {
        let State { client, clock, json } = *state;
        let newer = match self.by_client.get(&client) {
            // Somebody else's. Or it was its own, on a connection of which nobody knows yet that it is lost: it will say so
            // again, within half a minute.
            Some(known) if known.connection != connection && known.json.is_some() => false,
            Some(known) => clock > known.clock || (clock == known.clock && json.is_none() && known.json.is_some()),
            None => json.is_some() && self.gone.get(&client).is_none_or(|(last, _)| clock > *last),
        };
        if !newer || clock > CLOCK_MAX {
            return Ok(());
        }
        let is_new = self.by_client.get(&client).is_none_or(|known| known.connection != connection);
        if is_new && *own >= PER_CONNECTION_MAX {
            return Err(Unheard::TooMany);
        }
        let bytes = json.map_or(0, str::len) as u64 + STATE_BYTES;
        let charge = account.charge(bytes).map_err(Unheard::NoRoom)?;
        self.by_client.insert(client, Said { clock, json: json.map(Into::into), connection, charge });
        self.news.insert(client);
        *own += usize::from(is_new);
        Ok(())
    }

    /// Forgets those who have gone long ago, and the first of too many.
    fn forget(&mut self, now: Instant) {
        while let Some((since, client)) = self.gone_since.front().copied()
            && (now - since >= GONE_KEPT || self.gone_since.len() > GONE_MAX)
        {
            self.gone_since.pop_front();
            // It may have come back and gone again.
            if self.gone.get(&client).is_some_and(|(_, last)| *last == since) {
                self.gone.remove(&client);
            }
        }
    }

    fn message(&self, clients: &[u64]) -> Vec<u8> {
        let states: Vec<State<'_>> = clients
            .iter()
            .filter_map(|client| {
                let said = self.by_client.get(client)?;
                Some(State { client: *client, clock: said.clock, json: said.json.as_deref() })
            })
            .collect();
        awareness::write(states.into_iter())
    }
}

#[cfg(test)]
mod tests;
