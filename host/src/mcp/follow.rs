//! What a guest says while it runs, told to the client that follows the call: progress and log messages.
//!
//! The call is polled whatever the client does; news that the client has no room for wait in the call's own bounded ear
//! ([`crate::agent::feedback`]). Only what the client asked for is told, and nothing after the result.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Answer, Call};
use super::error::Error;
use super::events;
use super::exchange::Outlet;
use super::request::Request;
use crate::agent::contract::Level;
use crate::agent::feedback::{Feedback, News, Wanted, severity};

/// Bytes of a progress token, which is repeated with every news.
const TOKEN_BYTES_MAX: usize = 1 << 10;

/// A client that follows a call.
pub struct Follower<'a> {
    outlet: &'a Outlet,
    feedback: Feedback,
    /// The client's own name for the progress of this call.
    token: Option<&'a RawValue>,
    /// Who speaks, in log messages.
    logger: &'a str,
    level: Option<Level>,
}

/// Answers what is asked of agents, and tells a follower of it meanwhile.
pub async fn followed(
    follower: Option<&Follower<'_>>,
    call: &Call<'_>,
    method: &str,
    request: &Request<'_>,
) -> Result<Answer, Error> {
    match follower {
        // Boxed, or every call that nobody follows would be as large as two.
        Some(follower) => follower.follow(Box::pin(call.dispatch(method, request))).await,
        None => call.dispatch(method, request).await,
    }
}

impl<'a> Follower<'a> {
    /// Follows a call, under the client's own token, if it has one, and with messages of this level; none if there is nobody
    /// to tell, or nothing that was asked for.
    ///
    /// # Errors
    ///
    /// When the token is none.
    pub fn of(call: &mut Call<'a>, token: Option<&'a RawValue>, level: Option<Level>) -> Result<Option<Self>, Error> {
        let token = self::token(token)?;
        let Some(outlet) = call.outlet.filter(|_| token.is_some() || level.is_some()) else { return Ok(None) };
        let wanted = Wanted { progress: token.is_some(), level, bytes: call.service.limits.queue };
        let feedback = Feedback::new(wanted, outlet.account());
        Arc::make_mut(&mut call.caller).feedback = Some(feedback.clone());
        let logger = call.endpoint.agent().map_or("stockade", |agent| agent.name());
        Ok(Some(Self { outlet, feedback, token, logger, level }))
    }

    /// Runs a call to its end, and tells what it says meanwhile.
    pub async fn follow<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let result = poll_fn(|cx| {
            let result = call.as_mut().poll(cx);
            while let Poll::Ready(true) = self.outlet.poll_room(cx) {
                let Poll::Ready(news) = self.feedback.poll_news(cx) else { break };
                if let Some(event) = self.event(&news) {
                    self.outlet.put(event);
                }
            }
            result
        });
        let result = result.await;
        while let Some(news) = self.feedback.take() {
            if let Some(event) = self.event(&news) {
                self.outlet.send(event).await;
            }
        }
        if let Some(event) = self.loss() {
            self.outlet.send(event).await;
        }
        result
    }

    /// None where there is no room for it: news are not worth a failure.
    fn event(&self, news: &News) -> Option<Bytes> {
        match news {
            News::Progress(progress) => {
                let params = ProgressParams {
                    progress_token: self.token?,
                    progress: progress.done,
                    total: progress.total,
                    message: progress.message.as_deref(),
                };
                events::notice(self.outlet.account(), "notifications/progress", Some(params)).ok()
            }
            News::Message(message) => self.logged(message.level, self.logger, &message.text),
        }
    }

    /// Says at the end how many messages are missing, as severely as the client wants to hear of anything.
    fn loss(&self) -> Option<Bytes> {
        let (count, wanted) = (self.feedback.dropped(), self.level?);
        let level = if severity(wanted) > severity(Level::Warning) { wanted } else { Level::Warning };
        let why = "more than a call may log, or than the client has taken in time";
        (count > 0).then(|| self.logged(level, "stockade", &format!("{count} messages were dropped: {why}")))?
    }

    fn logged(&self, level: Level, logger: &str, data: &str) -> Option<Bytes> {
        let params = LogParams { level: level_name(level), logger, data };
        events::notice(self.outlet.account(), "notifications/message", Some(params)).ok()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProgressParams<'a> {
    progress_token: &'a RawValue,
    progress: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct LogParams<'a> {
    level: &'static str,
    logger: &'a str,
    data: &'a str,
}

/// A progress token: a string or a number.
pub fn token(raw: Option<&RawValue>) -> Result<Option<&RawValue>, Error> {
    let Some(raw) = raw else { return Ok(None) };
    let text = raw.get();
    let is_token = text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    if is_token && text.len() <= TOKEN_BYTES_MAX {
        return Ok(Some(raw));
    }
    Err(Error::invalid_params(format!(
        "`progressToken` must be a string or a number, of at most {TOKEN_BYTES_MAX} bytes"
    )))
}

/// The names of log levels, least severe first.
const LEVELS: [(&str, Level); 8] = [
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("notice", Level::Notice),
    ("warning", Level::Warning),
    ("error", Level::Error),
    ("critical", Level::Critical),
    ("alert", Level::Alert),
    ("emergency", Level::Emergency),
];

fn level_name(level: Level) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("info", |(name, _)| name)
}

/// A log level by its name.
pub fn level(raw: &RawValue) -> Result<Level, Error> {
    let name = super::parse::Text::deserialize(raw).map(|text| text.0).unwrap_or_default();
    let known = LEVELS.iter().find(|(known, _)| *known == name);
    known.map(|(_, level)| *level).ok_or_else(|| {
        let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
        Error::invalid_params(format!("a log level is one of {}", names.join(", ")))
    })
}
