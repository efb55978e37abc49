//! Which version of an agent is served: moved forward by publishing, back by hand or by itself, and away by yanking.

use std::sync::Arc;

use super::Publishing;
use super::audit::Deed;
use super::error::Error;
use super::index::Changes;
use super::index::tables::stored;
use super::index::versions::{State, VersionRow};
use super::name::{Repository, Tag};
use super::serving::Serving;
use super::versions::{Field, LATEST, no_versions, unless_gone};
use crate::access::Principal;
use crate::manifest::AgentName;
use crate::registry::{Failed, Handle};
use semver::Version;
use serde_json::Value;

/// Versions that are tried, one after the other, when one is to take the place of another.
const CANDIDATES_MAX: usize = 4;

impl Publishing {
    /// Serves a version under its agent's bare name: in the document, then in fact, then in the index. `words` go into the
    /// entry as well.
    pub(super) async fn make_live(
        &self,
        serving: &Serving,
        agent: &AgentName,
        version: &str,
        words: Vec<Field>,
        is_new: bool,
    ) -> Result<(), Error> {
        let (name, wanted) = (agent.clone(), version.to_owned());
        let row = self.reading(move |view| view.version(name.as_str(), &wanted)).await?;
        let row = row.ok_or_else(|| Error::ManifestUnknown(version.to_owned()))?;
        let prepared = serving.agents.prepare(agent.as_str(), version).await.map_err(Error::Later)?;
        let fields = entry(&serving.document, agent, version, &row, words);
        serving.document.write(vec![(agent.as_str().into(), fields)]).await.map_err(|failed| unwritten(&failed))?;
        // Once it has gone, what was published goes as well.
        self.has_entry(agent.as_str());
        serving.agents.serve(&prepared, is_new);
        // It is served, as the document says. What the index lacks of that, the next start finds there.
        if let Err(error) = self.settle_version(agent, version, State::Published, true).await {
            tracing::error!(agent = agent.as_str(), version, %error, "the index does not say yet that it is served");
        }
        Ok(())
    }

    /// Writes down how a version stands, and that it is the one that is served, if it is.
    pub(super) async fn settle_version(
        &self,
        agent: &AgentName,
        version: &str,
        state: State,
        live: bool,
    ) -> Result<(), Error> {
        let (agent, version) = (agent.clone(), version.to_owned());
        let settle = self.on_disk(move |inner| {
            inner.index.change(|changes| {
                let agent = agent.as_str();
                let row = changes.version(agent, &version)?;
                let mut row = row.ok_or_else(|| Error::ManifestUnknown(version.clone()))?;
                (row.state, row.why) = (state, None);
                changes.set_version(agent, &version, &row)?;
                if live { set_live(changes, agent, Some((&version, &row))) } else { Ok(()) }
            })
        });
        settle.await
    }

    /// Takes a version from lists and from what is served under the bare name, or puts it back: it stays callable by its
    /// exact version.
    ///
    /// # Errors
    ///
    /// When there is none, or what takes its place cannot be served.
    pub async fn set_yanked(
        &self,
        agent: &AgentName,
        version: &Tag,
        yanked: bool,
        by: &Arc<Principal>,
    ) -> Result<(), Error> {
        let (agent, version, by) = (agent.clone(), version.clone(), by.clone());
        self.to_its_end(async move |publishing| {
            let serving = publishing.serving()?;
            let _turn = serving.turn(&agent, &by).await?;
            let done = publishing.yank(serving, &agent, &version, yanked).await;
            let what = if yanked { "yank" } else { "unyank" };
            note(serving, &by, (what, &agent, version.as_str()), &done);
            done
        })
        .await
    }

    async fn yank(&self, serving: &Serving, agent: &AgentName, version: &Tag, yanked: bool) -> Result<(), Error> {
        self.bring_in_line(serving, agent).await?;
        let (row, known) = self.version(agent, version).await?;
        let (Some(row), Some(_)) = (row, known) else { return Err(Error::ManifestUnknown(version.to_string())) };
        let state = if yanked { State::Yanked } else { State::Published };
        let is_live = row.live.as_deref() == Some(version.as_str());
        if yanked && is_live {
            let others = self.best_but(agent, version.as_str()).await?;
            if self.serve_first(serving, agent, &others).await?.is_none() {
                // Whoever takes a version away wants it gone, whatever else there is.
                self.serve_nothing(serving, agent).await?;
            }
        }
        self.settle_version(agent, version.as_str(), state, false).await?;
        if !yanked && row.live.is_none() {
            self.make_live(serving, agent, version.as_str(), Vec::new(), false).await?;
        }
        Ok(())
    }

    /// Serves what was served before what is served now; says which version that is.
    ///
    /// # Errors
    ///
    /// When nothing was, or it cannot be served any more.
    pub async fn roll_back(&self, agent: &AgentName, by: &Arc<Principal>) -> Result<String, Error> {
        let (agent, by) = (agent.clone(), by.clone());
        self.to_its_end(async move |publishing| {
            let serving = publishing.serving()?;
            let _turn = serving.turn(&agent, &by).await?;
            let done = publishing.back(serving, &agent).await;
            note(serving, &by, ("rollback", &agent, done.as_deref().unwrap_or_default()), &done);
            done
        })
        .await
    }

    async fn back(&self, serving: &Serving, agent: &AgentName) -> Result<String, Error> {
        self.bring_in_line(serving, agent).await?;
        let before = self.before(agent).await?;
        let back = self.serve_first(serving, agent, &before).await?;
        back.ok_or_else(|| match before.len().min(CANDIDATES_MAX) {
            0 => Error::NotServed(format!("no earlier version of `{agent}` that could be served is left")),
            tried => Error::NotServed(format!("none of the {tried} versions of `{agent}` served last can be loaded")),
        })
    }

    /// Serves the first of these that can be served, and says which; none if none can be loaded.
    ///
    /// # Errors
    ///
    /// When the document does not take it.
    pub(super) async fn serve_first(
        &self,
        serving: &Serving,
        agent: &AgentName,
        candidates: &[String],
    ) -> Result<Option<String>, Error> {
        for version in candidates.iter().take(CANDIDATES_MAX) {
            if let Err(why) = serving.agents.prepare(agent.as_str(), version).await {
                tracing::warn!(agent = agent.as_str(), why, "passed over");
                continue;
            }
            self.make_live(serving, agent, version, Vec::new(), false).await?;
            return Ok(Some(version.clone()));
        }
        Ok(None)
    }

    /// What was served and still may be, the last one first.
    pub(super) async fn before(&self, agent: &AgentName) -> Result<Vec<String>, Error> {
        let name = agent.clone();
        self.reading(move |view| {
            let row = view.agent(name.as_str())?.ok_or_else(|| no_versions(&name))?;
            let mut before = Vec::new();
            for version in row.served.into_iter().rev() {
                let known = view.version(name.as_str(), &version)?;
                before.extend(known.filter(|known| known.state == State::Published).map(|_| version));
            }
            Ok(before)
        })
        .await
    }

    /// Versions that may be served instead of this one: the newest first, and releases before what leads up to one.
    async fn best_but(&self, agent: &AgentName, instead_of: &str) -> Result<Vec<String>, Error> {
        let (name, instead_of) = (agent.clone(), instead_of.to_owned());
        self.reading(move |view| {
            let others = view.versions(name.as_str())?.into_iter();
            let others = others.filter(|(version, row)| *version != instead_of && row.state == State::Published);
            let mut parsed: Vec<Version> = others.filter_map(|(version, _)| Version::parse(&version).ok()).collect();
            parsed.sort_by(|one, other| (other.pre.is_empty(), other).cmp(&(one.pre.is_empty(), one)));
            Ok(parsed.iter().map(Version::to_string).collect())
        })
        .await
    }

    /// Serves nothing under the bare name.
    async fn serve_nothing(&self, serving: &Serving, agent: &AgentName) -> Result<(), Error> {
        let none = vec![("version", Value::Null), ("digest", Value::Null), ("updated", super::now().into())];
        serving.document.write(vec![(agent.as_str().into(), none)]).await.map_err(|failed| unwritten(&failed))?;
        serving.agents.withdraw(agent.as_str());
        let name = agent.clone();
        let told = self.on_disk(move |inner| inner.index.change(|changes| set_live(changes, name.as_str(), None)));
        if let Err(error) = told.await {
            tracing::error!(agent = agent.as_str(), %error, "the index does not say yet that nothing is served");
        }
        Ok(())
    }
}

/// What an entry says of a version that is served.
fn entry(document: &Handle, agent: &AgentName, version: &str, row: &VersionRow, mut words: Vec<Field>) -> Vec<Field> {
    let now: Value = super::now().into();
    // What people have written into an entry that there is stays.
    if document.record(agent.as_str()).is_some() {
        words.clear();
    } else {
        words.push(("created", now.clone()));
    }
    let of_version = [
        ("name", agent.as_str().into()),
        ("version", version.into()),
        ("digest", row.component.as_str().into()),
        ("owner", row.by.as_str().into()),
        ("coldStart", row.cold_start_us.into()),
        ("peak", row.memory_peak.into()),
        ("updated", now),
    ];
    words.extend(of_version);
    words
}

/// Writes down which version is served, and moves the tag that says so.
pub(super) fn set_live(changes: &Changes<'_>, agent: &str, live: Option<(&str, &VersionRow)>) -> Result<(), Error> {
    let Some(mut row) = changes.agent(agent)? else { return Ok(()) };
    row.go_live(live.map(|(version, _)| version));
    changes.set_agent(agent, &row)?;
    let repository: Repository = row.repository.parse().expect("only names were written there");
    let latest: Tag = LATEST.parse().expect("a tag");
    match live {
        Some((version, row)) => match changes.tag(&repository, &latest, &stored(&row.manifest)) {
            Err(Error::Quota(limit) | Error::DiskQuota(limit)) => {
                // It is served all the same.
                tracing::warn!(agent, version, %limit, "the tag `latest` is not there");
                Ok(())
            }
            tagged => tagged,
        },
        // Somebody may have taken it away.
        None => unless_gone(changes.untag(&repository, &latest)),
    }
}

pub(super) fn note<T>(
    serving: &Serving,
    by: &Principal,
    (what, agent, version): (&str, &AgentName, &str),
    done: &Result<T, Error>,
) {
    let refused = done.as_ref().err().map(ToString::to_string);
    let (who, outcome) = (&*by.name, refused.as_deref().unwrap_or("done"));
    serving.audit.note(Deed { who, what, agent: agent.as_str(), version, outcome });
}

pub(super) fn unwritten(failed: &Failed) -> Error {
    Error::Later(format!("the registry's document does not take it: {failed}"))
}
