//! One request of this era: in a session, or without one.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asking::Answers;
use super::hearing;
use super::session::{Entered, NotRun};
use crate::agent::contract::InputRequired;
use crate::agent::{Caller, Charged};
use crate::mcp::Asked;
use crate::mcp::call::{Answer, Call};
use crate::mcp::error::{Empty, Error};
use crate::mcp::follow::{self, Follower};
use crate::mcp::questions::Questions;
use crate::mcp::reply::{Body, Reply};
use crate::mcp::request::{self, Request};
use crate::mcp::version::Era;

/// Rounds of questions for one request; an agent that asks more will never be content.
const ROUNDS_MAX: usize = 16;

/// Answers a request.
pub async fn serve(session: Option<&Entered>, version: &'static str, asked: &Asked<'_>) -> Result<Reply, Error> {
    let mut caller = Caller::new(asked.post.principal.name.clone(), version);
    caller.capabilities = session.map(|session| session.client.capability_names()).unwrap_or_default();
    let call = asked.call(Era::Legacy, caller);
    match (asked.method, session) {
        ("ping", _) => done(&call),
        ("logging/setLevel", Some(session)) => {
            session.set_level(wanted_level(asked.params)?);
            done(&call)
        }
        ("resources/subscribe", Some(session)) => {
            hearing::subscribe(&call, session, asked.params).await?;
            done(&call)
        }
        ("resources/unsubscribe", Some(session)) => {
            hearing::unsubscribe(&call, session, asked.params)?;
            done(&call)
        }
        ("logging/setLevel" | "resources/subscribe" | "resources/unsubscribe", None) => Err(Error::session_required()),
        _ => run(call, session, asked).await,
    }
}

fn done(call: &Call<'_>) -> Result<Reply, Error> {
    let reply = call.reply(&Empty {}).map_err(|overflow| Error::overflow(overflow, None))?;
    Ok(Reply::json(reply.into_bytes()))
}

pub fn wanted_level(params: Option<&RawValue>) -> Result<crate::agent::contract::Level, Error> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        level: &'a RawValue,
    }
    let Params { level } = request::params(params)?;
    follow::level(level)
}

/// Asks an agent, until it is done or the client cancels.
async fn run<'a>(mut call: Call<'a>, session: Option<&Entered>, asked: &Asked<'a>) -> Result<Reply, Error> {
    let request = Request::parse(asked.method, asked.params)?;
    let request = request.ok_or_else(|| Error::method_not_found(asked.method))?;
    let running = session.map(|session| session.run(asked.id.get())).transpose().map_err(|why| match why {
        NotRun::Doubled => Error::invalid_request("a request with this `id` is under way in this session"),
        NotRun::TooMany(max) => Error::beyond("session-requests", "requests", max as u64, max as u64 + 1),
        NotRun::Ended => Error::no_session(),
    })?;
    if let (Some(_), Some(outlet), Request::CallTool { .. } | Request::GetPrompt { .. }) =
        (session, call.outlet, &request)
    {
        outlet.go_on_alone();
    }
    let cancelled = async {
        match &running {
            Some(running) => running.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let mut reply = tokio::select! {
        biased;
        // Nobody waits for an answer to what was cancelled.
        () = cancelled => return Ok(Reply::cancelled()),
        answer = answer(&mut call, session, asked, &request) => answer?,
    };
    reply.body = match (reply.body, running) {
        // It runs until its last byte, and can be cancelled until then.
        (Body::Stream(stream), Some(running)) => {
            Body::Stream(stream.until(&call.service.streams, async move { running.cancelled().await }))
        }
        (body, _) => body,
    };
    Ok(reply)
}

/// Asks an agent, and the client for whatever the agent wants to know first.
async fn answer<'a>(
    call: &mut Call<'a>,
    session: Option<&Entered>,
    asked: &Asked<'a>,
    request: &Request<'_>,
) -> Result<Reply, Error> {
    let level = session.and_then(Entered::level);
    let follower = Follower::of(call, asked.meta.progress_token, level)?;
    // Held as long as the agent is called with them.
    let mut _paid: Option<(Answers, Box<Charged<InputRequired>>)> = None;
    for _ in 0..ROUNDS_MAX {
        let answer = follow::followed(follower.as_ref(), call, asked.method, request).await?;
        let (target, mut wanted) = match answer {
            Answer::Whole(buffer) => return Ok(Reply::json(buffer.into_bytes())),
            Answer::Stream(stream) => return Ok(Reply::stream(stream)),
            Answer::Asks(target, wanted) => (target, wanted),
        };
        let questions = Questions::new(&wanted.value, &call.caller.capabilities, &target)?;
        let mut answers = match (session, call.outlet) {
            (Some(session), Some(outlet)) => {
                let asking = &call.service.legacy.asking;
                asking.ask(session.key(), call.principal, &questions, outlet).await?
            }
            _ => return Err(Error::cannot_ask(&target.identity())),
        };
        drop(questions);
        let caller = Arc::make_mut(&mut call.caller);
        caller.answers = std::mem::take(&mut answers.texts);
        caller.state = wanted.value.state.take();
        _paid = Some((answers, wanted));
    }
    Err(Error::internal(format!("the agent asked more than {ROUNDS_MAX} times")))
}
