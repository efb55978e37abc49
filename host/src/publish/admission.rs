//! Whether a version of an agent may be published, and what happens if it may.
//!
//! From the cheap to the dear: is the version still free, is the name the caller's, is it a component, who vouches for it;
//! then it is compiled and tried as it would be served, and its tools are compared with those that are served now. Only what
//! has passed everything is written down, all at once.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use semver::Version;

use super::audit::Deed;
use super::digest::{Algorithm, Digest};
use super::error::Error;
use super::index::versions::{AgentRow, State, VersionRow};
use super::manifests::Put;
use super::name::{Reference, Repository, Tag};
use super::report::Report;
use super::serving::Serving;
use super::signature::{self, Statement, Verdict};
use super::wasm::Layout;
use super::{Publishing, compat, manifest};
use crate::access::Principal;
use crate::agent::{self, Shape, Unfit};
use crate::manifest::AgentName;
use crate::registry::Record;

/// Bytes that a trial holds besides what its calls do: the schemas of two versions, of which two at a time are read.
const TRIAL_BYTES: u64 = 4 << 20;

/// A manifest that would become a version of an agent.
#[derive(Debug)]
pub struct Candidate {
    pub repository: Repository,
    pub agent: AgentName,
    pub tag: Tag,
    pub version: Version,
    pub media_type: String,
    pub bytes: Bytes,
    pub by: Arc<Principal>,
    /// Whether it may break whoever calls what is served now.
    pub force: bool,
}

impl Candidate {
    /// The version that a manifest would become under this reference, if it would.
    pub fn of(repository: &Repository, reference: &Reference) -> Option<(AgentName, Tag, Version)> {
        let Reference::Tag(tag) = reference else { return None };
        Some((repository.agent()?, tag.clone(), tag.version()?))
    }
}

/// Admits a version and serves it, or says why not.
///
/// # Errors
///
/// When it may not be published, or cannot be now: then nothing of it stays but the blobs that were pushed before.
pub async fn admit(publishing: &Publishing, candidate: Candidate) -> Result<Put, Error> {
    let serving = publishing.serving()?;
    let (by, agent, tag) = (candidate.by.clone(), candidate.agent.clone(), candidate.tag.clone());
    let admitted = admit_in_turn(publishing, serving, candidate).await;
    let refused = admitted.as_ref().err().map(ToString::to_string);
    let outcome = refused.as_deref().unwrap_or("done");
    serving.audit.note(Deed { who: &by.name, what: "publish", agent: agent.as_str(), version: tag.as_str(), outcome });
    admitted
}

async fn admit_in_turn(publishing: &Publishing, serving: &Serving, candidate: Candidate) -> Result<Put, Error> {
    let began = Instant::now();
    let Candidate { repository, agent, tag, version, media_type, bytes, by, force } = candidate;
    let (repository, tag) = (&repository, &tag);
    let record = manifest::read(&media_type, &bytes)?;
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let _alone = serving.turn_to_publish(&agent, tag, &by).await?;
    let early = {
        let _turn = serving.own_turn(&agent).await;
        before(publishing, serving, (repository, &agent, tag), &digest).await?
    };
    if let Before::Taken = early {
        return Ok(Put { digest, subject: None, report: None });
    }
    let layout = Layout::read(&bytes)?;
    let component = publishing.component(repository, &layout).await?;
    let statement = Statement { repository, version: tag.as_str(), manifest: &digest, component: &layout.component };
    let verdict = vouched(publishing, serving, &statement).await?;
    let few = serving.trial(&by).await;
    // Its schemas and those it is compared with, until it is decided.
    let _charge = publishing.0.replies.charge(TRIAL_BYTES)?;
    let component =
        agent::Version { version: tag.as_str().into(), component, digest: layout.component.hex().to_owned() };
    let tried = serving.agents.try_out(&agent, component).await.map_err(unfit)?;
    drop(few);
    compat::check(&tried.tools).map_err(Error::NotAdmitted)?;
    // What is served may have changed while this was on trial; from here on it does not.
    let _turn = serving.own_turn(&agent).await;
    let live = match before(publishing, serving, (repository, &agent, tag), &digest).await? {
        Before::Taken => return Ok(Put { digest, subject: None, report: None }),
        Before::Free { live } => live,
    };
    if let Some(live) = live.as_ref().filter(|live| !force && !is_major(live, &version)) {
        let before = publishing.shapes(&agent, live).await?;
        breaks_nobody((live, &before), (&version, &tried.tools))?;
    }
    let version_row = row_of((&digest, &layout), &by, &verdict, tried.admitted.measured);
    let shapes = tried.tools.clone();
    let put = publishing.write_version((repository, &agent, tag), (record, bytes), &version_row, shapes, &by).await?;
    let words = tried.words();
    let said = tried.admitted.offer.description.version.clone();
    let cap = serving.agents.add(tried);
    let goes_live = supersedes(&version, live.as_ref());
    let served = if goes_live {
        publishing.make_live(serving, &agent, tag.as_str(), words, true).await
    } else {
        publishing.settle_version(&agent, tag.as_str(), State::Published, false).await
    };
    if let Err(error) = served {
        publishing.take_version_back(serving, repository, &agent, tag).await;
        return Err(error);
    }
    let mut warnings = warnings(verdict, &said, tag);
    warnings.extend(unserved(&agent, serving.document.record(agent.as_str()).as_deref()));
    let report = Report::new((&agent, tag.as_str()), goes_live, &version_row, cap, began.elapsed(), warnings);
    Ok(Put { report: Some(report), ..put })
}

/// What there is before a version comes.
enum Before {
    /// The version itself, by the same manifest.
    Taken,
    Free {
        live: Option<Version>,
    },
}

/// Looks whether a version can come here, in the agent's turn.
async fn before(
    publishing: &Publishing,
    serving: &Serving,
    (repository, agent, tag): (&Repository, &AgentName, &Tag),
    digest: &Digest,
) -> Result<Before, Error> {
    publishing.bring_in_line(serving, agent).await?;
    let (row, known) = publishing.version(agent, tag).await?;
    is_own(repository, agent, row.as_ref())?;
    match known {
        Some(known) if known.manifest == digest.as_str() => return Ok(Before::Taken),
        Some(known) => return Err(Error::VersionTaken(tag.to_string(), known.manifest)),
        None => {}
    }
    let live = row.as_ref().and_then(|row| row.live.as_deref()).and_then(|live| Version::parse(live).ok());
    Ok(Before::Free { live })
}

/// What is written down of a version that is on its way.
fn row_of(
    (manifest, layout): (&Digest, &Layout),
    by: &Principal,
    verdict: &Verdict,
    measured: agent::Measured,
) -> VersionRow {
    VersionRow {
        manifest: manifest.to_string(),
        component: layout.component.to_string(),
        bytes: layout.bytes,
        by: by.name.to_string(),
        published: super::now(),
        state: State::Pending,
        why: None,
        signed: *verdict == Verdict::Signed,
        cold_start_us: u64::try_from(measured.cold_start.as_micros()).unwrap_or(u64::MAX),
        memory_peak: measured.memory_peak,
        memory_initial: measured.memory_initial,
    }
}

/// What its publisher should know although it was taken.
fn warnings(verdict: Verdict, said: &str, tag: &Tag) -> Vec<String> {
    let unsigned = match verdict {
        Verdict::Warned(why) => Some(why),
        Verdict::Signed | Verdict::Unasked => None,
    };
    let other =
        (said != tag.as_str()).then(|| format!("it says of itself that it is {said:?}: clients are told {tag}"));
    unsigned.into_iter().chain(other).collect()
}

/// What keeps an agent from being served, whatever is published.
fn unserved(agent: &AgentName, record: Option<&Record>) -> Option<String> {
    let state = record?.withheld()?;
    Some(format!("`{agent}` is {state} in the registry, and not served: `stockade enable {agent}` changes that"))
}

/// Whether whoever calls one version can call the next.
fn breaks_nobody((live, before): (&Version, &[Shape]), (version, tools): (&Version, &[Shape])) -> Result<(), Error> {
    let breaks = compat::breaks(before, tools);
    if breaks.is_empty() {
        return Ok(());
    }
    Err(Error::NotAdmitted(format!(
        "{version} breaks whoever calls {live}: {}; publish it as {}, or with `--force`",
        breaks.join("; "),
        next_major(live)
    )))
}

/// Whether an agent's versions are published to this repository.
fn is_own(repository: &Repository, agent: &AgentName, row: Option<&AgentRow>) -> Result<(), Error> {
    match row {
        Some(row) if row.repository != repository.as_str() => Err(Error::NotYours(format!(
            "`{agent}` belongs to the repository `{}`, which published it first: choose another name",
            row.repository
        ))),
        _ => Ok(()),
    }
}

async fn vouched(publishing: &Publishing, serving: &Serving, statement: &Statement<'_>) -> Result<Verdict, Error> {
    let signatures = publishing.signatures(statement.repository, statement.manifest).await?;
    statement.judge(&serving.signatures, &signatures).map_err(|why| {
        let form = signature::ARTIFACT_TYPE;
        Error::NotYours(format!("{why}: push a signature as a referrer of the type {form} first"))
    })
}

fn unfit(unfit: Unfit) -> Error {
    match unfit {
        Unfit::Later(why) => Error::Later(why),
        Unfit::Never(why) => Error::NotAdmitted(why),
    }
}

/// Whether it may break whoever calls the one before (Semantic Versioning 2.0.0, 4 and 8).
fn is_major(live: &Version, new: &Version) -> bool {
    new.major > live.major || (live.major == 0 && new.major == 0 && new.minor > live.minor)
}

fn next_major(live: &Version) -> String {
    match live.major {
        0 => format!("0.{}.0", live.minor + 1),
        major => format!("{}.0.0", major + 1),
    }
}

/// Whether a version is served under the bare name as soon as it is there: what is newer, and no release gives way to what
/// only leads up to one.
fn supersedes(new: &Version, live: Option<&Version>) -> bool {
    live.is_none_or(|live| new > live && (new.pre.is_empty() || !live.pre.is_empty()))
}

#[cfg(test)]
mod tests;
