//! The handle on the document that all other rooms have.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use stockade_gate::{Message, StateVector};
use stockade_ledger::{Account, Refusal};
use tokio::sync::{mpsc, oneshot, watch};

use super::ceilings::Ceilings;
use super::document::Refused;
use super::outbox::{Audience, Ending, Frame, Outbox};
use super::owner::{self, Command, Done, Failed, Fields, is_worth_it};
use super::presence::Presence;
use super::record::Record;
use super::store::Store;
use crate::access::{Full, Place, Places, Principal};
use crate::manifest::{DocumentLimits, Manifest};

/// How long news of presence are gathered before they are told.
const PRESENCE_PAUSE: Duration = Duration::from_millis(250);

/// Entries that the host writes or removes in one turn of the document: so long may a client's edit wait for the disk.
const WRITTEN_AT_ONCE: usize = 256;

/// The registry's document: what it says, and a way to its thread. A cheap handle.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    limits: DocumentLimits,
    /// Connections that may be.
    places: Places,
}

/// What the thread of the document and its clients share.
#[derive(Debug)]
pub struct Shared {
    pub audience: Audience,
    pub presence: Presence,
    pub ceilings: Ceilings,
    /// Pays for updates that wait to be applied.
    pub incoming: Account,
    /// Pays for frames on their way to clients.
    pub outgoing: Account,
    records: RwLock<BTreeMap<Arc<str>, Arc<Record>>>,
    view: Mutex<View>,
    /// Agents whose records are others since that was asked last, and whether they have come or gone.
    news: Mutex<BTreeMap<Arc<str>, bool>>,
    changed: watch::Sender<u64>,
    connections: AtomicU64,
    /// A write has failed, and none has succeeded since.
    stuck: AtomicBool,
    /// Edits that were refused or put right, by kind.
    refused: [AtomicU64; Refused::KINDS.len()],
}

/// Figures of the document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    pub epoch: u64,
    /// Number of the last update on disk.
    pub stored: u64,
    pub bytes: u64,
    pub entries: u64,
    /// Bytes that it would take without its past, about.
    pub least: u64,
}

/// What pays for the document and what comes of it.
#[derive(Debug, Clone)]
pub struct Paying {
    pub document: Account,
    pub incoming: Account,
    pub outgoing: Account,
}

impl Handle {
    /// Opens the document below the host's data, or makes it.
    ///
    /// # Errors
    ///
    /// When another host uses this data directory, the document cannot be read, or does not fit its account.
    pub fn open(manifest: &Manifest, data: &Path, paying: Paying) -> anyhow::Result<Self> {
        let Paying { document, incoming, outgoing } = paying;
        let shared = Arc::new(Shared {
            audience: Audience::default(),
            presence: Presence::new(outgoing.clone()),
            ceilings: Ceilings::new(manifest),
            incoming,
            outgoing,
            records: RwLock::default(),
            view: Mutex::default(),
            news: Mutex::default(),
            changed: watch::Sender::new(0),
            connections: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            refused: Default::default(),
        });
        let commands = owner::start(Store::open(data)?, shared.clone(), document)?;
        let limits = manifest.document;
        let places = Places::new("document.clients", "connections", limits.clients);
        Ok(Self { commands, shared, limits, places })
    }

    /// One that is paid for by a ledger of its own.
    #[cfg(test)]
    pub(crate) fn open_for_test(manifest: &Manifest, data: &Path) -> Self {
        Self::open_for_test_within(64 << 20, manifest, data)
    }

    /// As [`Handle::open_for_test`], with so many bytes for the document.
    #[cfg(test)]
    pub(crate) fn open_for_test_within(bytes: u64, manifest: &Manifest, data: &Path) -> Self {
        Self::try_for_test(bytes, manifest, data).expect("a document can be made here")
    }

    #[cfg(test)]
    pub(super) fn try_for_test(bytes: u64, manifest: &Manifest, data: &Path) -> anyhow::Result<Self> {
        let ledger = stockade_ledger::Ledger::new(256 << 20);
        let account = |name: &str, ceiling: u64| {
            ledger.account(stockade_ledger::Spec { name: name.into(), ceiling, floor: 0 }).expect("there is enough")
        };
        let [incoming, outgoing] = ["incoming", "outgoing"].map(|name| account(name, 64 << 20));
        let paying = Paying { document: account("document", bytes), incoming, outgoing };
        Self::open(manifest, data, paying)
    }

    /// What the document says of an agent.
    pub fn record(&self, agent: &str) -> Option<Arc<Record>> {
        self.shared.records().get(agent).cloned()
    }

    /// All agents it has, by name.
    pub fn records(&self) -> Vec<(Arc<str>, Arc<Record>)> {
        self.shared.records().iter().map(|(name, record)| (name.clone(), record.clone())).collect()
    }

    /// Edits that were refused or put right since the start, by what for.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refused::KINDS.into_iter().zip(&self.shared.refused).map(|(kind, count)| (kind, count.load(Relaxed)))
    }

    /// So many agents that it has, at most, in the order of their names: those behind this one, or from the first on.
    pub fn page(&self, after: Option<&str>, max: usize) -> Vec<(Arc<str>, Arc<Record>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.range(from, max)
    }

    /// As [`Handle::page`], from this name on, whether there is such an agent or not.
    pub fn page_from(&self, begin: &str, max: usize) -> Vec<(Arc<str>, Arc<Record>)> {
        self.range(Bound::Included(begin), max)
    }

    fn range(&self, from: Bound<&str>, max: usize) -> Vec<(Arc<str>, Arc<Record>)> {
        let records = self.shared.records();
        let range = records.range::<str, _>((from, Bound::Unbounded));
        range.take(max).map(|(name, record)| (name.clone(), record.clone())).collect()
    }

    /// Agents it has.
    pub fn count(&self) -> usize {
        self.shared.records().len()
    }

    /// Agents whose records have come, gone or changed since this was asked last, and whether they have come or gone: for
    /// the one who follows the document.
    pub fn take_news(&self) -> BTreeMap<Arc<str>, bool> {
        std::mem::take(&mut *self.shared.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes whenever a record does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Whether edits are refused because the disk takes none.
    pub fn is_stuck(&self) -> bool {
        self.shared.stuck.load(Relaxed)
    }

    pub fn view(&self) -> View {
        *self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients that are connected, and those of whom it is known that somebody is there.
    pub fn crowd(&self) -> (usize, usize) {
        (self.shared.audience.count(), self.shared.presence.count())
    }

    /// Sets fields of an agent for somebody; null removes one.
    ///
    /// # Errors
    ///
    /// When there is no such agent or field, or it may not be set so, or not by this principal; or as [`Handle::write`].
    pub async fn edit(&self, agent: Arc<str>, fields: Vec<(String, Value)>, by: Arc<Principal>) -> Result<(), Failed> {
        let done = self.ask(|answer| Command::Edit { agent, fields, by, answer }).await;
        self.shared.count(&done);
        done.map(drop)
    }

    /// Writes fields of agents in the host's name, making an entry where there is none; null removes a field.
    ///
    /// # Errors
    ///
    /// When the disk does not take it, or the host is stopping: what was written before that stays. When there is no room
    /// for some of them: all others are written.
    pub async fn write(&self, mut entries: Vec<Fields>) -> Result<(), Failed> {
        let mut refused = Ok(());
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(WRITTEN_AT_ONCE));
            match self.ask(|answer| Command::Write { entries, answer }).await {
                Ok(_) => {}
                Err(failed @ Failed::Refused(_)) => refused = refused.and(Err(failed)),
                Err(failed) => return Err(failed),
            }
            entries = rest;
        }
        refused
    }

    /// Removes entries of agents: all, or those that are retired then since this moment or longer.
    ///
    /// # Errors
    ///
    /// As [`Handle::write`].
    pub async fn remove(&self, mut agents: Vec<Arc<str>>, retired: Option<u64>) -> Result<(), Failed> {
        while !agents.is_empty() {
            let rest = agents.split_off(agents.len().min(WRITTEN_AT_ONCE));
            self.ask(|answer| Command::Remove { agents, retired, answer }).await?;
            agents = rest;
        }
        Ok(())
    }

    /// Tells clients who has come and gone, until nobody has this handle's document any more.
    pub async fn tend(&self) {
        let mut ticks = tokio::time::interval(PRESENCE_PAUSE);
        loop {
            ticks.tick().await;
            for news in self.shared.presence.news() {
                // Whoever misses it hears it again within 15 s: clients renew what they say.
                self.shared.tell(&Message::Awareness(&news), None::<fn() -> StateVector>);
            }
        }
    }

    /// What to call where memory is short: has the document begin anew if that gives much back. Waits for nothing.
    pub fn relief(&self) -> impl Fn() + Send + Sync + use<> {
        let (commands, shared) = (self.commands.downgrade(), Arc::downgrade(&self.shared));
        move || {
            let Some((commands, shared)) = commands.upgrade().zip(shared.upgrade()) else { return };
            let View { bytes, least, .. } = *shared.view.lock().unwrap_or_else(PoisonError::into_inner);
            if is_worth_it(bytes as usize, least as usize) && !shared.stuck.load(Relaxed) {
                // When its thread has so much to do, it is asked again at the next look.
                let _ = commands.try_send(Command::Compact);
            }
        }
    }

    /// Sends all clients away: the host stops.
    pub fn close(&self) {
        self.shared.audience.each(|outbox| outbox.end(Ending::Stop));
    }

    /// A place for one more connection of this principal's.
    pub(super) fn place(&self, by: &Arc<Principal>) -> Result<Place, Full> {
        self.places.take(by)
    }

    pub(super) fn limits(&self) -> DocumentLimits {
        self.limits
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Asks the thread, and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Failed>>) -> Command,
    ) -> Result<T, Failed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| Failed::Stopping)?;
        // Its thread has failed over it, and goes on without it.
        answered.await.unwrap_or_else(|_| Err(Failed::Disk("the document failed; see the host's log".into())))
    }
}

impl Shared {
    /// Tells operators whether the disk takes what is written.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Relaxed);
    }

    /// Counts what was refused to who edits, or put right.
    pub fn count(&self, result: &Result<Done, Failed>) {
        let kind = match result {
            Err(Failed::Refused(refused)) => refused.kind(),
            Err(Failed::NoRoom(_)) => Some("room"),
            Ok(corrections) if !corrections.is_empty() => Some("value"),
            Ok(_) | Err(Failed::Disk(_) | Failed::Stopping) => None,
        };
        let place = Refused::KINDS.iter().position(|each| Some(*each) == kind);
        if let Some(place) = place {
            self.refused[place].fetch_add(1, Relaxed);
        }
    }

    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Relaxed)
    }

    /// A frame that is paid for.
    ///
    /// # Errors
    ///
    /// When there is no room for it now.
    pub fn frame(&self, message: &Message<'_>) -> Result<Arc<Frame>, Refusal> {
        let bytes = message.write();
        let charge = self.outgoing.charge(bytes.len() as u64)?;
        Ok(Arc::new(Frame { bytes, charge }))
    }

    /// Sends a message to all clients. `before` says what those have who miss it; without it they are not told later.
    pub fn tell(&self, message: &Message<'_>, before: Option<impl Fn() -> StateVector>) {
        let tell: Box<dyn Fn(&Outbox)> = match (self.frame(message).ok(), before) {
            (Some(frame), Some(before)) => Box::new(move |outbox| outbox.push(&frame, &before)),
            (Some(frame), None) => Box::new(move |outbox| outbox.offer(&frame)),
            (None, Some(before)) => Box::new(move |outbox| outbox.miss(&before)),
            (None, None) => return,
        };
        self.audience.each(tell);
    }

    /// Lets everybody read what the document says now of these agents.
    pub fn publish(&self, changed: Vec<(Arc<str>, Option<Arc<Record>>)>, view: View) {
        let mut any = false;
        {
            let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            for (agent, record) in changed {
                if records.get(&agent) == record.as_ref() {
                    continue;
                }
                any = true;
                let turned = match record {
                    Some(record) => records.insert(agent.clone(), record).is_none(),
                    None => records.remove(&agent).is_some(),
                };
                *news.entry(agent).or_default() |= turned;
            }
        }
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        if any {
            self.changed.send_modify(|version| *version += 1);
        }
    }

    fn records(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Arc<str>, Arc<Record>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}
