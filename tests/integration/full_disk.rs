//! The registry's document, and what is pushed, when the disk is full: a small file system that only the host under test sees.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stockade_tests::editor::{Closed, Editor};
use stockade_tests::oci::{IMAGE, Registry, digest, image};
use stockade_tests::process::{Process, component, stockade_binary};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Bytes of the file system.
const DISK: &str = "16m";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Edits within which a full disk must be met: each is stored, and takes what is left in the document's file.
const EDITS_MAX: usize = 20_000;

/// A file system in memory, in a name space of its own.
struct Disk {
    holder: Child,
    mount: PathBuf,
}

impl Disk {
    /// None where the machine lets nobody have a name space.
    async fn new(dir: &Path) -> Option<Self> {
        let mount = dir.join("data");
        std::fs::create_dir(&mount).expect("a folder");
        let mut command = Command::new("unshare");
        command.args([
            "-rm",
            "sh",
            "-c",
            r#"mount -t tmpfs -o size="$1" tmpfs "$0" && echo mounted && exec sleep 600"#,
        ]);
        command.arg(&mount).arg(DISK).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut holder = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).await.ok()?;
        (line.trim() == "mounted").then_some(Self { holder, mount })
    }

    /// The data directory as it is seen from outside.
    fn data(&self) -> PathBuf {
        let holder = self.holder.id().expect("it sleeps");
        Path::new(&format!("/proc/{holder}/root")).join(self.mount.strip_prefix("/").expect("absolute"))
    }

    /// A host whose data is on this disk.
    async fn host(&self, manifest: &Path) -> Result<Process> {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().context("it sleeps")?.to_string();
        command.args(["-t", &holder, "-U", "-m", "--preserve-credentials"]).arg(stockade_binary()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--manifest"]).arg(manifest);
        command.arg("--data").arg(&self.mount).env_remove("PORT");
        let process = Process::spawn(command).await?;
        process.ready().await?;
        Ok(process)
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("operator.token")).expect("a token").trim().to_owned()
    }

    /// Takes all that is left, until the file is dropped.
    fn fill(&self) -> Filler {
        let path = self.data().join("filler");
        let mut file = File::create(&path).expect("a file");
        let mut piece = vec![1; 64 << 10];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        Filler(path)
    }
}

struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it is there");
    }
}

async fn editor(host: &Process, token: &str) -> Editor {
    let address = host.url().strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address");
    Editor::connect(address, Some(token)).await.expect("the document is served")
}

/// Asks as an operator: the status, and the answer.
async fn ask(host: &Process, token: &str, patch: Option<Value>) -> (u16, Value) {
    let url = format!("{}/registry/hello", host.admin().expect("an admin"));
    let client = reqwest::Client::new();
    let request = match patch {
        Some(fields) => client.patch(url).header("content-type", "application/json").body(fields.to_string()),
        None => client.get(url),
    };
    let answer = request.header("authorization", format!("Bearer {token}")).send().await.expect("it answers");
    let (status, body) = (answer.status().as_u16(), answer.text().await.expect("a body"));
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

async fn health(host: &Process, token: &str) -> String {
    let url = format!("{}/healthz", host.admin().expect("an admin"));
    let asked = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("it answers");
    asked.text().await.expect("a body")
}

/// Edits the description of `hello` again and again; what the host has taken last, and how it ended.
async fn edit_until_refused(writer: &mut Editor, mut acknowledged: Value) -> (Value, Closed) {
    for number in 0..EDITS_MAX {
        // Long, and another each time: nothing of the one before can be used again.
        let text = format!("{number} {}", "x".repeat(4_000));
        let sent = match writer.set([("hello", "description", text.clone())]).await {
            Ok(()) => writer.settle().await,
            lost => lost,
        };
        match sent {
            Ok(()) => acknowledged = text.into(),
            Err(error) => return (acknowledged, error.downcast::<Closed>().expect("the host says why")),
        }
    }
    panic!("a full disk is not met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_edits_and_loses_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(disk) = Disk::new(dir.path()).await else {
        return println!("not run: this machine lets nobody have a file system of its own");
    };
    let manifest = dir.path().join("manifest.yaml");
    let hello = component("hello").expect("built").display().to_string();
    std::fs::write(&manifest, format!("memory: 256M\nagents: {{ hello: {{ component: '{hello}' }} }}\n"))
        .expect("written");
    let host = disk.host(&manifest).await.expect("it starts");
    let token = disk.token();

    let mut writer = editor(&host, &token).await;
    let filler = disk.fill();
    let begins = ask(&host, &token, None).await.1["description"].clone();
    let (acknowledged, refused) = edit_until_refused(&mut writer, begins).await;
    assert!(refused.code == 1013 && refused.reason.contains("disk is full or fails"), "{refused:?}");
    let (status, answer) = ask(&host, &token, Some(json!({ "title": "No room" }))).await;
    assert!(status == 507 && answer["error"]["message"].as_str().unwrap().contains("cannot be stored"), "{answer}");
    // What was acknowledged is what is served, to old clients and to new ones.
    assert!(ask(&host, &token, None).await.1["description"] == acknowledged, "the last that was acknowledged");
    let seen = editor(&host, &token).await.field("hello", "description");
    assert!(seen.is_some_and(|seen| acknowledged == seen.to_string()));
    let told = "edits of the registry are refused: the disk of `data` is full or fails";
    assert!(health(&host, &token).await.contains(told), "an operator sees it");

    // There is room again: edits are taken, by those who come back too.
    drop(filler);
    // The host tries again when it is asked, twice a second at most.
    let began = Instant::now();
    let answer = loop {
        let (status, answer) = ask(&host, &token, Some(json!({ "title": "Room" }))).await;
        if status == 200 {
            break answer;
        }
        assert!(status == 507 && began.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(answer["title"], "Room");
    assert!(!health(&host, &token).await.contains(told), "it is over");
    let mut writer = editor(&host, &token).await;
    writer.set([("hello", "description", "short")]).await.expect("sent");
    writer.settle().await.expect("taken");

    // Killed and begun again, on the same disk.
    let pid = host.pid().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs").success());
    drop(host);
    tokio::time::timeout(Duration::from_secs(30), async {
        let host = disk.host(&manifest).await.expect("it starts");
        let (_, entry) = ask(&host, &token, None).await;
        assert_eq!((&entry["title"], &entry["description"]), (&json!("Room"), &json!("short")));
    })
    .await
    .expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_does_not_fit_on_the_disk_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(disk) = Disk::new(dir.path()).await else {
        return println!("not run: this machine lets nobody have a file system of its own");
    };
    let manifest = dir.path().join("manifest.yaml");
    std::fs::write(&manifest, "memory: 256M\nagents: {}\n").expect("written");
    let host = disk.host(&manifest).await.expect("it starts");
    let registry = Registry::at(host.url()).with_token(&disk.token());
    let before = registry.push("team/one", b"{}").await;
    let files = |below: &str| std::fs::read_dir(disk.data().join("oci").join(below)).expect("readable").count();

    let filler = disk.fill();
    let bytes = vec![7; 1 << 20];
    let path = format!("/v2/team/one/blobs/uploads/?digest={}", digest(&bytes));
    let refused = registry.post(&path, bytes.clone()).await;
    assert_eq!(refused.refusal(), (507, "DENIED".into()));
    assert!(refused.text().contains("disk is full"), "{}", refused.text());
    let refused = registry.put_manifest("team/one", "latest", IMAGE, &image(b"{}", &[])).await;
    assert_eq!(refused.refusal(), (507, "DENIED".into()));
    // Small ones may find room in what the index has; many of them do not.
    let mut number = 0;
    while number < EDITS_MAX {
        let bytes = format!("{number} {}", "x".repeat(100));
        number += 1;
        let pushed =
            registry.post(&format!("/v2/team/one/blobs/uploads/?digest={}", digest(bytes.as_bytes())), bytes).await;
        if pushed.status != 201 {
            assert_eq!(pushed.refusal(), (507, "DENIED".into()));
            break;
        }
    }
    assert_eq!(registry.get(&format!("/v2/team/one/blobs/{before}")).await.body, b"{}", "what is there is served");
    assert_eq!((files("uploads"), files("blobs/sha256")), (0, number));

    drop(filler);
    registry.push("team/one", &bytes).await;
    assert_eq!(registry.put_manifest("team/one", "latest", IMAGE, &image(b"{}", &[])).await.status, 201);
    drop(host);
    let host = disk.host(&manifest).await.expect("it starts");
    let got = Registry::at(host.url()).get("/v2/team/one/manifests/latest").await;
    assert_eq!((got.status, files("uploads")), (200, 0));
}
