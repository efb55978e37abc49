//! What clients say of themselves (awareness), for as long as they are there: never part of the document.
//!
//! A table of our own, since the library's forgets nobody. A connection may speak for the few clients it has introduced, and
//! what it said goes with it. Changes are told in batches: each client renews its state every 15 s, and told one by one that
//! would be the square of their number.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockade_gate::awareness::{self, State};
use stockade_ledger::{Account, Charge, Refusal};

/// Clients that one connection may speak for.
const PER_CONNECTION_MAX: usize = 8;

/// Bytes that a state takes besides its own.
const STATE_BYTES: u64 = 128;

/// Clients in one message to clients: they read any number, but one message should not be large.
const TOLD_MAX: usize = 64;

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
}

#[derive(Debug)]
struct Said {
    clock: u32,
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

    /// Takes what a connection says.
    ///
    /// # Errors
    ///
    /// When it may not say so.
    pub fn hear(&self, connection: u64, states: &[State<'_>]) -> Result<(), Unheard> {
        let mut table = self.lock();
        for state in states {
            let known = table.by_client.get(&state.client);
            if known.is_some_and(|known| known.connection != connection && known.json.is_some()) {
                // Somebody else's. Or it was its own, on a connection of which nobody knows yet that it is lost: it will
                // say so again, within half a minute.
                continue;
            }
            let newer = known.is_none_or(|known| {
                state.clock > known.clock
                    || (state.clock == known.clock && state.json.is_none() && known.json.is_some())
            });
            let own = || table.by_client.values().filter(|said| said.connection == connection).count();
            if known.is_none() && own() >= PER_CONNECTION_MAX {
                return Err(Unheard::TooMany);
            }
            if !newer || (known.is_none() && state.json.is_none()) {
                continue;
            }
            let bytes = state.json.map_or(0, str::len) as u64 + STATE_BYTES;
            let charge = self.account.charge(bytes).map_err(Unheard::NoRoom)?;
            let said = Said { clock: state.clock, json: state.json.map(Into::into), connection, charge };
            table.by_client.insert(state.client, said);
            table.news.insert(state.client);
        }
        Ok(())
    }

    /// Ends what a connection has said: its clients have gone.
    pub fn leave(&self, connection: u64) {
        let mut table = self.lock();
        let Table { by_client, news } = &mut *table;
        for (client, said) in by_client.iter_mut().filter(|(_, said)| said.connection == connection) {
            // As a client that goes does: the next clock, and nothing.
            said.clock += 1;
            said.json = None;
            said.charge.shrink(said.charge.bytes() - STATE_BYTES);
            news.insert(*client);
        }
    }

    /// What has changed since this was asked last, as messages; those that have gone are forgotten.
    pub fn news(&self) -> Vec<Vec<u8>> {
        let mut table = self.lock();
        let news: Vec<u64> = std::mem::take(&mut table.news).into_iter().collect();
        let told = news.chunks(TOLD_MAX).map(|clients| table.message(clients)).collect();
        for client in news {
            if table.by_client.get(&client).is_some_and(|said| said.json.is_none()) {
                table.by_client.remove(&client);
            }
        }
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
        self.lock().by_client.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
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
