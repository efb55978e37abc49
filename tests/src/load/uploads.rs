//! Clients that push tiny things by the hundred thousand, most of them never to the end: what do they take from the others, and
//! what is left of it all?

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use stockade::access::Token;
use tokio::task::JoinSet;

use super::figures::{Figures, Target, growth, mib};
use super::host::Host;
use super::publish::{disk, eventually_lent, publish, publisher, retire};
use crate::process::component;
use crate::publisher::{Publisher, stamped};

/// How much larger the process may be in the end, however many there were: what threads and the heap keep once both were busy.
const RESIDENT_MIB_MAX: f64 = 24.0;

/// How long is waited for what is left to go, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(50);

/// One of so many uploads is begun and left.
const LEFT_EVERY: u64 = 4;

/// How long the heap is given to give back what was freed.
const REST: Duration = Duration::from_secs(5);

/// Between two agents that somebody honest publishes.
const HONEST_PAUSE: Duration = Duration::from_millis(500);

/// Limits that a refusal may name.
const LIMITS: [&str; 6] = ["uploads.open", "uploads.namespace_disk", "uploads.disk", "uploads", "memory", "in-flight"];

#[derive(Debug, Clone, Copy)]
pub struct Uploads {
    /// Uploads in all.
    pub count: u64,
    /// Clients that push at the same time.
    pub clients: u64,
}

/// What became of the uploads.
#[derive(Default)]
struct Seen {
    next: AtomicU64,
    taken: AtomicU64,
    begun: AtomicU64,
    refused: AtomicU64,
    otherwise: AtomicU64,
    done: AtomicBool,
}

impl Uploads {
    pub async fn run(self) -> Result<Figures> {
        let tokens = [Token::fresh()?, Token::fresh()?];
        let lines = ["leaves", "pushes"].iter().zip(&tokens).map(|(name, token)| {
            let sha256: String = token.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("  {name}: {{ sha256: {sha256}, role: publisher, names: ['many-*'], share: 25 }}\n")
        });
        let manifest = format!(
            "memory: 512M\ndocument: {{ retired: 2s }}\ntokens:\n{}uploads: {{ idle: 2s, grace: 3s, namespace_disk: 64M }}\nagents: {{}}\n",
            lines.collect::<String>()
        );
        let host = Host::start(tempfile::tempdir()?, &manifest).await?;
        let hello = fs::read(component("hello")?)?;
        let honest = publisher(&host)?;
        publish(&honest, "demo", "0.1.0", &hello).await?;
        let warm = host.resident()?;
        let seen = Arc::new(Seen::default());
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            let publishers = [0, 1].map(|which| Publisher::new(host.address, tokens[which].reveal()));
            clients.spawn(push_on(publishers, seen.clone(), self.count));
        }
        let others = tokio::spawn(publish_on(honest, hello, seen.clone()));
        clients.join_all().await;
        seen.done.store(true, Ordering::Relaxed);
        let published = others.await??;
        let busy = host.resident()?;
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
        let mut figures = Figures::default();
        figures.add("uploads", self.count as f64, "");
        figures.add("blobs taken", count(&seen.taken), "");
        figures.add("begun, and left", count(&seen.begun), "");
        figures.judge("refused by the name of a limit", count(&seen.refused), "", Target::AtLeast(1.0));
        figures.judge("answered otherwise", count(&seen.otherwise), "", Target::AtMost(0.0));
        figures.judge("versions that others published meanwhile", published, "", Target::AtLeast(1.0));
        figures.add("resident when they stop, growth", mib(growth(warm, busy)), "MiB");
        let left = left(&host).await?;
        // The code of what others published counts as resident, too.
        retire(&host, &publisher(&host)?).await?;
        tokio::time::sleep(REST).await;
        figures.judge("resident, growth", mib(growth(warm, host.resident()?)), "MiB", Target::AtMost(RESIDENT_MIB_MAX));
        figures.judge("files of uploads left", left as f64, "", Target::AtMost(0.0));
        figures.judge("lent in the end", eventually_lent(&host).await?, "bytes", Target::AtMost(0.0));
        Ok(figures)
    }
}

/// Pushes until so many uploads have been tried: one principal begins some and leaves them, the other pushes blobs of a few
/// bytes.
async fn push_on([leaves, pushes]: [Publisher; 2], seen: Arc<Seen>, count: u64) {
    loop {
        let number = seen.next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let bytes = number.to_string();
        let digest =
            stockade::publish::digest::Digest::of(stockade::publish::digest::Algorithm::Sha256, bytes.as_bytes());
        let (publisher, path, body, well, counter) = match number % LEFT_EVERY {
            0 => (&leaves, "/v2/many-a/blobs/uploads/".to_owned(), String::new(), 202, &seen.begun),
            _ => (&pushes, format!("/v2/many-b/blobs/uploads/?digest={digest}"), bytes, 201, &seen.taken),
        };
        let said = publisher.ask(Method::POST, &path, "application/octet-stream", body).await;
        let limit = said.body["errors"][0]["detail"]["limit"].as_str();
        let counter = match said.status {
            status if status == well => counter,
            403 | 429 | 503 | 507 if limit.is_some_and(|limit| LIMITS.contains(&limit)) => &seen.refused,
            _ => {
                eprintln!("{said:?}");
                &seen.otherwise
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Publishes one version after the other until the uploads are done; how many.
async fn publish_on(publisher: Publisher, hello: Vec<u8>, seen: Arc<Seen>) -> Result<f64> {
    let mut number = 0;
    while !seen.done.load(Ordering::Relaxed) {
        number += 1;
        let version = format!("0.1.{number}");
        publish(&publisher, "demo", &version, &stamped(&hello, &version)).await.context("somebody else")?;
        tokio::time::sleep(HONEST_PAUSE).await;
    }
    Ok(f64::from(number))
}

/// Files of uploads, and blobs that no version needs, once nothing goes any more.
async fn left(host: &Host) -> Result<u64> {
    let (oci, began) = (host.dir.path().join("data/oci"), Instant::now());
    loop {
        let open = fs::read_dir(oci.join("uploads"))?.count() as u64;
        // Those of versions are far larger than all that was pushed here.
        let tiny = tiny_files(&oci.join("blobs"))?;
        if open + tiny == 0 || began.elapsed() > PATIENCE {
            ensure!(disk(&oci.join("blobs"))? > 0, "the versions of others are gone");
            return Ok(open + tiny);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Files below a folder that are no larger than what is pushed here.
fn tiny_files(folder: &std::path::Path) -> Result<u64> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What is removed meanwhile counts no more.
        let Ok(metadata) = entry.metadata() else { continue };
        files += if metadata.is_dir() { tiny_files(&entry.path())? } else { u64::from(metadata.len() < 16) };
    }
    Ok(files)
}
