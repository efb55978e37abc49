//! Stockade, a registry host for MCP agents: the map of the code.
//!
//! Publishers hand the host agents as WebAssembly components; MCP clients read their resources and call their tools over
//! HTTP; operators say how much memory each agent, and the whole process, may ever use. **No agent, client, document or
//! upload can take the host down.**
//!
//! # One request's way
//!
//! [`http`] takes a connection, an in-flight permit and a charge for the body it is about to read, and checks with
//! [`access`] who is asking. [`mcp`] parses the body once, into an enum. [`agent`] waits for a turn at the door until the call's reserve is
//! granted, makes a fresh instance, and runs one function of the guest under its caps. The reply is built in a buffer that
//! pays for every byte it grows by, and its charge dies when its last byte has been written. Every way out (client gone,
//! deadline, trap, shutdown) is the same drop.
//!
//! # The rooms
//!
//! | room | owns | never |
//! |---|---|---|
//! | [`manifest`] | the operator's file, checked once | is asked twice whether a setting makes sense |
//! | [`access`] | tokens, principals, their shares | keeps a token's text |
//! | [`memory`] | the accounts of the ledger | knows who charges |
//! | [`data`] | the host's own directory, and who may read it | knows what lies there |
//! | [`registry`] | which agents there are, under which caps: the document `@mcp.registry` | knows how an agent runs |
//! | [`publish`] | blobs, manifests and tags, as they are pushed | names HTTP or MCP |
//! | [`agent`] | components, instances, limits, turns | names HTTP or MCP |
//! | [`mcp`] | messages, eras, names, replies | names a socket |
//! | [`http`] | sockets, routes, bodies | looks into a message |
//! | [`cli`] | arguments, signals, exit codes | decides anything the manifest decides |
//!
//! Arrows point one way: `http -> mcp -> agent -> registry -> ledger`, and `http -> publish -> agent`. The ledger is a crate of its own
//! ([`stockade_ledger`]), so that Cargo proves it depends on nothing; so is the gate before the document ([`stockade_gate`]). The test `tidy` holds all this.
//!
//! # Who holds bytes
//!
//! | holder | account | limit | tripped by the test |
//! |---|---|---|---|
//! | a call's memories and tables | `guests` | `memory` of the agent; half of `guests` for one agent's growth | `hostile::*`, `limits::host_memory_is_not_the_agents_cap` |
//! | a call's stack | `guests` | 512 KiB each | `hostile::*` |
//! | results copied out of a guest | `copies` | `copies` of the agent | `hostile::*`, `limits::copies` |
//! | chunks of a resource: sent, ready, being made | `replies` | three of 256 KiB (512 KiB for fast readers) with room to be written as base64; one after a stall; smaller ones where many read | `big_reads::readers_that_stand_still_hold_no_instance`, `reading::many_readers_share_the_room_there_is` |
//! | a reply being built or sent | `replies` | `http.reply` | `limits::a_reply_larger_than_it_may_be` |
//! | a resource on its way | none at once | `http.stream_bytes_max`, `http.stream_stall` | `plain_reads::*`, `big_reads::*` |
//! | a session | `sessions` | `transports.sessions`, `idle`, `lifetime` | `sessions::*` |
//! | a listener and its subscriptions | `sessions`, `streams` | `transports.subscriptions`, `filter` | `streams::subscriptions_are_bounded_by_number_and_by_bytes` |
//! | an event on its way, a stream | `streams` | one event; `transports.streams` | `streams::*` |
//! | what a guest says while it runs | `streams` | `transports.queue`, 64 messages | `streams::messages_that_nobody_takes_are_dropped_and_counted` |
//! | the answer to a question | `requests` | `transports.inputs`, `input_wait` | `asking::questions_are_bounded_in_number_and_time` |
//! | a request's body | `requests` | `http.body` | `limits::*` |
//! | a waiting call | `queues` | `queue` of the agent | `limits::concurrency_and_queue` |
//! | an open connection | `connections` | `http.connections` | `http::tests::a_connection_nobody_can_pay_for_is_one_too_many` |
//! | the head of a request | `requests` | `http.headers` | `wire::*` |
//! | a result kept for others | `cache` | `http.kept`, 256 KiB each | `mcp::kept::tests::*` |
//! | health, status, metrics | `health` | 8 MiB an answer, a page of status 2 MiB | `pressure::*` |
//! | the heap, free slots of the pool | `native`, after the fact | `memory`, by the ladder | `memory::pressure::tests::*` |
//! | the registry's document | `document` | entries and bytes, after which it begins anew | `document::edits_do_not_add_up`, `registry::*` |
//! | an open upload, a piece of a blob that is written | `uploads` | `uploads.open`; 256 KiB while its body comes | `oci_hostile::*` |
//! | a manifest that is pushed | `uploads` | `uploads.manifest_bytes_max` | `oci_hostile::manifests_that_are_none` |
//! | a piece of a blob that is sent | `replies` | 128 KiB each | `oci::blobs_are_pulled_whole_and_in_parts` |
//! | a message of a client of the document, while it comes | `requests` | 1 MiB each | `http::websocket::tests::*`, `sockets::*` |
//! | the values of an update, while they are looked at | `document` | 256 parts each, 100,000 of an update | `stockade_gate::tests::every_limit_is_met` |
//! | frames that wait for such a client, what it says of itself | `streams` | 256 KiB each, `document.clients` | `registry::outbox::tests::*`, `registry::presence::tests::*` |
//! | who has left the document lately | none: 256 KiB in all | 4,096 clients, 30 s | `registry::presence::tests::who_has_gone_is_remembered_for_a_while_and_only_so_many` |
//! | mapped code, once for all agents of a component | `code` | `compile.loaded` | `limits::*` |
//! | what an agent says of itself | `code/descriptions`, a quarter of `code` | 64 KiB each | `limits::what_agents_say_of_themselves_takes_a_part_of_what_is_there_for_code` |
//! | the compiling child | `compile` | `compile.memory` | `hostile::*` |

pub mod access;
pub mod agent;
pub mod cli;
pub mod data;
pub mod handover;
pub mod http;
pub mod manifest;
pub mod mcp;
pub mod memory;
pub mod publish;
pub mod registry;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use access::Access;
use agent::{Agents, Offered, Terms, Troubled};
use manifest::{Fuse, Manifest};
use memory::{Accounts, Children, Ease, Lookout, Tenancy, fuse};
use publish::pull::Missing;
use publish::{Publishing, Serving};
use registry::{Paying, Registry};

/// Threads that may wait for a disk on behalf of guests, besides those that read resources.
const WAITING_THREADS: usize = 512;

/// New versions that fail and are not yet rolled back.
const TROUBLES_MAX: usize = 64;

/// Address space of a thread's stack.
const STACK_BYTES: u64 = 2 << 20;

/// Threads that may wait for a disk. A read of files has a thread of its own: all of them together leave enough for what
/// else may wait.
pub fn threads_max(manifest: &Manifest) -> usize {
    WAITING_THREADS + manifest.http.in_flight as usize
}

/// Sockets the host answers on, already bound.
#[derive(Debug)]
pub struct Listeners {
    /// MCP clients.
    pub public: TcpListener,
    /// Operators.
    pub admin: TcpListener,
}

/// The last fuse, and what of it stays the same.
#[derive(Debug, Clone, Copy)]
struct Armed {
    fuse: fuse::Fuse,
    stacks: u64,
}

impl Armed {
    fn set(self, agents: &Agents) {
        match self.fuse.arm(fuse::Mapped { stacks: self.stacks, slots: agents.slots() }) {
            Ok(limit) => tracing::debug!(limit, "beyond this address space the process ends"),
            Err(error) => tracing::warn!("no last fuse: {error:#}"),
        }
    }

    /// Moves it whenever an agent has come, for as long as it is polled.
    async fn follow(self, agents: Agents) {
        let mut arrivals = agents.arrivals();
        while arrivals.changed().await.is_ok() {
            self.set(&agents);
        }
    }
}

/// A host that is built and not yet serving.
pub struct Host {
    accounts: Accounts,
    agents: Agents,
    service: Arc<mcp::Service>,
    document: registry::Handle,
    publishing: Publishing,
    /// New versions that fail.
    failing: mpsc::Receiver<Troubled>,
    /// Components that are still to be pulled.
    missing: Missing,
    http: http::Settings,
    lookout: Lookout,
    armed: Option<Armed>,
}

impl Host {
    /// Builds everything from the manifest, top to bottom. `program` is the `stockade` executable, which compiles agents
    /// in a process of its own; `tenancy` says whether this process has other hosts beside this one.
    ///
    /// # Errors
    ///
    /// When the data directory cannot be had, the operator's token in it is none or could be read by others, or the guarantees of the accounts do not fit `memory`.
    pub fn new(manifest: &Manifest, program: PathBuf, tenancy: Tenancy) -> anyhow::Result<Self> {
        data::create(&manifest.data)
            .with_context(|| format!("cannot create the data directory {}", manifest.data.display()))?;
        let children = Children::default();
        let meter = tenancy.meter(manifest.memory, manifest.control_group.as_ref(), children.clone());
        let native = memory::native(meter.as_ref())?;
        let accounts = Accounts::open(manifest.memory, manifest.pressure.maximum, native, children)
            .with_context(|| format!("`memory: {}` is too small for the host itself", manifest.memory))?;
        let registry = Registry::from_manifest(manifest);
        let paying = Paying {
            document: accounts.document.clone(),
            incoming: accounts.requests.clone(),
            outgoing: accounts.streams.clone(),
        };
        let document = registry::Handle::open(manifest, &manifest.data, paying)?;
        let compact = document.relief();
        // It gives back a moment later: until then others are asked as well.
        accounts.relief.register("document", Ease::Idle, move |_| {
            compact();
            0
        });
        let paying = publish::Paying { uploads: accounts.uploads.clone(), replies: accounts.replies.clone() };
        let publishing = Publishing::open(&manifest.data, manifest.uploads, paying)?;
        let offered = publishing.offered(&document, manifest)?;
        let (troubles, failing) = mpsc::channel(TROUBLES_MAX);
        let guests_ceiling = memory::share(manifest.memory, memory::percent::GUESTS);
        let access = Access::new(manifest, Some(access::operator::open(&manifest.data)?));
        let terms = Terms {
            guests_ceiling,
            compile: manifest.compile,
            data: &manifest.data,
            program,
            principals: access.principals(),
            document: document.clone(),
            published: Offered { spec: manifest.published.clone(), agents: offered },
            troubles,
        };
        let agents = Agents::new(&registry, &accounts, terms)?;
        let audit = publish::Audit::open(&manifest.data)?;
        publishing.serve_with(Serving::new(agents.clone(), document.clone(), manifest.signatures.clone(), audit));
        let service = Arc::new(mcp::Service::new(agents.clone(), &accounts, manifest.http, manifest.transports)?);
        let stores = http::Stores { document: document.clone(), publishing: publishing.clone() };
        let http = http::Settings::new(manifest, access, &accounts, stores);
        let lookout = Lookout {
            memory: manifest.memory,
            thresholds: manifest.pressure,
            ledger: accounts.ledger.clone(),
            relief: accounts.relief.clone(),
            pressure: accounts.pressure.clone(),
            meter,
            native: accounts.native.clone(),
            pool: Box::new({
                let agents = agents.clone();
                move || agents.kept_by_pool()
            }),
        };
        let missing = Missing::of(manifest);
        Ok(Self { accounts, agents, service, document, publishing, failing, missing, http, lookout, armed: None })
    }

    /// Sets the last fuse, if the manifest wants it: for a process that is this host's alone.
    fn arm(&mut self, manifest: &Manifest) {
        let armed = match manifest.fuse {
            Fuse::On => true,
            Fuse::Off => false,
            Fuse::Auto => manifest.control_group.is_none(),
        };
        let Some(meter) = self.lookout.meter.as_ref().filter(|_| armed) else { return };
        let stacks = threads_max(manifest) as u64 * STACK_BYTES;
        match fuse::Fuse::new(meter, manifest.memory) {
            Ok(fuse) => {
                let armed = Armed { fuse, stacks };
                armed.set(&self.agents);
                self.armed = Some(armed);
            }
            Err(error) => tracing::warn!("no last fuse: {error:#}"),
        }
    }

    /// The books.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The agents.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Serves until `shutdown`, then drains. Agents load meanwhile: `/readyz` says when they are done.
    ///
    /// # Errors
    ///
    /// When there is no thread to watch memory.
    pub async fn serve(self, listeners: Listeners, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let _watch = self.lookout.start()?;
        let agents = self.agents.clone();
        let missing = self.missing;
        let loading = tokio::spawn(async move {
            tokio::join!(agents.load(), missing.pull(agents.clone()));
            agents.all_settled();
        });
        let moving = self.armed.map(|armed| tokio::spawn(armed.follow(self.agents.clone())));
        let service = self.service.clone();
        let tending = tokio::spawn(async move { service.tend().await });
        let agents = self.agents.clone();
        let following = tokio::spawn(async move { agents.follow().await });
        let document = self.document;
        let cleaning = document.clone();
        let publishing = self.publishing.clone();
        let gathering = tokio::spawn(async move {
            let looking = publishing.look_after(self.failing);
            tokio::join!(document.tend(), cleaning.clean_up(), publishing.tend(), looking);
        });
        http::serve(listeners, self.service.clone(), self.agents, self.http, shutdown).await;
        self.service.end();
        self.publishing.end();
        // A compiling child ends with its task.
        loading.abort();
        tending.abort();
        gathering.abort();
        following.abort();
        moving.inspect(tokio::task::JoinHandle::abort);
        Ok(())
    }
}

/// Builds a host from its manifest and serves until `shutdown`.
///
/// # Errors
///
/// As [`Host::new`].
pub async fn run(
    manifest: &Manifest,
    program: PathBuf,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut host = Host::new(manifest, program, Tenancy::Sole)?;
    host.arm(manifest);
    host.serve(listeners, shutdown).await
}
