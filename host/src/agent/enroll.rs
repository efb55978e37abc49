//! An agent's entry in the registry's document: made when it is missing, and told what is served.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Agent, Agents, Offer, Standing};

impl Agent {
    /// Writes what the host alone knows into the agent's entry. What others write there stays as it is; an entry that is
    /// made now begins with what the agent says of itself.
    pub(super) async fn enroll(&self) {
        let record = self.document.record(&self.name);
        let now: Value = now_ms().into();
        let mut fields = vec![("name", Value::from(&*self.name))];
        if record.is_none() {
            fields.push(("created", now.clone()));
        }
        if let Standing::Ready(offer) = self.standing() {
            let served =
                [("version", Value::from(&*offer.version)), ("digest", format!("sha256:{}", offer.digest).into())];
            let is_news =
                |(field, value): &(&str, Value)| record.as_ref().is_none_or(|record| record.get(field) != value);
            if served.iter().any(is_news) {
                fields.push(("updated", now));
            }
            fields.extend(served);
            if record.is_none() {
                fields.extend(own_words(&offer));
            }
        }
        if let Err(error) = self.document.write(self.name.clone(), fields).await {
            tracing::error!(agent = self.name(), %error, "its entry in the registry's document is not up to date");
        }
    }
}

impl Agents {
    /// Disables the entries of agents that the manifest has no more.
    pub(super) async fn disable_missing(&self) {
        for (name, record) in self.0.document.records() {
            if self.get(&name).is_some() || !record.is_enabled() {
                continue;
            }
            tracing::warn!(
                agent = &*name,
                "the manifest has it no more: its entry in the registry's document is disabled"
            );
            if let Err(error) = self.0.document.write(name.clone(), vec![("enabled", false.into())]).await {
                tracing::error!(agent = &*name, %error, "its entry in the registry's document cannot be disabled");
            }
        }
    }
}

/// What an agent says of itself, as far as an entry has room for it.
fn own_words(offer: &Offer) -> Vec<(&'static str, Value)> {
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
