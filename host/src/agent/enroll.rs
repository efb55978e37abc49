//! An agent's entry in the registry's document: made when it is missing, and told what is served.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Agent, Agents, Offer, Standing};
use crate::registry::Record;

/// Agents that are named in the log, of many that something happens to.
const NAMED_MAX: usize = 20;

impl Agents {
    /// Writes what the host alone knows into an agent's entry. What others write there stays as it is; an entry that is made
    /// now begins with what the agent says of itself.
    pub(super) async fn enroll(&self, agent: &Agent) {
        let news = self.news(agent);
        if news.is_empty() {
            return;
        }
        if let Err(error) = self.0.means.document.write(vec![(agent.home.name.clone(), news)]).await {
            tracing::error!(agent = agent.name(), %error, "its entry in the registry's document is not up to date");
        }
    }

    /// As [`Agents::enroll`], for many at once.
    pub(super) async fn enroll_all(&self, agents: impl Iterator<Item = &Arc<Agent>>) {
        let news = agents.map(|agent| (agent.home.name.clone(), self.news(agent))).filter(|(_, news)| !news.is_empty());
        if let Err(error) = self.0.means.document.write(news.collect()).await {
            tracing::error!(%error, "entries in the registry's document are not up to date");
        }
    }

    /// What its entry lacks.
    fn news(&self, agent: &Agent) -> Vec<(&'static str, Value)> {
        let record = self.0.means.document.record(&agent.home.name);
        let now: Value = now_ms().into();
        let mut fields = vec![("name", Value::from(agent.name()))];
        if record.is_none() {
            fields.push(("created", now.clone()));
        }
        // Which of several versions is served, the document says itself, unless it names one that is not here: the manifest had
        // something else served for a while.
        let says_itself = |record: &Record| {
            let (version, digest) = (record.text("version"), record.text("digest").unwrap_or_default());
            agent.published_version().is_some()
                && version.is_none_or(|version| self.has_version(agent.name(), version, digest))
        };
        if let Standing::Ready(offer) = agent.standing()
            && !record.as_deref().is_some_and(says_itself)
        {
            fields.push(("version", Value::from(&*offer.version)));
            fields.push(("digest", format!("sha256:{}", offer.digest).into()));
            if record.is_none() {
                fields.extend(own_words(&offer));
            }
        }
        fields.retain(|(field, value)| record.as_ref().is_none_or(|record| record.get(field) != value));
        if fields.iter().any(|(field, _)| matches!(*field, "version" | "digest")) {
            fields.push(("updated", now));
        }
        fields
    }

    /// Disables the entries of agents that the manifest has no more.
    pub(super) async fn disable_missing(&self) {
        let records = self.0.means.document.records();
        let missing = records.into_iter().filter(|(name, record)| self.get(name).is_none() && record.is_enabled());
        let disabled: Vec<_> = missing.map(|(name, _)| (name, vec![("enabled", false.into())])).collect();
        for (name, _) in disabled.iter().take(NAMED_MAX) {
            tracing::warn!(agent = &**name, "the manifest has it no more: its entry in the registry is disabled");
        }
        if disabled.len() > NAMED_MAX {
            tracing::warn!(agents = disabled.len(), "so many entries in all are disabled");
        }
        if let Err(error) = self.0.means.document.write(disabled).await {
            tracing::error!(%error, "entries of agents that the manifest has no more cannot be disabled");
        }
    }
}

/// What an agent says of itself, as far as an entry has room for it.
pub(super) fn own_words(offer: &Offer) -> Vec<(&'static str, Value)> {
    let said = [("title", &offer.description.title), ("description", &offer.description.description)];
    let fits = |(field, text): &(&'static str, &String)| {
        let field = crate::registry::schema::FIELDS.iter().find(|each| each.name == *field);
        !text.is_empty() && field.is_some_and(|field| field.check(&Value::from(text.as_str())).is_ok())
    };
    said.into_iter().filter(fits).map(|(field, text)| (field, Value::from(text.as_str()))).collect()
}

/// Milliseconds since 1970; 0 on a machine whose clock stands before that.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
