//! Admission of a component: loaded, fit for its caps, and tried. What is found out goes into its [`Offer`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::cache::Digest;
use super::changes::Kinds;
use super::contract::{Description, Icon};
use super::known::Subject;
use super::shelf::{LoadError, Loaded};
use super::{Agent, Caller, Failure, NOTHING_PUBLISHED, Offer, Standing};
use crate::registry::uri;

/// Time for an agent to describe itself and to list its names.
const TRIAL_MAX: Duration = Duration::from_secs(30);

/// Bytes of what an agent says of itself, which the host keeps for as long as it is served.
const DESCRIPTION_BYTES_MAX: usize = 64 << 10;

/// How often it is tried to load an agent for which there is no memory now, and the pause between two tries.
const LOAD_TRIES: u32 = 30;
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// MCP revision that a guest is told of when the host itself calls.
pub(super) const OWN_REVISION: &str = "2026-07-28";

/// What was found out about a component.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub offer: Arc<Offer>,
    pub measured: Measured,
}

/// What a component has cost on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// A fresh instance, and its first answer.
    pub cold_start: Duration,
    /// Most guest memory it held in any call, in bytes.
    pub memory_peak: u64,
    /// Bytes of memory it declares to begin with.
    pub memory_initial: u64,
}

/// A tool, as far as callers of it depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub name: String,
    /// JSON Schema of its arguments, and of what it answers.
    pub input: String,
    pub output: Option<String>,
}

/// Why a component is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is no memory to try it now.
    #[error("{0}; try again")]
    Later(String),
    #[error("{0}")]
    Never(String),
}

impl Agent {
    /// Loads the agent, and remembers what came of it.
    pub(super) async fn settle(self: &Arc<Self>) {
        let standing = match self.examine().await {
            Ok(offer) => Standing::Ready(offer),
            Err(unfit) => self.unfit(&unfit),
        };
        self.stand(standing);
    }

    /// Loads the agent because somebody asks for it. What could not be done for lack of room is tried again when somebody asks
    /// again.
    pub(super) async fn settle_if_now(self: &Arc<Self>) {
        match self.examine().await {
            Ok(offer) => self.is_now(Standing::Ready(offer)),
            Err(Unfit::Later(reason)) => {
                tracing::warn!(agent = self.name(), version = self.published(), reason, "cannot be loaded now");
                self.is_now(Standing::Loading);
            }
            Err(unfit) => self.is_now(self.unfit(&unfit)),
        }
    }

    async fn examine(self: &Arc<Self>) -> Result<Arc<Offer>, Unfit> {
        if self.release.is_none() {
            return Err(Unfit::Never(NOTHING_PUBLISHED.into()));
        }
        let on_trial = self.clone();
        // A task of its own, so that even a panic is this agent's alone.
        let admitted = match tokio::spawn(async move { on_trial.admit(None).await }).await {
            Ok(admitted) => admitted?,
            Err(error) => return Err(Unfit::Never(format!("the host failed while loading it: {error}"))),
        };
        let (version, digest) = (&*admitted.offer.version, &admitted.offer.digest[..12]);
        tracing::info!(agent = self.name(), version, digest, "agent loaded");
        Ok(admitted.offer)
    }

    fn unfit(&self, unfit: &Unfit) -> Standing {
        // That nothing was published yet is no failure.
        if self.release.is_some() {
            tracing::error!(agent = self.name(), version = self.published(), reason = %unfit, "agent refused");
        }
        Standing::Refused(unfit.to_string().into())
    }

    /// The version it was published as, for the log.
    fn published(&self) -> Option<&str> {
        self.published_version().map(|version| &**version)
    }

    /// Stands as an earlier trial found it, if that is still so.
    pub(super) fn remember(&self) -> bool {
        let Some(offer) = self.recall() else { return false };
        self.is_now(Standing::Ready(Arc::new(offer)));
        true
    }

    /// Stands like this from now on, and tells nobody.
    pub(super) fn is_now(&self, standing: Standing) {
        if let Standing::Ready(offer) = &standing {
            let mut component = self.component.write().unwrap_or_else(PoisonError::into_inner);
            if component.as_ref().is_none_or(|digest| digest.0 != offer.digest) {
                *component = Some(Arc::new(Digest(offer.digest.clone())));
            }
        }
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Whether its component is still to be pulled.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.release.as_ref().is_some_and(|release| release.is_missing(&self.home.ceiling))
    }

    /// Lets it be called from now on, or says why not.
    pub(super) fn stand(&self, standing: Standing) {
        // Nobody calls it before what the document says of it is in force.
        self.take_terms();
        self.is_now(standing);
        self.announce();
    }

    /// Everything of it may be other than it was.
    pub(super) fn announce(&self) {
        let (name, changes) = (&self.home.name, &self.home.means.changes);
        changes.lists_changed(name, Kinds::ALL);
        changes.of_host(&uri(name), false);
    }

    /// What an earlier trial found, if that is still so and compiled code is there.
    pub(super) fn recall(&self) -> Option<Offer> {
        let (release, means) = (self.release.as_ref()?, &self.home.means);
        let recalled = means.known.recall(release, &self.home.ceiling, SystemTime::now());
        let offer = recalled.filter(|offer| means.shelf.is_compiled(&offer.digest))?;
        let paid = means.shelf.lend(said_bytes(&offer.description) as u64).ok()?;
        Some(Offer { _charge: Some(paid), ..offer })
    }

    /// Loads the component, and waits a while for memory where that is all it lacks.
    async fn fetch_patiently(&self) -> Result<Arc<Loaded>, LoadError> {
        let release = self.release.as_ref().ok_or_else(|| anyhow::anyhow!(NOTHING_PUBLISHED))?;
        let mut tries = 0;
        loop {
            let fetched = self.home.means.shelf.fetch(release, None).await;
            tries += 1;
            match fetched {
                Err(error) if error.full_now().is_some() && tries < LOAD_TRIES => {
                    tracing::info!(agent = self.name(), reason = format!("{error:#}"), "waiting for memory to load it");
                    tokio::time::sleep(LOAD_PAUSE).await;
                }
                fetched => {
                    let loaded = fetched?;
                    // Its trial runs this, whatever its file may come to be.
                    let mut component = self.component.write().unwrap_or_else(PoisonError::into_inner);
                    *component = Some(loaded.digest.clone());
                    return Ok(loaded);
                }
            }
        }
    }

    /// Loads the component and puts it on trial; `tools` takes what its callers will depend on.
    pub(super) async fn admit(&self, tools: Option<&mut Vec<Shape>>) -> Result<Admitted, Unfit> {
        let spec = &self.home.ceiling;
        let subject = || self.release.as_ref().and_then(|release| Subject::of(release, spec, SystemTime::now()));
        let before = subject();
        let loaded = self.fetch_patiently().await.map_err(|error| match error.may_pass() {
            true => Unfit::Later(format!("{error:#}")),
            false => Unfit::Never(format!("{error:#}")),
        })?;
        let (memory_initial, cap) = (loaded.initial_memory, spec.memory);
        if memory_initial > cap {
            let text = format!("it needs {memory_initial} bytes of memory to start; its cap `memory` is {cap}");
            return Err(Unfit::Never(text));
        }
        let by = Arc::new(Caller::new("host".into(), OWN_REVISION));
        let trial = async {
            let (description, cold_start) = self.describe(&by).await?;
            self.look_through(&by, tools).await?;
            Ok((description, cold_start))
        };
        let (description, cold_start) = match tokio::time::timeout(TRIAL_MAX, trial).await {
            Ok(outcome) => outcome.map_err(|failure| trial_failed(&failure))?,
            Err(_) => {
                let text = format!("its description and lists took more than {} s", TRIAL_MAX.as_secs());
                return Err(Unfit::Never(text));
            }
        };
        let version = self.release.as_ref().map(|release| release.version_of(&description)).unwrap_or_default();
        let (bytes, most) = (said_bytes(&description), DESCRIPTION_BYTES_MAX);
        if bytes > most {
            let text = format!("its description has {bytes} bytes with all its parts; at most {most} are allowed");
            return Err(Unfit::Never(text));
        }
        let paid = self.home.means.shelf.lend(bytes as u64).map_err(|refusal| {
            Unfit::Later(format!("{refusal}: raise `memory`, or have fewer agents that say so much of themselves"))
        })?;
        let offer = Offer {
            _charge: Some(paid),
            version,
            description,
            digest: loaded.digest.0.clone(),
            resources: loaded.resources.is_some(),
            tools: loaded.tools.is_some(),
            prompts: loaded.prompts.is_some(),
            completion: loaded.completion.is_some(),
        };
        // What was exchanged meanwhile is not what was looked at.
        if let (Some(release), Some(before)) =
            (&self.release, before.filter(|before| subject().as_ref() == Some(before)))
        {
            self.home.means.known.note(release, before, &offer, memory_initial);
        }
        let memory_peak = self.memory_peak.load(Ordering::Relaxed);
        Ok(Admitted { offer: Arc::new(offer), measured: Measured { cold_start, memory_peak, memory_initial } })
    }
}

/// Bytes that an agent's words about itself take.
fn said_bytes(description: &Description) -> usize {
    let Description { title, description, version, instructions, website_url, icons, .. } = description;
    let optional = [instructions, website_url].map(|text| text.as_ref().map_or(0, String::len));
    let icon = |icon: &Icon| {
        let mime_type = icon.mime_type.as_ref().map_or(0, String::len);
        size_of::<Icon>()
            + icon.src.len()
            + mime_type
            + icon.sizes.iter().map(|size| size_of::<String>() + size.len()).sum::<usize>()
    };
    title.len()
        + description.len()
        + version.len()
        + optional.iter().sum::<usize>()
        + icons.iter().map(icon).sum::<usize>()
}

fn trial_failed(failure: &Failure) -> Unfit {
    match failure {
        Failure::Broken { reason, .. } => Unfit::Never(reason.clone()),
        Failure::Refused(_) => Unfit::Later(format!("its first call failed: {failure}")),
        // The host's own trouble, and not the component's.
        Failure::Stopped(limit) if limit.retry_after().is_some() => {
            Unfit::Later(format!("its first call failed: {failure}"))
        }
        other => Unfit::Never(format!("its first call failed: {other}")),
    }
}

#[cfg(test)]
mod tests;
