//! What the index keeps, and the sums and limits of it.

use tempfile::TempDir;

use super::tables::{Need, ROW_BYTES, Record, on_disk};
use super::{Changes, Index, now};
use crate::manifest::{Manifest, UploadLimits};
use crate::publish::digest::{Algorithm, Digest};
use crate::publish::error::Error;
use crate::publish::name::{Repository, Tag};
use crate::publish::signature::{ARTIFACT_TYPE, SIGNATURES_MAX};

struct Case {
    folder: TempDir,
    index: Index,
}

fn limits(yaml: &str) -> UploadLimits {
    let folder = TempDir::new().unwrap();
    let yaml = format!("memory: 512M\nuploads: {{ {yaml} }}");
    Manifest::parse(&yaml, folder.path()).unwrap_or_else(|errors| panic!("{errors}")).uploads
}

fn opened(folder: &TempDir, limits: UploadLimits) -> anyhow::Result<Index> {
    let path = folder.path().join("index");
    let file = move || std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    Index::open(file, limits)
}

impl Case {
    fn new(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let index = opened(&folder, limits(yaml)).unwrap();
        Self { folder, index }
    }

    fn change<T>(&self, change: impl FnOnce(&Changes<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.index.change(change)
    }

    fn push(&self, repository: &Repository, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        self.change(|changes| {
            changes.add_blob(&digest, bytes.len() as u64)?;
            changes.link(repository, &digest, "ann")?;
            Ok(digest.clone())
        })
    }

    /// Pushes a manifest that needs these blobs, and tags it.
    fn put(&self, repository: &Repository, bytes: &[u8], needs: &[&Digest], tag: &str) -> Result<Digest, Error> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let need = |digest: &&Digest| Need { digest: digest.to_string(), size: 1, is_manifest: false };
        let record = Record {
            media_type: "text/plain".into(),
            size: bytes.len() as u64,
            subject: None,
            artifact_type: None,
            annotations: None,
            needs: needs.iter().map(need).collect(),
        };
        self.change(|changes| {
            changes.add_blob(&digest, bytes.len() as u64)?;
            changes.put_manifest(repository, &digest, &record, "ann")?;
            changes.tag(repository, &tag.parse::<Tag>().unwrap(), &digest)?;
            Ok(digest.clone())
        })
    }

    fn namespace(&self, repository: &Repository) -> u64 {
        self.index.read(|view| view.namespace_bytes(repository.namespace())).unwrap()
    }

    fn has(&self, repository: &Repository, digest: &Digest) -> bool {
        self.index.read(|view| view.has_link(repository, digest)).unwrap()
    }

    /// Removes all that is unused.
    fn sweep(&self) {
        let later = now() + 1;
        self.change(|changes| {
            let due = changes.idle_links(later, 100)?;
            due.iter().try_for_each(|(repository, digest)| changes.unlink(repository, digest))
        })
        .unwrap();
        self.change(|changes| changes.forget_blobs(later + 1_000, 100, |_| Ok(()))).unwrap();
    }
}

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let case = Case::new("");
    let (one, other) = (repository("team/one"), repository("team/other"));
    let blob = case.push(&one, b"x").unwrap();
    assert_eq!((case.index.total(), case.namespace(&one)), (2 * ROW_BYTES, 2 * ROW_BYTES));
    case.push(&other, b"x").unwrap();
    assert_eq!(
        (case.index.total(), case.namespace(&one)),
        (3 * ROW_BYTES, 4 * ROW_BYTES),
        "the blob itself is there once"
    );
    let manifest = case.put(&one, b"{}", &[&blob], "latest").unwrap();
    assert_eq!(case.put(&one, b"{}", &[&blob], "latest").unwrap(), manifest, "again is nothing new");
    assert_eq!(case.index.read(|view| view.owner(&one)).unwrap().as_deref(), Some("ann"));

    let used = case.change(|changes| changes.unlink(&one, &blob)).unwrap_err();
    assert!(matches!(used, Error::InUse(_)), "{used}");
    case.sweep();
    assert!(case.has(&one, &blob) && case.has(&one, &manifest) && !case.has(&other, &blob));
    assert!(!case.index.read(|view| view.has_repository(&other)).unwrap(), "with nothing in it, it is none");

    case.change(|changes| changes.remove_manifest(&one, &manifest)).unwrap();
    assert!(case.has(&one, &blob) && !case.has(&one, &manifest));
    assert_eq!(case.index.read(|view| view.tags(&one, "", 9)).unwrap().tags.len(), 0);
    case.sweep();
    assert_eq!((case.index.total(), case.namespace(&one)), (0, 0));
    assert!(!case.index.read(|view| view.has_blob(&blob)).unwrap());
}

#[test]
fn a_failed_change_changes_nothing() {
    let case = Case::new("");
    let one = repository("one");
    let absent = Digest::of(Algorithm::Sha256, b"y");
    let blob = case.push(&one, b"x").unwrap();
    let before = (case.index.total(), case.namespace(&one));
    let missing = case.put(&one, b"{}", &[&blob, &absent], "latest").unwrap_err();
    assert!(matches!(&missing, Error::ManifestBlobUnknown(digest) if *digest == absent), "{missing}");
    let elsewhere = case.put(&repository("two"), b"{}", &[&blob], "latest").unwrap_err();
    assert!(matches!(elsewhere, Error::ManifestBlobUnknown(_)), "a blob is seen where it was pushed alone");
    let mut undone = false;
    let failed = case.index.change_or(|_| Err::<(), _>(Error::DiskFull), || undone = true);
    assert!(matches!(failed, Err(Error::DiskFull)) && undone);
    // The library is opened again, for whoever reads as for whoever writes.
    assert_eq!((case.index.total(), case.namespace(&one)), before);
    case.push(&one, b"z").unwrap();
}

#[test]
fn every_limit_names_itself() {
    let refused = |yaml: &str, act: &dyn Fn(&Case) -> Result<Digest, Error>| {
        let case = Case::new(yaml);
        let blob = case.push(&repository("team/one"), b"x").unwrap();
        case.put(&repository("team/one"), b"{}", &[&blob], "latest").unwrap();
        let before = case.index.total();
        let error = act(&case).unwrap_err();
        assert_eq!(case.index.total(), before);
        let limit = error.limit().unwrap_or_else(|| panic!("{error}"));
        (limit.name, limit.cap, limit.used)
    };
    let one = repository("team/one");
    let put = |case: &Case, bytes: &[u8], tag: &str| case.put(&one, bytes, &[], tag);
    assert_eq!(
        refused("repositories: 1", &|case| case.push(&repository("team/two"), b"y")),
        ("uploads.repositories", 1, 1)
    );
    assert_eq!(refused("manifests: 1", &|case| put(case, b"[]", "latest")), ("uploads.manifests", 1, 1));
    assert_eq!(refused("tags: 1", &|case| put(case, b"{}", "newest")), ("uploads.tags", 1, 1));
    let (name, cap, used) = refused("namespace_disk: 64K", &|case| case.push(&one, &[7; 48 << 10]));
    assert_eq!((name, cap), ("uploads.namespace_disk", 64 << 10));
    assert!(used > 4 * ROW_BYTES && used < 8 * ROW_BYTES, "{used}");
    let (name, cap, _) = refused("disk: 1M", &|case| case.push(&repository("other/one"), &[7; 1 << 20]));
    assert_eq!((name, cap), ("uploads.disk", 1 << 20));
    assert_eq!((on_disk(0), on_disk(1), on_disk(ROW_BYTES)), (0, ROW_BYTES, ROW_BYTES));
}

#[test]
fn all_signatures_are_looked_at_so_they_are_few() {
    let (case, one) = (Case::new(""), repository("team/one"));
    let about = Digest::of(Algorithm::Sha256, b"a version");
    let refer = |number: usize, kind: &str| {
        let bytes = format!("{kind} {number}");
        let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
        let record = Record {
            media_type: "text/plain".into(),
            size: bytes.len() as u64,
            subject: Some(about.to_string()),
            artifact_type: Some(kind.into()),
            annotations: None,
            needs: Vec::new(),
        };
        case.change(|changes| {
            changes.add_blob(&digest, record.size)?;
            changes.put_manifest(&one, &digest, &record, "ann")
        })
    };
    (0..100).try_for_each(|number| refer(number, "text/other")).unwrap();
    (0..SIGNATURES_MAX).try_for_each(|number| refer(number, ARTIFACT_TYPE)).unwrap();
    let limit = refer(SIGNATURES_MAX, ARTIFACT_TYPE).unwrap_err().limit().expect("a limit");
    assert_eq!((limit.name, limit.cap, limit.used), ("signatures", 16, 16));
    refer(0, ARTIFACT_TYPE).expect("the same one again");
    refer(100, "text/other").expect("other referrers are as many as there are manifests");
    let found = case.index.read(|view| view.referrers_of_type((&one, &about), ARTIFACT_TYPE, SIGNATURES_MAX)).unwrap();
    assert_eq!(found.len(), SIGNATURES_MAX);
}

#[test]
fn lists_come_in_order_and_in_parts() {
    let case = Case::new("");
    let (one, other) = (repository("a"), repository("a-b"));
    for tag in ["b", "a", "C", "_"] {
        case.put(&one, b"{}", &[], tag).unwrap();
        case.put(&other, b"{}", &[], &format!("other-{tag}")).unwrap();
    }
    let list = |last: &str, count| case.index.read(|view| view.tags(&one, last, count)).unwrap();
    assert_eq!((list("", 9).tags, list("", 9).has_more), (["C", "_", "a", "b"].map(String::from).to_vec(), false));
    assert_eq!((list("C", 2).tags, list("C", 2).has_more), (["_", "a"].map(String::from).to_vec(), true));
    assert_eq!((list("a", 9).tags, list("b", 9).tags.len()), (vec!["b".to_owned()], 0));
    assert_eq!((list("", 0).tags.len(), list("", 0).has_more), (0, true));
}

#[test]
fn it_is_there_after_a_restart_and_used_by_one_host() {
    let Case { folder, index } = Case::new("");
    assert!(opened(&folder, limits("")).unwrap_err().to_string().contains("another stockade"));
    let case = Case { folder, index };
    let blob = case.push(&repository("one"), b"x").unwrap();
    let (total, Case { folder, index }) = (case.index.total(), case);
    drop(index);
    let case = Case { index: opened(&folder, limits("")).unwrap(), folder };
    assert_eq!((case.index.total(), case.has(&repository("one"), &blob)), (total, true));
    drop(case.index);
    std::fs::write(case.folder.path().join("index"), "not a database").unwrap();
    assert!(format!("{:#}", opened(&case.folder, limits("")).unwrap_err()).contains("cannot be read"));
}
