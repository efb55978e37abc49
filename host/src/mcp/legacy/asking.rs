//! An agent's questions as requests of ours to the client, which were possible before 2026-07-28.
//!
//! Owns the table of questions that wait for an answer: bounded, each for a time, each under a random id. A question goes
//! out on the stream of the request that it belongs to; the answer comes as a POST of its own, into the same session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use stockade_ledger::{Account, Charge};
use tokio::sync::oneshot;

use super::slab::Key;
use crate::access::{Place, Places, Principal};
use crate::manifest::Transports;
use crate::mcp::error::Error;
use crate::mcp::events;
use crate::mcp::exchange::Outlet;
use crate::mcp::json;
use crate::mcp::questions::{Question, Questions};

/// The questions that wait.
pub struct Asking {
    places: Places,
    wait: Duration,
    keep_alive: Duration,
    waiting: Mutex<HashMap<u128, Waiting>>,
}

struct Waiting {
    session: Key,
    answer: oneshot::Sender<Option<Answered>>,
}

/// A client's result object, paid for.
struct Answered {
    text: String,
    _charge: Charge,
}

/// Answers that were waited for, with what pays for them.
pub struct Answers {
    pub texts: Vec<(String, String)>,
    _charges: Vec<Charge>,
}

/// A question that waits; dropping it ends the wait.
struct Asked<'a> {
    asking: &'a Asking,
    id: u128,
    answer: oneshot::Receiver<Option<Answered>>,
    _place: Place,
}

impl Asking {
    pub fn new(limits: Transports) -> Self {
        let places = Places::new("inputs", "questions", limits.inputs);
        Self { places, wait: limits.input_wait, keep_alive: limits.keep_alive, waiting: Mutex::default() }
    }

    /// Asks a client everything at once, and waits for all answers.
    pub async fn ask(
        &self,
        session: Key,
        principal: &Arc<Principal>,
        questions: &Questions<'_>,
        outlet: &Outlet,
    ) -> Result<Answers, Error> {
        // All of them first: who is asked half of it answers for nothing.
        let asked: Vec<_> = questions
            .iter()
            .map(|(key, question)| self.wait_for(session, principal).map(|waiting| (key, question, waiting)))
            .collect::<Result<_, _>>()?;
        for (_, question, waiting) in &asked {
            let request = Request { jsonrpc: "2.0", id: shown(waiting.id), question };
            let event = events::message(outlet.account(), &request);
            if !outlet.send(event.map_err(|overflow| Error::overflow(overflow, None))?).await {
                return Err(gone());
            }
        }
        let ids: Vec<u128> = asked.iter().map(|(.., waiting)| waiting.id).collect();
        let (mut answers, mut heard) = (Answers { texts: Vec::new(), _charges: Vec::new() }, 0);
        let all = async {
            for (key, _, mut waiting) in asked {
                // The sender is dropped only with the table, or when this wait is.
                let answered = (&mut waiting.answer).await.ok().flatten();
                heard += 1;
                let refused = || Error::internal(format!("the client refused to answer the question `{key}`"));
                let Answered { text, _charge } = answered.ok_or_else(refused)?;
                answers.texts.push((key.to_owned(), text));
                answers._charges.push(_charge);
            }
            Ok(())
        };
        let done = tokio::select! {
            done = all => done,
            () = tokio::time::sleep(self.wait) => {
                let seconds = self.wait.as_secs_f64();
                Err(Error::internal(format!("no answer within the {seconds} s of `transports.input_wait`")))
            }
            () = self.keep_alive(outlet) => Err(gone()),
        };
        if done.is_err() {
            withdraw(&ids[heard..], outlet).await;
        }
        done.map(|()| answers)
    }

    /// Says now and then that the stream is alive, while a person thinks; done when nobody listens any more.
    async fn keep_alive(&self, outlet: &Outlet) {
        loop {
            tokio::time::sleep(self.keep_alive).await;
            if !outlet.send(events::keep_alive()).await {
                return;
            }
        }
    }

    fn wait_for(&self, session: Key, principal: &Arc<Principal>) -> Result<Asked<'_>, Error> {
        let place = self.places.take(principal).map_err(|full| Error::full(&full))?;
        let id = crate::access::random::<16>().map_err(|error| Error::internal(error.to_string()))?;
        let (id, (sender, answer)) = (u128::from_be_bytes(id), oneshot::channel());
        self.lock().insert(id, Waiting { session, answer: sender });
        Ok(Asked { asking: self, id, answer, _place: place })
    }

    /// A client's answer; false when nobody waits for it in this session. `account` pays for the copy.
    pub fn answered(
        &self,
        session: Key,
        id: Option<&RawValue>,
        result: Option<&RawValue>,
        account: &Account,
    ) -> Result<bool, Error> {
        let id = id.and_then(|id| serde_json::from_str::<String>(id.get()).ok());
        let Some(id) = id.and_then(|id| u128::from_str_radix(&id, 16).ok()) else { return Ok(false) };
        let answered = match result.filter(|result| json::is_object(result)) {
            Some(result) => {
                let charge = account.charge(result.get().len() as u64).map_err(|full| Error::unpaid(&full))?;
                Some(Answered { text: result.get().to_owned(), _charge: charge })
            }
            None => None,
        };
        let waiting = {
            let mut waiting = self.lock();
            match waiting.get(&id) {
                Some(known) if known.session == session => waiting.remove(&id),
                _ => None,
            }
        };
        Ok(waiting.is_some_and(|waiting| waiting.answer.send(answered).is_ok()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.asking.lock().remove(&self.id);
    }
}

/// Tells the client that nobody waits any more, so that no person goes on answering.
async fn withdraw(ids: &[u128], outlet: &Outlet) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Cancelled {
        request_id: String,
    }
    for id in ids {
        let cancelled = Cancelled { request_id: shown(*id) };
        // Where there is no room for it, the answer comes too late, and is no mistake.
        let Ok(event) = events::notice(outlet.account(), "notifications/cancelled", Some(cancelled)) else { return };
        if !outlet.send(event).await {
            return;
        }
    }
}

/// The id of a question, as it stands in a request.
fn shown(id: u128) -> String {
    format!("{id:032x}")
}

fn gone() -> Error {
    Error::internal("the client that was asked is gone")
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: String,
    #[serde(flatten)]
    question: &'a Question<'a>,
}
