//! Rows of versions, in line with what the document says.

use tempfile::TempDir;

use super::super::digest::Algorithm;
use super::super::index::Index;
use super::super::index::tables::{Need, Record};
use super::super::name::Tag;
use super::*;

struct Case {
    _folder: TempDir,
    index: Index,
    repository: Repository,
}

impl Case {
    /// Versions of the agent `demo`, each of a manifest of its own unless it is said.
    fn new(versions: &[(&str, State, &str)], live: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let limits = Manifest::parse("memory: 512M", folder.path()).unwrap().uploads;
        let path = folder.path().join("index");
        let file = move || std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let index = Index::open(file, limits).unwrap();
        let case = Self { _folder: folder, index, repository: "demo".parse().unwrap() };
        case.change(|changes| {
            let blob = Digest::of(Algorithm::Sha256, b"x");
            changes.add_blob(&blob, 1)?;
            changes.link(&case.repository, &blob, "ann")?;
            let row = AgentRow { repository: "demo".into(), live: live.map(str::to_owned), ..AgentRow::default() };
            changes.set_agent("demo", &row)?;
            for (version, state, manifest) in versions {
                case.add(changes, (version, *state), manifest.as_bytes(), &blob)?;
            }
            Ok(())
        });
        case
    }

    fn add(
        &self,
        changes: &Changes<'_>,
        (version, state): (&str, State),
        manifest: &[u8],
        blob: &Digest,
    ) -> Result<(), Error> {
        let digest = Digest::of(Algorithm::Sha256, manifest);
        let record = Record {
            media_type: "text/plain".into(),
            size: manifest.len() as u64,
            subject: None,
            artifact_type: None,
            annotations: None,
            needs: vec![Need { digest: blob.to_string(), size: 1, is_manifest: false }],
        };
        changes.add_blob(&digest, record.size)?;
        changes.put_manifest(&self.repository, &digest, &record, "ann")?;
        changes.tag(&self.repository, &version.parse::<Tag>().unwrap(), &digest)?;
        let row = VersionRow {
            manifest: digest.to_string(),
            component: blob.to_string(),
            bytes: 1,
            by: "ann".into(),
            published: 1,
            state,
            why: None,
            signed: false,
            cold_start_us: 1,
            memory_peak: 1,
            memory_initial: 1,
        };
        changes.add_version((&self.repository, "demo", version), &row, &[])
    }

    fn change<T>(&self, change: impl FnOnce(&Changes<'_>) -> Result<T, Error>) -> T {
        self.index.change(change).unwrap()
    }

    fn settle(&self, said: &Said) -> Vec<String> {
        self.change(|changes| settle(changes, "demo", said))
    }

    /// What is served, and all versions with their states.
    fn found(&self) -> (Option<String>, Vec<(String, State)>) {
        let read = self.index.read(|view| Ok((view.agent("demo")?, view.versions("demo")?)));
        let (row, versions) = read.unwrap();
        let versions = versions.into_iter().map(|(version, known)| (version, known.state)).collect();
        (row.and_then(|row| row.live), versions)
    }

    fn tagged(&self, tag: &str) -> Option<Digest> {
        self.index.read(|view| view.tagged(&self.repository, &tag.parse().unwrap())).unwrap()
    }
}

/// What an entry says that has this version served, of this component.
fn said(version: &str, component: &[u8]) -> Said {
    Said::Version { version: version.to_owned(), digest: Digest::of(Algorithm::Sha256, component).to_string() }
}

const ALL: [(&str, State, &str); 3] =
    [("1.0.0", State::Published, "a"), ("1.1.0", State::Published, "b"), ("1.2.0", State::Pending, "c")];

#[test]
fn the_document_decides_what_is_served_and_what_has_arrived() {
    let published = |version: &str| (version.to_owned(), State::Published);
    // A crash before the document was written: it never was.
    let case = Case::new(&ALL, Some("1.1.0"));
    assert_eq!(case.settle(&said("1.1.0", b"x")), ["1.2.0"]);
    assert_eq!(case.found(), (Some("1.1.0".into()), vec![published("1.0.0"), published("1.1.0")]));
    assert_eq!(case.tagged("1.2.0"), None);
    // And after: it has arrived.
    let case = Case::new(&ALL, Some("1.1.0"));
    assert!(case.settle(&said("1.2.0", b"x")).is_empty());
    assert_eq!(case.found(), (Some("1.2.0".into()), ["1.0.0", "1.1.0", "1.2.0"].map(published).to_vec()));
    assert_eq!(case.tagged("latest"), case.tagged("1.2.0"));
    // Nothing is served, by somebody's will.
    case.settle(&Said::Nothing);
    assert_eq!((case.found().0, case.tagged("latest")), (None, None));
}

#[test]
fn a_document_that_is_lost_or_names_what_is_not_here_takes_nothing_away() {
    // The manifest had a file of its own served, which may call itself as a version is called.
    for said in [Said::NoEntry, said("7.0.0", b"x"), said("1.1.0", b"another")] {
        let case = Case::new(&ALL[..2], Some("1.0.0"));
        assert!(case.settle(&said).is_empty());
        assert_eq!((case.found().0.as_deref(), case.found().1.len()), (Some("1.0.0"), 2), "{said:?}");
    }
}

#[test]
fn versions_of_one_manifest_go_one_by_one_or_together() {
    let versions = [("1.0.0", State::Published, "same"), ("1.0.1", State::Published, "same")];
    let case = Case::new(&versions, Some("1.0.0"));
    let manifest = case.tagged("1.0.0").unwrap();
    case.change(|changes| remove(changes, &case.repository, "demo", "1.0.1"));
    assert_eq!((case.tagged("1.0.0"), case.tagged("1.0.1")), (Some(manifest.clone()), None));
    let named = case.index.read(|view| view.version_of(&case.repository, &manifest)).unwrap();
    assert_eq!(named.as_deref(), Some("1.0.0"));
    case.change(|changes| {
        case.add(changes, ("1.0.2", State::Published), b"same", &Digest::of(Algorithm::Sha256, b"x"))
    });
    assert_eq!(case.change(|changes| remove_all(changes, "demo")), ["1.0.0", "1.0.2"]);
    assert_eq!((case.found(), case.tagged("1.0.0"), case.tagged("1.0.2")), ((None, Vec::new()), None, None));
}
