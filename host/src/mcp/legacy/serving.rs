//! One request of this era: in a session, or without one.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asking::Answers;
use super::hearing;
use super::session::{Entered, NotRun};
use crate::agent::contract::InputRequired;
use crate::agent::{Caller, Charged};
use crate::mcp::call::{Answer, Call};
use crate::mcp::error::{Empty, Error};
use crate::mcp::follow::{self, Follower, Wishes};
use crate::mcp::modern::RequestMeta;
use crate::mcp::questions::Questions;
use crate::mcp::reply::{Body, Reply};
use crate::mcp::request::{self, Request};
use crate::mcp::version::Era;
use crate::mcp::{Asked, Endpoint, Post, Service};

/// Rounds of questions for one request; an agent that asks more will never be content.
const ROUNDS_MAX: usize = 16;

/// Answers a request.
pub async fn serve(
    service: &Arc<Service>,
    post: &Post,
    endpoint: &Endpoint,
    meta: &RequestMeta<'_>,
    session: Option<&Entered>,
    version: &'static str,
    asked: &Asked<'_>,
) -> Result<Reply, Error> {
    let mut caller = Caller::new(post.principal.name.clone(), version);
    caller.capabilities = session.map(|session| session.client.capability_names()).unwrap_or_default();
    let call = Call {
        service,
        endpoint,
        era: Era::Legacy,
        principal: &post.principal,
        caller: caller.into(),
        headers: &post.headers,
        id: asked.id,
        outlet: asked.outlet,
    };
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
        _ => run(call, meta, session, asked).await,
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
async fn run(
    mut call: Call<'_>,
    meta: &RequestMeta<'_>,
    session: Option<&Entered>,
    asked: &Asked<'_>,
) -> Result<Reply, Error> {
    let request = Request::parse(asked.method, asked.params)?;
    let request = request.ok_or_else(|| Error::method_not_found(asked.method))?;
    let Some(session) = session else {
        return answer(&mut call, meta, None, asked.method, &request).await;
    };
    let running = session.run(asked.id.get()).map_err(|why| match why {
        NotRun::Doubled => Error::invalid_request("a request with this `id` is under way in this session"),
        NotRun::TooMany(max) => Error::beyond("session-requests", "requests", max as u64, max as u64 + 1),
        NotRun::Ended => Error::no_session(),
    })?;
    if let (Some(outlet), Request::CallTool { .. } | Request::GetPrompt { .. }) = (call.outlet, &request) {
        outlet.go_on_alone();
    }
    let mut reply = tokio::select! {
        biased;
        // Nobody waits for an answer to what was cancelled.
        () = running.cancelled() => return Ok(Reply::cancelled()),
        answer = answer(&mut call, meta, Some(session), asked.method, &request) => answer?,
    };
    if let Body::Stream(stream) = reply.body {
        // It runs until its last byte, and can be cancelled until then.
        let until_cancelled = async move { running.cancelled().await };
        reply.body = Body::Stream(stream.until(&call.service.streams, until_cancelled));
    }
    Ok(reply)
}

/// Asks an agent, and the client for whatever the agent wants to know first.
async fn answer(
    call: &mut Call<'_>,
    meta: &RequestMeta<'_>,
    session: Option<&Entered>,
    method: &str,
    request: &Request<'_>,
) -> Result<Reply, Error> {
    let wishes = Wishes { token: follow::token(meta.progress_token)?, level: session.and_then(Entered::level) };
    let logger = call.endpoint.agent().map_or("stockade", |agent| agent.name());
    let queue = call.service.limits.queue;
    let follower = Follower::new(wishes, call.outlet, logger, queue, &mut call.caller);
    // Held as long as the agent is called with them.
    let mut _paid: Option<(Answers, Box<Charged<InputRequired>>)> = None;
    for _ in 0..ROUNDS_MAX {
        let answer = match &follower {
            Some(follower) => follower.follow(call.dispatch(method, request)).await?,
            None => call.dispatch(method, request).await?,
        };
        let (target, mut asked) = match answer {
            Answer::Whole(buffer) => return Ok(Reply::json(buffer.into_bytes())),
            Answer::Stream(stream) => return Ok(Reply::stream(stream)),
            Answer::Asks(target, asked) => (target, asked),
        };
        let questions = Questions::new(&asked.value, &call.caller.capabilities, &target)?;
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
        caller.state = asked.value.state.take();
        _paid = Some((answers, asked));
    }
    Err(Error::internal(format!("the agent asked more than {ROUNDS_MAX} times")))
}
