//! The versions of an agent: tried before one is known here, served under the bare name when somebody says so, and each at
//! `name@version` for as long as it is known.
//!
//! A version in the place of another is another [`Agent`] in the same home. Calls that run hold the one that they began with,
//! and so end on it, reads that go on in a fresh instance included.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::admit::{Admitted, Shape, Unfit};
use super::home::Home;
use super::release::{Release, Version};
use super::roster::{Agents, terms_of};
use super::shelf::Hold;
use super::{Agent, Standing};
use crate::manifest::{AgentName, Component};

/// Versions of one agent that are made, besides the one under the bare name: each may hold a description of 64 KiB.
const MADE_MAX: usize = 8;

/// Older versions that are tried at once because somebody asks for them.
pub(super) const LOOKING_MAX: usize = 4;

/// The alias of what is served under the bare name.
const LATEST: &str = "latest";

/// What was published under a name.
#[derive(Debug, Clone)]
pub struct Published {
    pub name: AgentName,
    pub versions: Vec<Version>,
    /// The one that is served under the bare name.
    pub live: Option<Arc<str>>,
}

/// A version that has passed its trial and is not known to anybody yet. Nothing of it stays if it never is.
pub struct Candidate {
    agents: Agents,
    agent: Arc<Agent>,
    version: Version,
    pub admitted: Admitted,
    /// What its callers will depend on.
    pub tools: Vec<Shape>,
    is_added: bool,
    /// Until it is known.
    held: Option<Hold>,
}

/// All versions, by agent.
#[derive(Default)]
pub(super) struct Versions(Mutex<BTreeMap<Arc<str>, ByVersion>>);

type ByVersion = BTreeMap<Arc<str>, Slot>;

struct Slot {
    version: Version,
    /// Made when somebody asks for it.
    agent: Option<Arc<Agent>>,
}

impl Candidate {
    /// What it says of itself, for an entry that is made for it.
    pub fn words(&self) -> Vec<(&'static str, Value)> {
        super::enroll::own_words(&self.admitted.offer)
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.held = None;
        if !self.is_added {
            self.agents.discard(&Release::published(self.agent.name(), &self.version));
        }
    }
}

impl Published {
    pub(super) fn live(&self) -> Option<&Version> {
        let live = self.live.as_ref()?;
        self.versions.iter().find(|version| version.version == *live)
    }
}

impl Versions {
    pub fn new(published: &[Published]) -> Self {
        let versions = published.iter().map(|agent| {
            let slot = |version: &Version| (version.version.clone(), Slot { version: version.clone(), agent: None });
            (agent.name.as_str().into(), agent.versions.iter().map(slot).collect())
        });
        Self(Mutex::new(versions.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, ByVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agents {
    /// Puts a component on trial as a version of an agent, under the caps it would have, without anybody else seeing it.
    ///
    /// # Errors
    ///
    /// When it is not fit to be served, or cannot be tried now.
    pub async fn try_out(&self, name: &AgentName, version: Version) -> Result<Candidate, Unfit> {
        self.may_be_published(name).map_err(Unfit::Never)?;
        let front = self.roll().find(name.as_str()).cloned();
        let home = front.map_or_else(|| self.new_home(name), |front| front.home.clone());
        let release = Release::published(name.as_str(), &version);
        let mut held = release.digest.as_ref().map(|digest| self.0.means.shelf.hold(digest));
        let agent = Agent::new(home, Some(release.clone()));
        let mut tools = Vec::new();
        let admitted = agent.admit(Some(&mut tools)).await.inspect_err(|_| {
            held = None;
            self.discard(&release);
        })?;
        agent.is_now(Standing::Ready(admitted.offer.clone()));
        Ok(Candidate { agents: self.clone(), agent, version, admitted, tools, is_added: false, held })
    }

    /// Whether publishers say what an agent is.
    ///
    /// # Errors
    ///
    /// When the manifest does.
    pub fn may_be_published(&self, name: &AgentName) -> Result<(), String> {
        match self.roll().find(name.as_str()) {
            Some(front) if front.home.ceiling.component != Component::Published => Err(format!(
                "the manifest says which component `{name}` is; `component: published` there lets publishers bring it"
            )),
            _ => Ok(()),
        }
    }

    fn new_home(&self, name: &AgentName) -> Arc<Home> {
        let spec = self.0.published.clone();
        let line = self.0.means.door.open(terms_of(&spec));
        Home::new(&self.0.means, name, (spec, false), line)
    }

    /// Makes a version known that was on trial: from now on it can be called by its address, and be served. Answers with its
    /// cap, in bytes.
    pub fn add(&self, mut candidate: Candidate) -> u64 {
        candidate.is_added = true;
        let (mut agent, version) = (candidate.agent.clone(), candidate.version.clone());
        let cap = agent.spec().memory;
        let mut versions = self.0.versions.lock();
        match self.roll().find(agent.name()) {
            // It came while this was on trial, and all versions share one home.
            Some(front) if !Arc::ptr_eq(&front.home, &agent.home) => {
                let standing = agent.standing();
                agent = Agent::new(front.home.clone(), agent.release.clone());
                agent.is_now(standing);
            }
            Some(_) => {}
            None => {
                let front = Agent::new(agent.home.clone(), None);
                front.stand(Standing::Refused(super::NOTHING_PUBLISHED.into()));
                self.enlist(front);
            }
        }
        let of_name = versions.entry(agent.home.name.clone()).or_default();
        make_room(of_name);
        of_name.insert(version.version.clone(), Slot { version, agent: Some(agent) });
        cap
    }

    /// A version that can be called at once.
    ///
    /// # Errors
    ///
    /// When there is no such version, or it cannot be loaded.
    pub async fn prepare(&self, name: &str, version: &str) -> Result<Arc<Agent>, String> {
        let agent = self.made(name, version).ok_or_else(|| format!("`{name}` has no version {version}"))?;
        let _alone = agent.settling.lock().await;
        if !matches!(agent.standing(), Standing::Ready(_)) && !agent.remember() {
            agent.settle_if_now().await;
        }
        match agent.standing() {
            Standing::Ready(_) => {}
            Standing::Refused(reason) => {
                return Err(format!("version {version} of `{name}` cannot be loaded: {reason}"));
            }
            Standing::Loading => return Err(format!("version {version} of `{name}` cannot be loaded now")),
        }
        Ok(agent.clone())
    }

    /// Serves a version, which was [prepared](Self::prepare), under its agent's bare name, on probation if it is a new one;
    /// running calls end on the one they began with.
    pub fn serve(&self, agent: &Arc<Agent>, is_new: bool) {
        if is_new {
            agent.probation.begin(self.0.troubles.clone());
        }
        {
            let mut versions = self.0.versions.lock();
            let front = self.roll().find(agent.name()).cloned();
            // What was served is not forgotten: going back to it needs no trial.
            if let Some(before) = front.filter(|front| !Arc::ptr_eq(front, agent))
                && let Some(of_name) = versions.get_mut(agent.name())
                && before.published_version().is_some_and(|version| of_name.contains_key(version))
            {
                make_room(of_name);
                let slot = before.published_version().and_then(|version| of_name.get_mut(version));
                slot.expect("it was looked for").agent = Some(before);
            }
            self.enlist(agent.clone());
        }
        agent.take_terms();
        agent.announce();
    }

    /// Serves nothing under an agent's bare name: its versions stay where they are.
    pub fn withdraw(&self, name: &str) {
        let Some(front) = self.roll().find(name).cloned() else { return };
        let empty = Agent::new(front.home.clone(), None);
        self.enlist(empty.clone());
        empty.stand(Standing::Refused(super::NOTHING_PUBLISHED.into()));
    }

    /// Forgets a version that is not served under the bare name; an agent of which it was the last one, too.
    pub fn remove(&self, name: &str, version: &str) {
        let removed = {
            let mut versions = self.0.versions.lock();
            let Some(of_name) = versions.get_mut(name) else { return };
            let removed = of_name.remove(version);
            if of_name.is_empty() {
                versions.remove(name);
                if self.roll().find(name).is_some_and(|front| !front.home.fixed) {
                    self.strike(name);
                }
            }
            removed
        };
        // Outside the lock, which callers take: files are removed.
        if let Some(Slot { version, .. }) = removed {
            self.discard(&Release::published(name, &version));
        }
    }

    /// Forgets what was made of a release that is no more, but for code that others run as well.
    fn discard(&self, release: &Release) {
        if let Some(digest) = &release.digest {
            let is_served = |agent: &Arc<Agent>| agent.component().as_deref() == Some(digest);
            if !self.all_versions().0.contains(&digest.0) && !self.roll().iter().any(is_served) {
                self.0.means.shelf.discard(digest);
            }
        }
        self.0.means.known.forget(release);
    }

    /// Whether an agent has this version, and it is this component.
    pub(super) fn has_version(&self, name: &str, version: &str, digest: &str) -> bool {
        let versions = self.0.versions.lock();
        let slot = versions.get(name).and_then(|of_name| of_name.get(version));
        slot.is_some_and(|slot| digest.strip_prefix("sha256:") == Some(&*slot.version.digest))
    }

    /// Digests of the components of all versions, and how they are called: for the one who cleans up.
    pub(super) fn all_versions(&self) -> (HashSet<String>, HashSet<Arc<str>>) {
        let versions = self.0.versions.lock();
        let slots = versions.iter().flat_map(|(name, of_name)| of_name.values().map(move |slot| (name, &slot.version)));
        slots.map(|(name, version)| (version.digest.clone(), Release::published(name, version).key)).unzip()
    }

    /// The agent in this version, or the version that this alias stands for.
    pub(super) fn version(&self, name: &str, wanted: &str) -> Option<Arc<Agent>> {
        let front = self.roll().find(name).cloned()?;
        if wanted == LATEST || front.published_version().is_some_and(|version| **version == *wanted) {
            return Some(front);
        }
        let record = self.0.means.document.record(name);
        let aliased = record.as_ref().and_then(|record| record.get("aliases").get(wanted)?.as_str());
        let agent = self.made(name, aliased.unwrap_or(wanted))?;
        if matches!(agent.standing(), Standing::Loading) {
            self.look_at(&agent);
        }
        Some(agent)
    }

    /// Finds out what a version offers that nobody has asked for since the host started: at once, if an earlier start knew
    /// it; else whoever asks comes again.
    fn look_at(&self, agent: &Arc<Agent>) {
        if agent.remember() {
            return;
        }
        // Few at a time, and each once, however many ask: who is turned away asks again.
        let Ok(place) = self.0.looking.clone().try_acquire_owned() else { return };
        let agent = agent.clone();
        tokio::spawn(async move {
            let _place = place;
            let Ok(_alone) = agent.settling.try_lock() else { return };
            if matches!(agent.standing(), Standing::Loading) {
                agent.settle_if_now().await;
            }
        });
    }

    /// A version as an agent, made now if it was not.
    fn made(&self, name: &str, version: &str) -> Option<Arc<Agent>> {
        let roll = self.roll();
        let front = roll.find(name)?;
        if front.published_version().is_some_and(|served| **served == *version) {
            return Some(front.clone());
        }
        let mut versions = self.0.versions.lock();
        let of_name = versions.get_mut(name)?;
        let slot = of_name.get(version)?;
        if let Some(agent) = &slot.agent {
            return Some(agent.clone());
        }
        let agent = Agent::new(front.home.clone(), Some(Release::published(name, &slot.version)));
        make_room(of_name);
        of_name.get_mut(version)?.agent = Some(agent.clone());
        Some(agent)
    }
}

/// Makes room for one more version that is made: whoever calls one of the others holds it for that long, and whoever asks for it
/// next makes it anew.
fn make_room(of_name: &mut ByVersion) {
    if of_name.values().filter(|slot| slot.agent.is_some()).count() >= MADE_MAX {
        of_name.values_mut().for_each(|slot| slot.agent = None);
    }
}
