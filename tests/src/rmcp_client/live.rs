//! What happens while a call runs or between calls: progress, changes, cancelling, questions, log messages.
#![allow(deprecated, reason = "2026-07-28 deprecates logging and subscribing, and a host serves them all the same")]

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, JsonObject, LoggingLevel, RequestMetaObject,
    ServerNotification, ServerResult, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{PeerRequestOptions, RequestHandle, Subscription};
use rmcp::{RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::person::Notice;
use super::{Era, Tour, object};

/// How long a notice may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than any test waits, and shorter than the agent's deadline.
const SLEEP_MS: u64 = 30_000;

impl Tour {
    pub(super) async fn live(&mut self) -> Result<JsonObject> {
        let progress = self.progress().await?;
        let (updated, list_changed) = match self.era {
            Era::Modern => self.listen().await?,
            Era::Legacy => self.subscribe().await?,
        };
        object(json!({
            "progress": progress,
            "updated": updated,
            "listChanged": list_changed,
            "cancelled": self.cancel().await?,
            "answered": self.answered().await?,
            "logged": self.logged().await?,
        }))
    }

    /// Begins a call, which can then be followed and cancelled.
    async fn begin(&self, params: CallToolRequestParams, options: PeerRequestOptions) -> Result<Handle> {
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        Ok(self.client.send_cancellable_request(request, options).await?)
    }

    /// The next notice that `wanted` picks; others are of no interest.
    async fn hear<T>(&mut self, what: &str, mut wanted: impl FnMut(Notice) -> Option<T>) -> Result<T> {
        let heard = async {
            loop {
                let notice = self.heard.recv().await.context("the connection is gone")?;
                if let Some(found) = wanted(notice) {
                    return Ok(found);
                }
            }
        };
        timeout(PATIENCE, heard).await.with_context(|| format!("no {what} within {PATIENCE:?}"))?
    }

    /// Some of 0, 50 and 100 in this order; of those that follow close upon each other the last one counts.
    async fn progress(&mut self) -> Result<Vec<f64>> {
        let params = self.params("test_tool_with_progress", json!({}))?;
        let handle = self.begin(params, PeerRequestOptions::no_options()).await?;
        let mut steps = Vec::new();
        // A notice is handled beside the answer and may come after it, so the last step is waited for.
        while steps.last() != Some(&100.0) {
            let token = handle.progress_token.clone();
            let step = self.hear("progress", |notice| match notice {
                Notice::Progress(progress) if progress.progress_token == token => Some(progress),
                _ => None,
            });
            let step = step.await?;
            ensure!(step.total == Some(100.0), "the total is told each time: {step:?}");
            ensure!(steps.last().is_none_or(|last| *last < step.progress), "rising progress: {steps:?}, {step:?}");
            steps.push(step.progress);
        }
        ensure!(steps.iter().all(|step| [0.0, 50.0, 100.0].contains(step)), "0, 50, 100: {steps:?}");
        ensure!(matches!(handle.await_response().await?, ServerResult::CallToolResult(_)), "then the result");
        Ok(steps)
    }

    /// Since 2026-07-28: a stream of the changes that were asked for.
    async fn listen(&self) -> Result<(String, &'static str)> {
        let watched = self.uri("test://watched-resource");
        let wanted = SubscriptionFilter::builder().tools_list_changed().resource_subscription(&watched).build();
        let mut subscription = self.client.listen(wanted.clone()).await?;
        ensure!(
            *subscription.acknowledged() == wanted,
            "the host grants {wanted:?}: {:?}",
            subscription.acknowledged()
        );
        self.call("trigger_watched_change", json!({})).await?;
        let updated = loop {
            if let ServerNotification::ResourceUpdatedNotification(updated) = next_of(&mut subscription).await? {
                break updated.params.uri;
            }
        };
        ensure!(updated == watched, "the resource that was asked for, not {updated}");
        self.call("test_trigger_tool_change", json!({})).await?;
        while !matches!(next_of(&mut subscription).await?, ServerNotification::ToolListChangedNotification(_)) {}
        subscription.cancel().await?;
        // A host that still counts this client among the listeners must not fail for it.
        self.call("trigger_watched_change", json!({})).await?;
        Ok((updated, "tools"))
    }

    /// Before 2026-07-28: the session remembers what the client subscribes to, and changed lists are told unasked.
    async fn subscribe(&mut self) -> Result<(String, &'static str)> {
        let watched = self.uri("test://watched-resource");
        self.client.subscribe(SubscribeRequestParams::new(&watched)).await?;
        self.call("trigger_watched_change", json!({})).await?;
        let updated = self.hear("notice of a changed resource", |notice| match notice {
            Notice::Updated(uri) => Some(uri),
            _ => None,
        });
        let updated = updated.await?;
        ensure!(updated == watched, "the resource that was asked for, not {updated}");
        self.call("test_trigger_tool_change", json!({})).await?;
        let changed = |notice| matches!(notice, Notice::ToolsChanged).then_some(());
        self.hear("notice of a changed list of tools", changed).await?;
        self.client.unsubscribe(UnsubscribeRequestParams::new(&watched)).await?;
        self.call("trigger_watched_change", json!({})).await?;
        Ok((updated, "tools"))
    }

    /// Cancels a call that has begun, which its first progress shows; then one that waits for its place must get it.
    /// A call that takes longer than it may is cancelled by the library, and that is an error.
    async fn cancel(&mut self) -> Result<String> {
        let params = self.params("sleep", json!({ "ms": SLEEP_MS }))?;
        let handle = self.begin(params.clone(), PeerRequestOptions::no_options()).await?;
        let token = handle.progress_token.clone();
        let begun = |notice| matches!(notice, Notice::Progress(step) if step.progress_token == token).then_some(());
        self.hear("progress of a sleeping call", begun).await?;
        handle.cancel(Some("the person lost patience".into())).await?;
        self.call("test_simple_text", json!({})).await?;

        let short = PeerRequestOptions::with_timeout(Duration::from_secs(1));
        let late = match self.begin(params, short).await?.await_response().await {
            Err(late @ ServiceError::Timeout { .. }) => late,
            other => bail!("out of time, not {other:?}"),
        };
        self.call("test_simple_text", json!({})).await?;
        Ok(late.to_string())
    }

    /// Every kind of question, two rounds of them, and one that a read asks.
    async fn answered(&self) -> Result<Vec<String>> {
        let france = json!({ "prompt": "What is the capital of France?" });
        let asking = [
            ("test_elicitation", json!({ "message": "Who are you?" }), r#""username":"ada""#),
            ("test_input_required_result_elicitation", json!({}), "Hello, Ada!"),
            ("test_sampling", france, "Paris"),
            ("test_input_required_result_list_roots", json!({}), "file:///workspace"),
            ("test_input_required_result_multiple_inputs", json!({}), "Paris Ada works in file:///workspace"),
            ("test_input_required_result_multi_round", json!({}), "Ada likes green"),
        ];
        let mut answered = Vec::new();
        for (tool, arguments, wanted) in asking {
            let text = self.call(tool, arguments).await?;
            ensure!(text.contains(wanted), "{tool} repeats the answer {wanted}: {text}");
            answered.push(text);
        }
        let read = self.read_text("test://personal", "text/plain").await?;
        ensure!(read == "The copy of Ada.", "a read repeats the answer: {read}");
        answered.push(read);
        Ok(answered)
    }

    /// The messages of one call, in whatever order this library handles them in. Once a level is set every call has
    /// them; since 2026-07-28 a call asks.
    async fn logged(&mut self) -> Result<Vec<Value>> {
        let mut params = self.params("test_tool_with_logging", json!({}))?;
        match self.era {
            Era::Legacy => self.client.set_level(SetLevelRequestParams::new(LoggingLevel::Info)).await?,
            Era::Modern => {
                let mut meta = RequestMetaObject::default();
                meta.set_log_level(LoggingLevel::Info);
                params.meta = Some(meta);
            }
        }
        self.client.call_tool(params).await?;
        let mut messages = Vec::new();
        while messages.len() < 3 {
            let message = self.hear("log message", |notice| match notice {
                Notice::Log(message) => Some(message),
                _ => None,
            });
            let message = message.await?;
            ensure!(message.level == LoggingLevel::Info, "three messages of level info: {message:?}");
            messages.push(message.data);
        }
        Ok(messages)
    }
}

type Handle = RequestHandle<RoleClient>;

async fn next_of(subscription: &mut Subscription) -> Result<ServerNotification> {
    let next = timeout(PATIENCE, subscription.next()).await.context("no notice of a change")??;
    next.with_context(|| format!("the subscription lasts until the client ends it: {:?}", subscription.end()))
}
