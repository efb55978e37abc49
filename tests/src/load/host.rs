//! The host that a load is put on: a process with a manifest and a folder of its own, and its memory from outside.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

use super::wire::{Wire, request};
use crate::process::{Process, Resident, component, resident};

/// How often resident memory is looked at while something runs.
const SAMPLING: Duration = Duration::from_millis(20);

/// A running host, driven from another process.
pub struct Host {
    pub process: Process,
    pub address: SocketAddr,
    /// Holds the data, and the files that agents are granted.
    pub dir: TempDir,
}

impl Host {
    /// Starts a host. `{hello}` and the like in the manifest stand for those components, `{dir}` for its folder.
    pub async fn start(dir: TempDir, manifest: &str) -> Result<Self> {
        Self::start_in(dir, manifest, None).await
    }

    /// The same, inside the control group that is entered by `procs`.
    pub async fn start_in(dir: TempDir, manifest: &str, procs: Option<&Path>) -> Result<Self> {
        let mut text = manifest.replace("{dir}", &dir.path().display().to_string());
        for agent in ["hello", "files", "everything", "guests"] {
            let place = format!("{{{agent}}}");
            if text.contains(&place) {
                text = text.replace(&place, &component(agent)?.display().to_string());
            }
        }
        let path = dir.path().join("manifest.yaml");
        fs::write(&path, text)?;
        let process = Process::stockade_in(&path, &dir.path().join("data"), procs).await?;
        process.ready().await?;
        let address = process.url().strip_prefix("http://").context("a host speaks http")?.parse()?;
        Ok(Self { process, address, dir })
    }

    /// Its memory now.
    pub fn resident(&self) -> Result<Resident> {
        self.process.resident()
    }

    /// Looks at its memory until the watch is asked.
    pub fn watch(&self) -> Result<Watch> {
        let pid = self.process.pid()?;
        let shared = Arc::new((AtomicU64::new(resident(pid)?.bytes), AtomicBool::new(false)));
        let seen = shared.clone();
        let sample = move || {
            while !seen.1.load(Ordering::Relaxed) {
                if let Ok(now) = resident(pid) {
                    seen.0.fetch_max(now.bytes, Ordering::Relaxed);
                }
                std::thread::sleep(SAMPLING);
            }
        };
        Ok(Watch { shared, thread: std::thread::Builder::new().name("watch".into()).spawn(sample)? })
    }

    /// What the operator's `GET /status` says; none from a host that has no such thing.
    pub async fn status(&self) -> Result<Option<Value>> {
        self.ask("/status").await
    }

    /// What an operator is answered, all pages of it; none from a host that has no such thing.
    pub async fn ask(&self, path: &str) -> Result<Option<Value>> {
        let Some(mut all) = self.ask_once(path).await? else { return Ok(None) };
        while let Some(after) = all["next"].take().as_str() {
            let mut page = self.ask_once(&format!("{path}?after={after}")).await?.context("a next page")?;
            match (&mut all["agents"], page["agents"].take()) {
                (Value::Array(all), Value::Array(more)) => all.extend(more),
                (Value::Object(all), Value::Object(more)) => all.extend(more),
                _ => bail!("pages of {path} are not alike"),
            }
            all["next"] = page["next"].take();
        }
        Ok(Some(all))
    }

    async fn ask_once(&self, path: &str) -> Result<Option<Value>> {
        let Ok(token) = fs::read_to_string(self.dir.path().join("data/operator.token")) else { return Ok(None) };
        let admin = self.process.admin().and_then(|url| url.strip_prefix("http://")).context("a host has an admin")?;
        let admin: SocketAddr = admin.parse()?;
        let bearer = format!("Bearer {}", token.trim());
        let mut wire = Wire::connect(admin, 0).await?;
        wire.send(&request(admin, path, &[("authorization", &bearer)], None)).await?;
        let head = wire.head().await?;
        let body = wire.body(&head).await?;
        Ok((head.status == 200).then(|| serde_json::from_slice(&body)).transpose()?)
    }
}

/// The highest memory seen while something runs.
pub struct Watch {
    shared: Arc<(AtomicU64, AtomicBool)>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Ends the watch; the most bytes that were resident.
    pub fn peak(self) -> u64 {
        self.shared.1.store(true, Ordering::Relaxed);
        self.thread.join().expect("sampling does not panic");
        self.shared.0.load(Ordering::Relaxed)
    }
}
