//! One client of the document: what it sends, and what it is sent (y-websocket's protocol, without the sockets).
//!
//! A client asks what it lacks (`SyncStep1`) and is asked the same; then both tell what happens. Nothing of a client's is
//! applied before it has asked, since only that says whether its document is of this epoch. Every frame is one message:
//! y-websocket reads one and ignores the rest.

use std::sync::Arc;
use std::time::Duration;

use stockade_gate::{Limits, Malformed, Message, Standing, StateVector, awareness};
use stockade_ledger::Charge;
use tokio::time::Instant;

use super::document::Refused;
use super::live::Handle;
use super::outbox::{Ending, Frame, Next, Outbox};
use super::owner::{Command, Difference, Done, Failed};
use crate::access::{Full, Place, Principal};

/// Bytes of a reason in a close frame (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

/// Bytes of an answer that count as one message of the client's: a whole document takes the host a while.
const ANSWER_BYTES: usize = 4 << 10;

/// How long a client waits at most for what it has asked for: far less than it takes for a silent host to be taken for gone.
const OWED_MAX: Duration = Duration::from_secs(10);

/// How long a client that has missed something may have to wait for it while there is no memory for that, and how often it is
/// tried.
const MISSED_MAX: Duration = Duration::from_secs(30);
const MISSED_PAUSE: Duration = Duration::from_millis(500);

/// Update of nothing.
const NOTHING: &[u8] = &[0, 0];

/// A client that is connected. Its clients in the table of presence go with it.
pub struct Session {
    handle: Handle,
    by: Arc<Principal>,
    connection: u64,
    outbox: Arc<Outbox>,
    /// It has asked what it lacks.
    greeted: bool,
    /// Those who are there are being told, up to this one.
    telling: Option<Option<u64>>,
    /// It has missed something for which there was no memory: since when, and when to try again.
    short: Option<[Instant; 2]>,
    allowance: Allowance,
    /// Among all connections, until it ends.
    _place: Place,
}

/// Why a connection ends, as the WebSocket close code and its reason. y-websocket takes 4400 to 4499 for final and comes back
/// after any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// 4400: what it sent is no message, or none that a client of this document sends.
    Malformed(String),
    /// 4403: it may not write that.
    Forbidden(String),
    /// 4409: the document has begun anew, or its copy is of another one; whoever comes back brings nothing of that.
    Epoch,
    /// 1013: not now.
    Overload(String),
    /// 1001: the host stops.
    Stop,
}

impl Close {
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 4400,
            Self::Forbidden(_) => 4403,
            Self::Epoch => 4409,
            Self::Overload(_) => 1013,
            Self::Stop => 1001,
        }
    }

    /// Cut to what a close frame holds.
    pub fn reason(&self) -> &str {
        let reason = match self {
            Self::Malformed(reason) | Self::Forbidden(reason) | Self::Overload(reason) => reason,
            Self::Epoch => {
                "your copy is of another document, or of before this one began anew: discard it and come with an empty one"
            }
            Self::Stop => "the host is stopping",
        };
        &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
    }
}

/// A frame to be sent, with what pays for it.
#[derive(Debug, Clone)]
pub enum Outgoing {
    Shared(Arc<Frame>),
    Own(Vec<u8>),
}

impl Outgoing {
    /// An update of nothing.
    pub fn keep_alive() -> Self {
        Self::Own(Message::KEEP_ALIVE.write())
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(frame) => &frame.bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

impl Session {
    /// Lets a client in, and answers with what it is sent at once.
    ///
    /// # Errors
    ///
    /// When there are as many as may be.
    pub async fn open(handle: Handle, by: Arc<Principal>) -> Result<(Self, Vec<Outgoing>), Close> {
        let place = handle.place(&by).map_err(|full| {
            let Full { limit, unit, cap, used } = full;
            Close::Overload(format!("`{limit}` allows you {cap} {unit}, and there are {used}"))
        })?;
        let outbox = handle.shared().audience.join();
        let (connection, allowance) = (handle.shared().next_connection(), Allowance::new(handle.limits().rate));
        let (telling, short) = (Some(None), None);
        let session = Self { handle, by, connection, outbox, greeted: false, telling, short, allowance, _place: place };
        let first = vec![session.ask().await?];
        Ok((session, first))
    }

    /// Takes a frame; answers with what is to be sent back.
    ///
    /// # Errors
    ///
    /// When the connection must end.
    pub async fn receive(&mut self, frame: &[u8]) -> Result<Vec<Outgoing>, Close> {
        self.allowance.take().await;
        match Message::read(frame)? {
            Message::Step1(known) => {
                let known = StateVector::read(known)?;
                let bytes = known.0.len() * size_of::<(u64, u32)>();
                let charge = self.handle.shared().incoming.charge(bytes as u64);
                let charge = charge.map_err(|refusal| Close::Overload(refusal.to_string()))?;
                let difference = self.difference(known, Some(charge)).await?;
                self.greeted = true;
                self.pay(std::slice::from_ref(&difference));
                Ok(vec![difference])
            }
            // It will be asked for it again, and by then it will have asked itself.
            Message::Step2(_) | Message::Update(_) if !self.greeted => Ok(Vec::new()),
            Message::Step2(update) => self.apply(update, true).await,
            Message::Update(update) => self.apply(update, false).await,
            Message::Awareness(said) => {
                let states = awareness::read(said)?;
                if let Err(unheard) = self.handle.shared().presence.hear(self.connection, &states) {
                    tracing::debug!(connection = self.connection, reason = %unheard, "awareness is not taken");
                }
                Ok(Vec::new())
            }
            Message::AskAwareness => {
                self.telling = Some(None);
                Ok(Vec::new())
            }
            Message::Denied(_) => Err(Close::Malformed("only the host denies".to_owned())),
        }
    }

    /// What it has asked for counts as so many messages: it waits for that when it sends the next one.
    fn pay(&mut self, answers: &[Outgoing]) {
        let bytes: usize = answers.iter().map(|answer| answer.bytes().len()).sum();
        self.allowance.owe((bytes / ANSWER_BYTES) as u32);
    }

    /// What is still to be sent of what it has asked for: some of those who are there, one message at a time. To be asked for
    /// when everything before is sent, until there is no more.
    pub fn more(&mut self) -> Option<Outgoing> {
        let shared = self.handle.shared();
        let (last, states) = shared.presence.page(self.telling?).or_else(|| {
            self.telling = None;
            None
        })?;
        // Who finds no room for it hears it within 15 s, when clients say so again.
        let frame = shared.frame(&Message::Awareness(&states)).ok();
        self.telling = frame.is_some().then_some(Some(last));
        let frame = Outgoing::Shared(frame?);
        self.pay(std::slice::from_ref(&frame));
        Some(frame)
    }

    /// Waits for something that is to be sent. Who stops waiting loses nothing.
    pub async fn next(&self) -> Next {
        if let Some([_, again]) = self.short {
            tokio::time::sleep_until(again).await;
        }
        self.outbox.next().await
    }

    /// The frame that comes next; none if there is no memory for it now, and it comes later.
    ///
    /// # Errors
    ///
    /// When the connection must end.
    pub async fn frame(&mut self, next: Next) -> Result<Option<Outgoing>, Close> {
        match next {
            Next::Frame(frame) => Ok(Some(Outgoing::Shared(frame))),
            Next::Missed(state) => self.missed(state).await,
            Next::Over(Ending::Epoch) => Err(Close::Epoch),
            Next::Over(Ending::Again) => Err(Close::Overload("the document was read anew: connect again".to_owned())),
            Next::Over(Ending::Stop) => Err(Close::Stop),
        }
    }

    /// What it has missed since it had this much.
    async fn missed(&mut self, state: StateVector) -> Result<Option<Outgoing>, Close> {
        let (known, now) = (state.clone(), Instant::now());
        match self.handle.ask(|answer| Command::Diff { known, step_2: false, paid: None, answer }).await {
            Err(Failed::NoRoom(_)) if self.short.is_none_or(|[since, _]| now - since < MISSED_MAX) => {
                // If all who miss it came anew, that would take far more.
                self.outbox.put_back(state);
                self.short = Some([self.short.map_or(now, |[since, _]| since), now + MISSED_PAUSE]);
                Ok(None)
            }
            answer => {
                self.short = None;
                Ok(Some(Self::sent(answer?)?))
            }
        }
    }

    async fn apply(&mut self, update: &[u8], sync: bool) -> Result<Vec<Outgoing>, Close> {
        if update == NOTHING {
            return Ok(Vec::new());
        }
        let applied = self.try_to_apply(update, sync).await;
        self.handle.shared().count(&applied);
        match applied {
            // The author sees what was put back, and is told why.
            Ok(corrections) => Ok(corrections.iter().map(|why| Outgoing::Own(Message::Denied(why).write())).collect()),
            Err(Failed::Refused(Refused::Gate(Standing::Gap { .. }))) => {
                // What the host has may be long, and anybody can bring this about.
                let question = vec![self.ask().await?];
                self.pay(&question);
                Ok(question)
            }
            Err(failed) => {
                let close = Close::from(failed);
                tracing::info!(
                    principal = &*self.by.name,
                    code = close.code(),
                    reason = close.reason(),
                    "document edit refused"
                );
                Err(close)
            }
        }
    }

    async fn try_to_apply(&self, update: &[u8], sync: bool) -> Result<Done, Failed> {
        let (max, found) = (if sync { Limits::SYNC } else { Limits::LIVE }.bytes as u64, update.len() as u64);
        if found > max {
            let malformed = Malformed::Beyond { limit: "bytes of an update", max, found };
            return Err(Failed::Refused(Refused::Gate(malformed.into())));
        }
        let charge = self.handle.shared().incoming.charge(found);
        let charge = charge.map_err(|refusal| Failed::NoRoom(refusal.to_string().into()))?;
        let (bytes, by) = (update.to_vec(), self.by.clone());
        self.handle.ask(|answer| Command::Apply { bytes, charge, sync, by, answer }).await
    }

    /// `SyncStep1`: asks the client for what the host lacks.
    async fn ask(&self) -> Result<Outgoing, Close> {
        let state = self.handle.ask(|answer| Command::Vector { answer }).await?.write();
        let frame = self.handle.shared().frame(&Message::Step1(&state));
        frame.map(Outgoing::Shared).map_err(|refusal| Close::Overload(refusal.to_string()))
    }

    /// What somebody lacks who has this much, which is paid for.
    async fn difference(&self, known: StateVector, paid: Option<Charge>) -> Result<Outgoing, Close> {
        Self::sent(self.handle.ask(|answer| Command::Diff { known, step_2: true, paid, answer }).await?)
    }

    fn sent(difference: Difference) -> Result<Outgoing, Close> {
        match difference {
            Difference::Frame(frame) => Ok(Outgoing::Shared(frame)),
            Difference::Retired => Err(Close::Epoch),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.handle.shared().presence.leave(self.connection);
    }
}

impl From<Malformed> for Close {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.to_string())
    }
}

impl From<Failed> for Close {
    fn from(failed: Failed) -> Self {
        let reason = failed.to_string();
        match failed {
            // Neither helps it to come again.
            Failed::Refused(
                Refused::Forbidden { .. } | Refused::Taken { .. } | Refused::TooMany(_) | Refused::TooLarge { .. },
            ) => Self::Forbidden(reason),
            Failed::Refused(Refused::Gate(Standing::Full { .. }) | Refused::TooFast { .. }) => Self::Overload(reason),
            Failed::Refused(_) => Self::Malformed(reason),
            Failed::Disk(_) | Failed::NoRoom(_) => Self::Overload(reason),
            Failed::Stopping => Self::Stop,
        }
    }
}

/// How fast a client may send: so many messages a second, and as many at once. Whoever is faster is read more slowly.
#[derive(Debug)]
struct Allowance {
    rate: u32,
    /// When the allowance will be whole again.
    whole_at: Instant,
}

impl Allowance {
    fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), whole_at: Instant::now() }
    }

    /// Takes so many messages that are not waited for now, nor for long later: it must hear that the host is there.
    fn owe(&mut self, messages: u32) {
        let now = Instant::now();
        let whole_at = self.whole_at.max(now) + Duration::from_secs(1) / self.rate * messages;
        self.whole_at = whole_at.min(now + OWED_MAX);
    }

    /// Takes a message.
    async fn take(&mut self) {
        let now = Instant::now();
        let each = Duration::from_secs(1) / self.rate;
        self.whole_at = self.whole_at.max(now) + each;
        // A second's worth may be taken at once.
        let ahead = self.whole_at - now;
        if ahead > Duration::from_secs(1) {
            tokio::time::sleep(ahead - Duration::from_secs(1)).await;
        }
    }
}

#[cfg(test)]
mod tests;
