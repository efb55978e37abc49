//! Publishing without HTTP: what stays on disk, and what does not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use stockade_ledger::{Ledger, Spec};
use tempfile::TempDir;
use tokio::sync::watch;

use super::digest::{Algorithm, Digest};
use super::error::Error;
use super::name::{Reference, Repository};
use super::{AT_WORK_MAX, Paying, Publishing};
use crate::access::Principal;
use crate::manifest::{Manifest, Role};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

struct Case {
    data: TempDir,
    publishing: Publishing,
    ledger: Ledger,
    by: Arc<Principal>,
    repository: Repository,
}

fn open(data: &Path, ledger: &Ledger, yaml: &str) -> Publishing {
    let yaml = format!("memory: 512M\nuploads: {{ {yaml} }}");
    let limits = Manifest::parse(&yaml, data).unwrap_or_else(|errors| panic!("{errors}")).uploads;
    let account =
        |name: &str| ledger.account(Spec { name: name.into(), ceiling: ledger.snapshot().lendable, floor: 0 }).unwrap();
    Publishing::open(data, limits, Paying { uploads: account("uploads"), replies: account("replies") }).unwrap()
}

impl Case {
    fn new(yaml: &str) -> Self {
        let data = TempDir::new().unwrap();
        let ledger = Ledger::new(4 << 20);
        let publishing = open(data.path(), &ledger, yaml);
        let by = Arc::new(Principal::anonymous(100).in_role(Role::Operator));
        Self { data, publishing, ledger, by, repository: "team/one".parse().unwrap() }
    }

    async fn push(&self, bytes: &[u8], digest: &Digest) -> Result<(), Error> {
        let id = self.publishing.begin(&self.repository, &self.by).await?;
        let mut receiving = self.publishing.resume(&self.repository, &id, &self.by).await?;
        receiving.take(bytes).await?;
        receiving.finish(digest).await
    }

    fn files(&self, below: &str) -> usize {
        std::fs::read_dir(self.data.path().join("oci").join(below)).unwrap().count()
    }

    /// Waits until nothing is left of any upload.
    async fn assert_nothing_open(&self) {
        while self.ledger.snapshot().used > 0 || self.files("uploads") > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!((self.publishing.open_uploads(), self.publishing.0.uploads.staged()), (0, 0));
    }
}

#[tokio::test]
async fn a_blob_is_what_its_digest_says() {
    let case = Case::new("");
    let bytes: Vec<u8> = (0..500_000u32).map(|number| number.to_le_bytes()[1]).collect();
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, &bytes);
        case.push(&bytes, &digest).await.unwrap();
        let blob = Arc::new(case.publishing.blob(&case.repository, &digest).await.unwrap());
        let (mut read, mut at) = (Vec::new(), 0);
        while at < blob.bytes {
            let piece = case.publishing.piece(&blob, at, u64::MAX).await.unwrap();
            at += piece.len() as u64;
            read.extend_from_slice(&piece);
        }
        assert!(read == bytes);
        let elsewhere = case.publishing.blob(&"team/two".parse().unwrap(), &digest).await.unwrap_err();
        assert!(matches!(elsewhere, Error::NameUnknown(_)), "{elsewhere}");
    }
    let wrong = case.push(&bytes, &Digest::of(Algorithm::Sha512, b"other")).await.unwrap_err();
    assert!(matches!(wrong, Error::DigestDiffers { .. }), "{wrong}");
    case.assert_nothing_open().await;
    assert_eq!((case.files("blobs/sha256"), case.files("blobs/sha512")), (1, 1));
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_the_upload_to_the_next_unless_it_is_doomed() {
    let case = Case::new("");
    let id = case.publishing.begin(&case.repository, &case.by).await.unwrap();
    let resume = || case.publishing.resume(&case.repository, &id, &case.by);
    let mut receiving = resume().await.unwrap();
    receiving.take(&[7; 200_000]).await.unwrap();
    assert!(matches!(resume().await, Err(Error::UploadBusy)));
    drop(receiving);
    assert_eq!(case.publishing.received(&case.repository, &id, &case.by).await.unwrap(), 128 << 10, "whole pieces");
    let other = Arc::new(Principal::anonymous(100));
    let theirs = case.publishing.resume(&case.repository, &id, &other).await;
    assert!(matches!(theirs, Err(Error::UploadUnknown)), "an upload is its owner's");
    let mut receiving = resume().await.unwrap();
    receiving.doom();
    drop(receiving);
    assert!(matches!(resume().await, Err(Error::UploadUnknown)));
    case.assert_nothing_open().await;
}

#[tokio::test]
async fn limits_refuse_while_bytes_come() {
    let refusal = async |yaml: &str, bytes: usize| {
        let case = Case::new(yaml);
        let bytes = vec![0; bytes];
        let error = case.push(&bytes, &Digest::of(Algorithm::Sha256, &bytes)).await.unwrap_err();
        case.assert_nothing_open().await;
        assert_eq!((case.files("blobs/sha256"), case.publishing.0.index.total()), (0, 0));
        error.limit().unwrap_or_else(|| panic!("{error}")).name
    };
    assert_eq!(refusal("blob_bytes_max: 100K", 200_000).await, "uploads.blob_bytes_max");
    assert_eq!(refusal("namespace_disk: 100K", 200_000).await, "uploads.namespace_disk");
    assert_eq!(refusal("disk: 1M", 2_000_000).await, "uploads.disk");

    let case = Case::new("open: 2");
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(case.publishing.begin(&case.repository, &case.by).await.unwrap());
    }
    let third = case.publishing.begin(&case.repository, &case.by).await.unwrap_err();
    assert!(third.to_string().starts_with("limit `uploads.open` of 2 uploads: 2 used, 1 wanted"), "{third}");
    case.publishing.cancel(&case.repository, &open[0], &case.by).await.unwrap();
    case.publishing.begin(&case.repository, &case.by).await.unwrap();
    case.publishing.end();
    case.assert_nothing_open().await;
}

#[tokio::test]
async fn what_a_crash_left_is_removed() {
    let case = Case::new("");
    let digest = Digest::of(Algorithm::Sha256, b"x");
    case.push(b"x", &digest).await.unwrap();
    let stray = Digest::of(Algorithm::Sha256, b"stray");
    let oci = case.data.path().join("oci");
    std::fs::write(oci.join("blobs/sha256").join(stray.hex()), "stray").unwrap();
    std::fs::write(oci.join("uploads/left"), "half").unwrap();
    let Case { data, publishing, ledger, .. } = case;
    drop(publishing);
    let publishing = open(data.path(), &ledger, "");
    assert_eq!(std::fs::read_dir(oci.join("uploads")).unwrap().count(), 0);
    assert_eq!(publishing.0.remove_strays().unwrap(), 1);
    assert!(publishing.0.blobs.find(&stray).unwrap().is_none() && publishing.0.blobs.find(&digest).unwrap().is_some());
}

#[tokio::test]
async fn what_nobody_names_is_swept_and_what_is_named_stays() {
    let case = Case::new("grace: 100ms");
    let (config, other) = (Digest::of(Algorithm::Sha256, b"{}"), Digest::of(Algorithm::Sha256, b"other"));
    case.push(b"{}", &config).await.unwrap();
    case.push(b"other", &other).await.unwrap();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"text/plain","digest":"{config}","size":2}},"layers":[]}}"#
    );
    let put = async |tag: &str| {
        let reference: Reference = tag.parse().unwrap();
        case.publishing
            .put_manifest(&case.repository, &reference, IMAGE, manifest.clone().into(), (&case.by, false))
            .await
    };
    let version = put("1.2.3").await.unwrap_err();
    assert!(matches!(&version, Error::Unsupported(why) if why.contains("serves no agents")), "{version}");
    let put = put("latest").await.unwrap();
    let sweep = |later: u64| case.publishing.0.sweep(super::index::now() + later).unwrap();
    assert_eq!(sweep(0), 0, "what was pushed a moment ago is about to be named");
    sweep(200);
    assert_eq!((sweep(200), case.files("blobs/sha256")), (0, 2), "the config and the manifest are left");
    case.publishing.delete_manifest(&case.repository, &Reference::Digest(put.digest), &case.by).await.unwrap();
    sweep(200);
    sweep(200);
    assert_eq!((case.files("blobs/sha256"), case.publishing.0.index.total()), (0, 0));
}

#[tokio::test]
async fn pieces_are_smaller_where_replies_are_nearly_full() {
    let case = Case::new("");
    let bytes = vec![7; 300_000];
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    case.push(&bytes, &digest).await.unwrap();
    case.assert_nothing_open().await;
    let blob = Arc::new(case.publishing.blob(&case.repository, &digest).await.unwrap());
    let full = case.publishing.0.replies.charge((4 << 20) - 40_000).unwrap();
    let piece = case.publishing.piece(&blob, 0, u64::MAX).await.unwrap();
    assert_eq!((piece.len(), case.publishing.0.replies.free()), (32 << 10, 40_000 - (32 << 10)));
    let next = case.publishing.piece(&blob, 0, u64::MAX).await.unwrap();
    let refused = case.publishing.piece(&blob, 0, u64::MAX).await.unwrap_err();
    assert!(matches!(refused, Error::Unpaid(_)), "{refused}, after {}", next.len());
    drop((full, piece, next));
}

#[tokio::test]
async fn few_changes_of_versions_go_on_at_once_whoever_has_gone() {
    let case = Case::new("");
    let (begun, (open, gate)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
    let ask = || {
        let (publishing, begun, mut gate) = (case.publishing.clone(), begun.clone(), gate.clone());
        let work = async move {
            begun.fetch_add(1, Relaxed);
            gate.wait_for(|open| *open).await.expect("it is opened");
            Ok(())
        };
        tokio::spawn(async move { publishing.to_its_end(move |_| work).await })
    };
    // All tasks are on this thread: each has its turn before a yield ends.
    let turns = async || {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        begun.load(Relaxed)
    };
    let first: Vec<_> = (0..AT_WORK_MAX).map(|_| ask()).collect();
    let last = ask();
    assert_eq!(turns().await, AT_WORK_MAX);
    first.iter().for_each(|asked| asked.abort());
    assert_eq!(turns().await, AT_WORK_MAX, "what has begun goes on");
    open.send(true).expect("they wait");
    last.await.expect("it is not aborted").expect("its turn has come");
    assert_eq!(begun.load(Relaxed), AT_WORK_MAX + 1);
}
