//! The one thread that has the document: takes what is asked of it in groups, stores each group, and only then tells of it.
//!
//! A group is what waits when the thread is free, so that many writers share one turn of the disk. Whatever fails on disk is
//! undone by reading the document anew from there: nobody has been told of it.
//!
//! - `command`: what can be asked, and what comes of it. `growth`: how large the document and its log may become.

mod command;
mod growth;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use stockade_gate::{Limits, Message, StateVector, Update};
use stockade_ledger::{Account, Charge};
use tokio::sync::mpsc;

use super::document::{Applied, Document, Epoch, Refused};
use super::live::{Shared, View};
use super::outbox::{Ending, Frame};
use super::pace::Paces;
use super::store::Store;
use crate::access::{Principal, random};
use command::Answer;
pub use command::{Command, Difference, Done, Failed, Fields};
pub use growth::is_worth_it;

/// Commands that wait. Each connection has at most one of its own.
pub const INBOX_MAX: usize = 1_024;

/// Commands of one group.
const GROUP_MAX: usize = 256;

/// The stack of the thread: what yrs does recursively is bounded by the gate, and this is far more than it takes.
const STACK_BYTES: usize = 64 << 20;

/// What the gate or the library does not take, though it was stored.
const DAMAGED: &str =
    "the registry's document is damaged; move `registry/document.redb` in the host's data away to begin anew";

/// What is put together for clients that ask what they lack, in one turn: each may take the time of many edits, which do not wait
/// for them.
const DIFFERENCES_AT_ONCE: usize = 8;

/// Time between two tries to store the document again after that failed: each reads the whole file.
const HEAL_PAUSE: Duration = Duration::from_millis(500);

impl Asked {
    fn fail(self, why: &Failed) {
        match self {
            Self::Diff(.., answer) => drop(answer.send(Err(why.clone()))),
            Self::Vector(answer) => drop(answer.send(Err(why.clone()))),
        }
    }
}

/// The thread's own.
struct Owner {
    document: Document,
    store: Store,
    shared: Arc<Shared>,
    /// Pays for the document.
    charge: Charge,
    account: Account,
    /// The whole of it as a frame, until it changes: what everybody asks for who comes anew.
    whole: Option<Arc<Frame>>,
    /// How fast who may write.
    paces: Paces,
    /// When it was last tried to store the document again after that failed, or to read it.
    tried: Option<Instant>,
    /// What is in memory is not what is on disk, which could not be read when that was tried.
    astray: bool,
}

/// A question that is answered once the writes of its group are stored.
enum Asked {
    Diff(StateVector, bool, Option<Charge>, Answer<Difference>),
    Vector(Answer<StateVector>),
}

/// Opens the document and starts its thread, which ends when nobody can ask it any more.
///
/// # Errors
///
/// When it cannot be read, does not fit its account, or there is no thread.
pub fn start(store: Store, shared: Arc<Shared>, account: Account) -> anyhow::Result<mpsc::Sender<Command>> {
    let (commands, inbox) = mpsc::channel(INBOX_MAX);
    let (opened, open) = std::sync::mpsc::sync_channel(1);
    let run = move || {
        // On its own stack from the first byte: a stored document is applied here.
        match Owner::open(store, shared, account) {
            Ok(owner) => {
                let _ = opened.send(Ok(()));
                owner.run(inbox);
            }
            Err(error) => drop(opened.send(Err(error))),
        }
    };
    std::thread::Builder::new().name("registry".into()).stack_size(STACK_BYTES).spawn(run).context("no thread")?;
    open.recv().context("the thread of the registry's document has ended")??;
    Ok(commands)
}

impl Owner {
    fn open(mut store: Store, shared: Arc<Shared>, account: Account) -> anyhow::Result<Self> {
        let document = read(&mut store)?;
        let charge = account.empty();
        let (whole, paces, tried) = (None, Paces::default(), None);
        let mut owner = Self { document, store, shared, charge, account, whole, paces, tried, astray: false };
        owner.publish();
        // One without room would not let its own agents be retired: it is served, and takes no edits of clients.
        owner.tidy();
        let (bytes, paid) = (owner.document.bytes() as u64, owner.charge.bytes());
        if paid < bytes {
            tracing::warn!(bytes, paid, "the registry's document takes more than its account has: retire some agents");
        }
        let (agents, epoch) = (owner.document.records().len(), owner.document.epoch().number);
        tracing::info!(agents, epoch, stored = owner.store.last(), "registry document opened");
        Ok(owner)
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        // Each client waits for one answer at most.
        let mut asked = VecDeque::new();
        loop {
            let mut group = Vec::new();
            if asked.is_empty() {
                let Some(first) = inbox.blocking_recv() else { break };
                group.push(first);
            }
            while group.len() < GROUP_MAX
                && let Ok(next) = inbox.try_recv()
            {
                group.push(next);
            }
            // A panic of the library's must not be the end of the registry: what was begun is undone as for the disk.
            let turn = AssertUnwindSafe(|| {
                self.serve(group, &mut asked);
                self.answer(&mut asked);
            });
            if std::panic::catch_unwind(turn).is_err() {
                tracing::error!("the registry's document failed; it is read anew from disk");
                let read = std::panic::catch_unwind(AssertUnwindSafe(|| self.reread()));
                self.astray |= read.is_err();
                // What had been stored by then, nobody may have been told.
                self.shared.audience.each(|outbox| outbox.end(Ending::Again));
            }
        }
        self.shared.audience.each(|outbox| outbox.end(Ending::Stop));
    }

    fn serve(&mut self, group: Vec<Command>, asked: &mut VecDeque<Asked>) {
        if self.astray && self.may_try() {
            self.reread();
        }
        if self.astray {
            return group.into_iter().for_each(|command| command.fail(&Failed::disk()));
        }
        let writable = !group.iter().any(Command::writes) || self.heal();
        self.document.mark();
        let (mut updates, mut answers, mut compacts) = (Vec::new(), Vec::new(), false);
        for command in group {
            match command {
                command if !writable && command.writes() => command.fail(&Failed::disk()),
                Command::Diff { known, step_2, paid, answer } => {
                    asked.push_back(Asked::Diff(known, step_2, paid, answer));
                }
                Command::Vector { answer } => asked.push_back(Asked::Vector(answer)),
                Command::Compact => compacts = true,
                Command::Apply { bytes, charge, sync, by, answer } => {
                    let applied = self.apply(&bytes, sync, &by);
                    drop((bytes, charge));
                    answers.push((answer, applied.map(|applied| take(applied, &mut updates))));
                }
                Command::Edit { agent, fields, by, answer } => {
                    let edited = self.document.edit(&agent, fields, &by, &self.shared.ceilings);
                    let done = edited.map(|update| updates.extend(update)).map(|()| Done::new());
                    answers.push((answer, done.map_err(Failed::Refused)));
                }
                Command::Write { entries, answer } => {
                    let mut write = |(agent, fields): &Fields| {
                        self.document.holds(agent, fields)?;
                        updates.extend(self.document.write(agent, fields));
                        Ok(())
                    };
                    // All that have room, whatever became of those before.
                    let written = entries.iter().map(&mut write).fold(Ok(()), Result::and);
                    answers.push((answer, written.map(|()| Done::new()).map_err(Failed::Refused)));
                }
                Command::Remove { agents, retired, answer } => {
                    let over = |agent: &&Arc<str>| {
                        retired.is_none_or(|time| {
                            self.document.records().get(*agent).is_some_and(|it| it.is_retired(time))
                        })
                    };
                    let agents: Vec<_> = agents.iter().filter(over).collect();
                    updates.extend(agents.into_iter().filter_map(|agent| self.document.remove(agent)));
                    answers.push((answer, Ok(Done::new())));
                }
            }
        }
        if !updates.is_empty() && !self.settle(updates) {
            let undone = answers.iter_mut().filter(|(_, answer)| answer.is_ok());
            undone.for_each(|(_, answer)| *answer = Err(Failed::disk()));
        }
        if compacts && !self.astray && !self.store.is_stuck() {
            self.compact();
        }
        // Whoever has gone needs no answer.
        for (answer, result) in answers {
            let _ = answer.send(result);
        }
    }

    /// Answers those who ask what there is, and is stored, as far as that goes.
    fn answer(&mut self, asked: &mut VecDeque<Asked>) {
        let mut made = 0;
        while let Some(next) = asked.front() {
            if self.must_be_made(next) {
                made += 1;
            }
            if made > DIFFERENCES_AT_ONCE {
                return;
            }
            let Some(asked) = asked.pop_front() else { return };
            if self.astray {
                asked.fail(&Failed::disk());
                continue;
            }
            match asked {
                Asked::Diff(known, step_2, _paid, answer) => drop(answer.send(self.diff(known, step_2))),
                Asked::Vector(answer) => drop(answer.send(Ok(self.document.state_vector()))),
            }
        }
    }

    /// Whether the answer takes more than to look it up.
    fn must_be_made(&self, asked: &Asked) -> bool {
        match asked {
            Asked::Vector(_) => false,
            Asked::Diff(known, step_2, ..) => !(*step_2 && known.0.is_empty() && self.whole.is_some()),
        }
    }

    fn apply(&mut self, bytes: &[u8], sync: bool, by: &Principal) -> Result<Applied, Failed> {
        let limits = if sync { Limits::SYNC } else { Limits::LIVE };
        let charge = |bytes: usize| {
            self.account.charge(bytes as u64).map_err(|refusal| Failed::NoRoom(refusal.to_string().into()))
        };
        // For reading it, and for what may stay of it.
        let _room = charge(limits.cost(bytes.len()) + 2 * bytes.len())?;
        let update = Update::read(bytes, &limits).map_err(|error| Refused::Gate(error.into()))?;
        let _values = charge(update.values_cost())?;
        Ok(self.document.apply((bytes, &update, sync), by, &self.shared.ceilings, &mut self.paces)?)
    }

    /// Stores updates, and tells everybody of them; false if they are undone because the disk did not take them.
    fn settle(&mut self, updates: Vec<Vec<u8>>) -> bool {
        if let Err(error) = self.store.append(&updates, &self.document.take_new_authors()) {
            tracing::error!(
                error = format!("{error:#}"),
                "the registry's document cannot be stored: writes are refused"
            );
            self.reread();
            return false;
        }
        self.publish();
        for update in updates {
            self.shared.tell(&Message::Update(&update), Some(|| self.document.marked_vector()));
        }
        self.tidy();
        true
    }

    fn diff(&mut self, known: StateVector, step_2: bool) -> Result<Difference, Failed> {
        if self.document.is_of_another(&known) {
            return Ok(Difference::Retired);
        }
        let known = &self.document.known(known);
        let whole = step_2 && known.0.is_empty();
        if let Some(frame) = self.whole.as_ref().filter(|_| whole) {
            return Ok(Difference::Frame(frame.clone()));
        }
        let update = self.document.diff(known);
        let message = if step_2 { Message::Step2(&update) } else { Message::Update(&update) };
        let frame = self.shared.frame(&message).map_err(|refusal| Failed::NoRoom(refusal.to_string().into()))?;
        if whole {
            self.whole = Some(frame.clone());
        }
        Ok(Difference::Frame(frame))
    }

    /// After a write that failed, makes the disk hold what everybody has been told, and no more; false if it still fails.
    fn heal(&mut self) -> bool {
        if !self.store.is_stuck() {
            return true;
        }
        if !self.may_try() {
            return false;
        }
        let healed = self.store.reopen().and_then(|()| self.snapshot());
        match &healed {
            Ok(()) => tracing::info!("the registry's document can be stored again"),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "it still cannot be stored"),
        }
        self.shared.set_stuck(healed.is_err());
        healed.is_ok()
    }

    /// Whether the last try was long enough ago for another.
    fn may_try(&mut self) -> bool {
        let may = self.tried.is_none_or(|tried| tried.elapsed() >= HEAL_PAUSE);
        if may {
            self.tried = Some(Instant::now());
        }
        may
    }

    /// Reads the document anew from disk, as it was before this group.
    fn reread(&mut self) {
        self.shared.set_stuck(true);
        let read = stored(&mut self.store).or_else(|_| {
            // What is found then may be more than anybody was told: all come again.
            self.shared.audience.each(|outbox| outbox.end(Ending::Again));
            self.store.reopen()?;
            stored(&mut self.store)
        });
        // Where there was a document there is one: an empty file is not it.
        let read = read.and_then(|document| document.context("its file has vanished"));
        self.astray = read.is_err();
        match read {
            Ok(mut document) => {
                document.succeed(&self.document);
                self.document = document;
                // It may have failed for another reason than its disk.
                self.shared.set_stuck(self.store.is_stuck());
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the registry's document cannot be read; nothing is written"
                );
                return;
            }
        }
        self.publish();
        self.pay();
    }

    /// Lets everybody read what the document says now.
    fn publish(&mut self) {
        self.whole = None;
        let view = View {
            epoch: self.document.epoch().number,
            stored: self.store.last(),
            bytes: self.document.bytes() as u64,
            entries: self.document.entries() as u64,
            least: self.document.least_bytes() as u64,
        };
        self.shared.publish(self.document.take_changed(), view);
    }
}

fn take(applied: Applied, updates: &mut Vec<Vec<u8>>) -> Vec<String> {
    updates.extend(applied.updates);
    applied.corrections
}

/// The stored document, or a new one.
fn read(store: &mut Store) -> anyhow::Result<Document> {
    if let Some(document) = stored(store)? {
        return Ok(document);
    }
    let mut document = Document::new(Epoch { number: 1, host: vec![client_id()?] });
    let state = document.begin();
    store.snapshot(document.epoch(), &state, document.authors()).context("the registry's document cannot be stored")?;
    Ok(document)
}

/// The stored document, if there is one.
fn stored(store: &mut Store) -> anyhow::Result<Option<Document>> {
    let Some(found) = store.load().context("the registry's document cannot be read")? else { return Ok(None) };
    store.shrink(&found);
    let mut document = Document::new(found.epoch);
    document.know(found.authors);
    for update in &found.updates {
        document.restore(update).context(DAMAGED)?;
    }
    Ok(Some(document))
}

/// As Yjs chooses them: 32 random bits.
fn client_id() -> anyhow::Result<u64> {
    Ok(u32::from_le_bytes(random::<4>()?).into())
}
