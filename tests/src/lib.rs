//! The host under test: the real one, on real sockets, with real guests.
//!
//! [`TestHost`] runs a host in this process, on a thread and a runtime of its own, so that a test sees its ledger; when it
//! is dropped, the books must be back at their baseline. [`process`] runs the `stockade` executable instead, for what
//! only a process has: memory, signals, exit codes.

pub mod client;
pub mod editor;
pub mod events;
pub mod guests;
pub mod interop;
pub mod legacy;
pub mod load;
pub mod oci;
pub mod process;
pub mod publisher;
pub mod rmcp_client;
pub mod soak;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use stockade::agent::{Agent, Agents, Figures};
use stockade::manifest::{Manifest, Overrides};
use stockade::memory::{Accounts, Tenancy};
use stockade::{Host, Listeners};
use stockade_ledger::AccountSnapshot;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use client::{Answer, Client};
pub use events::Events;
pub use legacy::Session;

/// How long a host may take to load its agents, compile bombs included, and to give everything back at its end.
const PATIENCE: Duration = Duration::from_secs(180);

/// Accounts that hold nothing when nobody calls (design, Memory 1).
const EMPTY_AT_REST: [&str; 8] = ["guests", "compile", "copies", "requests", "replies", "queues", "uploads", "streams"];

/// Accounts that hold nothing once all clients have said goodbye.
const EMPTY_AFTER_CLIENTS: [&str; 1] = ["sessions"];

/// Accounts that hold nothing once the host has stopped.
const EMPTY_AT_END: [&str; 2] = ["sessions", "connections"];

/// A running host.
pub struct TestHost {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    accounts: Accounts,
    agents: Agents,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    /// Holds data, agents made on the fly, granted directories.
    dir: tempfile::TempDir,
}

/// A host that is about to start: its folder can still be filled.
pub struct Setup {
    pub dir: tempfile::TempDir,
}

impl Default for Setup {
    fn default() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder for the test") }
    }
}

impl Setup {
    /// Writes a component (or anything) into the host's folder.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// Starts a host on this manifest, and waits until its agents are loaded or refused.
    pub fn start(self, manifest: &str) -> TestHost {
        let host = self.start_loading(manifest);
        host.settle();
        host
    }

    /// Starts a host that still loads its agents. `{agents}` in the text stands for the folder of components that `make
    /// test` builds; other paths are relative to this setup's folder.
    pub fn start_loading(self, manifest: &str) -> TestHost {
        let agents = process::component("hello").expect("`make test` builds the agents first");
        let agents = agents.parent().expect("a component lies in a folder").display().to_string();
        let text = manifest.replace("{agents}", &agents);
        let listen = if text.starts_with("listen:") { "" } else { "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n" };
        let path = self.file("manifest.yaml", format!("{listen}{text}").as_bytes());
        let manifest = Manifest::load(&path, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
        TestHost::run(manifest, self.dir)
    }

    /// Starts a host on a manifest that lies elsewhere, with free ports and data of its own.
    pub fn start_file(self, manifest: &Path) -> TestHost {
        let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let data = Some(self.dir.path().join("data"));
        let overrides = Overrides { listen: any, admin: any, data, ..Overrides::default() };
        let manifest = Manifest::load(manifest, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
        let host = TestHost::run(manifest, self.dir);
        host.settle();
        host
    }
}

impl TestHost {
    /// A host with this manifest and nothing else.
    pub fn start(manifest: &str) -> Self {
        Setup::default().start(manifest)
    }

    fn run(manifest: Manifest, dir: tempfile::TempDir) -> Self {
        tls::choose();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::sync_channel(1);
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
            runtime.block_on(async move {
                let host = Host::new(&manifest, process::stockade_binary()?, Tenancy::Shared)?;
                let public = TcpListener::bind(manifest.listen).await?;
                let admin = TcpListener::bind(manifest.admin).await?;
                let addresses = (public.local_addr()?, admin.local_addr()?);
                let _ = ready.send((addresses, host.accounts().clone(), host.agents().clone()));
                host.serve(Listeners { public, admin }, async { drop(stopped.await) }).await
            })
        };
        let thread = std::thread::Builder::new().name("host".into()).spawn(serve).expect("a thread");
        let Ok(((address, admin), accounts, agents)) = started.recv() else {
            panic!("the host did not start: {:?}", thread.join());
        };
        Self { address, admin, accounts, agents, stop: Some(stop), thread: Some(thread), dir }
    }

    /// Whether every agent is loaded or refused.
    pub fn is_settled(&self) -> bool {
        self.agents.settled()
    }

    /// Waits until every agent is loaded or refused.
    pub fn settle(&self) {
        assert!(eventually(|| self.is_settled()), "the agents were not loaded within {PATIENCE:?}");
    }

    /// Waits until this agent is loaded.
    pub fn eventually_serves(&self, agent: &str) -> bool {
        eventually(|| self.agents.get(agent).is_some_and(|agent| agent.offer().is_ok()))
    }

    /// A client of `/mcp`.
    pub fn client(&self) -> Client {
        Client::new(self.address, "/mcp")
    }

    /// A client of one agent as a server of its own.
    pub fn agent(&self, name: &str) -> Client {
        Client::new(self.address, &format!("/mcp/{name}"))
    }

    /// An agent itself, below MCP.
    pub fn handle(&self, name: &str) -> Arc<Agent> {
        self.agents.get(name).expect("the agent is in the manifest")
    }

    /// The host's data, if it lies where it does by default.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The token that the host wrote for its operator.
    pub fn operator_token(&self) -> String {
        let file = self.data().join(stockade::access::operator::FILE);
        std::fs::read_to_string(file).expect("the host wrote it").trim().to_owned()
    }

    /// What the host tells its operator.
    pub async fn status(&self) -> Value {
        let asked = reqwest::Client::new().get(format!("http://{}/status", self.admin));
        let reply = asked.bearer_auth(self.operator_token()).send().await.expect("the host answers");
        serde_json::from_str(&reply.text().await.expect("a body")).expect("JSON")
    }

    /// Sessions, streams and listeners that clients keep open, as the host tells its operator.
    pub async fn open(&self) -> [u64; 3] {
        let status = self.status().await;
        ["sessions", "streams", "listeners"].map(|what| status[what].as_u64().expect("a number"))
    }

    /// Waits until so many sessions, streams and listeners are open, and no more.
    pub async fn eventually_open(&self, sessions: u64, streams: u64, listeners: u64) {
        let wanted = [sessions, streams, listeners];
        let mut open = self.open().await;
        let deadline = Instant::now() + PATIENCE;
        while open != wanted {
            assert!(Instant::now() < deadline, "sessions, streams, listeners: {open:?}, not {wanted:?}");
            tokio::task::yield_now().await;
            open = self.open().await;
        }
    }

    /// Waits until no request is in flight: a client may have a whole reply in its hands before the host has let go of it.
    pub async fn eventually_idle(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.status().await["inFlight"] != 0 {
            assert!(Instant::now() < deadline, "requests are still in flight");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until nothing is left of whatever clients have done.
    pub async fn assert_nothing_remains(&self) {
        self.eventually_open(0, 0, 0).await;
        self.eventually_idle().await;
        self.assert_empty(&EMPTY_AT_REST);
        self.assert_empty(&EMPTY_AFTER_CLIENTS);
    }

    /// Stops the host, whatever is still open.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the host does not panic").expect("the host ends well");
        }
    }

    /// Stops the host, and starts one on what it leaves behind.
    #[must_use]
    pub fn again(self) -> Self {
        let manifest = std::fs::read_to_string(self.dir.path().join("manifest.yaml")).expect("it was written");
        self.again_on(&manifest)
    }

    /// The same, on another manifest.
    #[must_use]
    pub fn again_on(self, manifest: &str) -> Self {
        let host = self.again_loading_on(manifest);
        host.settle();
        host
    }

    /// The same, while it still loads its agents.
    #[must_use]
    pub fn again_loading_on(mut self, manifest: &str) -> Self {
        self.stop();
        let empty = tempfile::tempdir().expect("a folder for the test");
        let dir = std::mem::replace(&mut self.dir, empty);
        // Only when all its handles are gone has the host let go of its data.
        let held = dir.path().join("data/registry/document.redb");
        drop(self);
        assert!(eventually(|| is_free(&held)), "the host before holds its data");
        Setup { dir }.start_loading(manifest)
    }

    /// Where a client of another make connects.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the calls of an agent have cost.
    pub fn figures(&self, agent: &str) -> Figures {
        self.agents.get(agent).expect("the agent is in the manifest").figures()
    }

    /// Why an agent was refused when it was loaded.
    pub fn refusal(&self, agent: &str) -> String {
        match self.agents.get(agent).expect("the agent is in the manifest").offer() {
            Ok(_) => panic!("`{agent}` was loaded"),
            Err(failure) => failure.to_string(),
        }
    }

    /// Bytes an account lends now.
    pub fn used(&self, account: &str) -> u64 {
        self.account(account).used
    }

    /// Most bytes an account has lent at once.
    pub fn peak(&self, account: &str) -> u64 {
        self.account(account).peak
    }

    /// How often an account had nothing to lend.
    pub fn refusals(&self, account: &str) -> u64 {
        self.account(account).refusals
    }

    fn account(&self, name: &str) -> AccountSnapshot {
        let accounts = self.accounts.ledger.snapshot().accounts;
        accounts.into_iter().find(|it| &*it.name == name).expect("the account exists")
    }

    /// Waits until every account that should be is empty.
    pub fn assert_baseline(&self) {
        self.assert_empty(&EMPTY_AT_REST);
    }

    fn assert_empty(&self, accounts: &[&str]) {
        let held = || -> Vec<(&str, u64)> {
            accounts.iter().map(|name| (*name, self.used(name))).filter(|(_, used)| *used > 0).collect()
        };
        assert!(eventually(|| held().is_empty()), "not given back: {:?}", held());
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // the first failure is the one to read
        }
        self.assert_baseline();
        self.stop();
        self.assert_baseline();
        self.assert_empty(&EMPTY_AT_END);
    }
}

/// Whether nobody has locked a file.
fn is_free(file: &Path) -> bool {
    let file = std::fs::File::open(file).expect("the host made it");
    file.try_lock().is_ok()
}

/// Asks until it is so, for as long as [`PATIENCE`] lasts.
pub fn eventually(mut so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    true
}
