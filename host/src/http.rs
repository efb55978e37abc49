//! HTTP: sockets in, [`mcp`] out. The only room that names axum and hyper.
//!
//! Owns what a client may take from us before a message is even parsed: a connection, header bytes, a place among the
//! requests in flight, body bytes, time. Each is a bound with a name in the manifest's `http`, each refusal says which
//! one.
//!
//! # Layout, along one request's way
//!
//! - `listen`: accept, seats, the hyper loop, drain. `again`: that loop's turns. `socket`: the stream below hyper: charged
//!   heads, ended stalls.
//! - `route`: the one table of paths. `gate`: Host, Origin and what browsers need. `identify`: who asks.
//! - `post`: an MCP message, or a stream to hear of more. `accept`: what may come back. `body`: its bytes. `reply`: the answer.
//! - `resource`, `range`: a resource as plain bytes. `health`: `/livez`, `/readyz`, `/healthz`. `status`, `metrics`: what
//!   operators see.
//! - `entries`: the registry's entries, for operators. `versions`: of an agent, for its publishers. `oci`: what is published, for clients of registries.
//! - `yjs`: a client of the registry's document, by WebSocket.
//! - `ask`: the other side, for the command line: a question to a running host.

mod accept;
mod again;
pub mod ask;
mod body;
mod entries;
mod gate;
mod health;
mod identify;
mod listen;
mod metrics;
mod oci;
mod post;
mod range;
mod reply;
mod resource;
mod route;
mod rows;
mod socket;
mod status;
mod versions;
mod websocket;
mod yjs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stockade_ledger::{Account, Ledger};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Listeners;
use crate::access::{Access, Places};
use crate::agent::Agents;
use crate::manifest::{HttpLimits, Manifest};
use crate::mcp;
use crate::memory::{Accounts, Pressure, Thresholds};
use crate::publish::Publishing;
use crate::registry::Handle;
use identify::Reach;
use socket::Traffic;

/// Connections of the listener for operators; they do not compete with clients for places.
const ADMIN_CONNECTIONS: usize = 64;

/// What the manifest says about HTTP, and the accounts that pay.
#[derive(Debug)]
pub struct Settings {
    gate: gate::Gate,
    access: Access,
    limits: HttpLimits,
    /// Whether the transport of 2024-11-05 is served.
    sse: bool,
    drain: std::time::Duration,
    /// Pays for heads and bodies of requests.
    requests: Account,
    /// Pays for what the pages of health and `/status` say.
    health: Account,
    /// Pays for what `/metrics` says: more than health answers can spare.
    replies: Account,
    /// Pays for connections of clients.
    connections: Account,
    /// Read by `/status` and the other pages for operators.
    ledger: Ledger,
    pressure: Pressure,
    memory: u64,
    thresholds: Thresholds,
    /// The registry's document, for its clients.
    document: Handle,
    /// What is published.
    publishing: Publishing,
}

/// What is served besides MCP.
#[derive(Debug)]
pub struct Stores {
    pub document: Handle,
    pub publishing: Publishing,
}

impl Settings {
    pub fn new(manifest: &Manifest, access: Access, accounts: &Accounts, stores: Stores) -> Self {
        let Stores { document, publishing } = stores;
        Self {
            gate: gate::Gate::new(&manifest.hosts, &manifest.origins),
            access,
            limits: manifest.http,
            sse: manifest.transports.sse,
            drain: manifest.drain,
            requests: accounts.requests.clone(),
            health: accounts.health.clone(),
            replies: accounts.replies.clone(),
            connections: accounts.connections.clone(),
            ledger: accounts.ledger.clone(),
            pressure: accounts.pressure.clone(),
            memory: manifest.memory,
            thresholds: manifest.pressure,
            document,
            publishing,
        }
    }
}

/// What all requests share.
struct App {
    mcp: Arc<mcp::Service>,
    agents: Agents,
    settings: Settings,
    in_flight: Places,
    traffic: Traffic,
    draining: AtomicBool,
}

/// Who a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// MCP clients.
    Public,
    /// Operators and their probes.
    Admin,
}

/// Serves both listeners until `shutdown` is done; then takes nothing new, lets running requests end for at most the
/// manifest's `drain`, closes what is left and returns.
pub async fn serve(
    listeners: Listeners,
    service: Arc<mcp::Service>,
    agents: Agents,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) {
    let app = Arc::new(App {
        mcp: service,
        agents,
        in_flight: Places::new("in-flight", "requests", settings.limits.in_flight),
        settings,
        traffic: Traffic::default(),
        draining: AtomicBool::new(false),
    });
    let (stop, stopped) = watch::channel(false);
    let shutdown = async {
        shutdown.await;
        app.draining.store(true, Ordering::Relaxed);
        // Streams would outlast any drain: they end with a last word instead.
        app.mcp.close();
        app.settings.document.close();
        stop.send_replace(true);
    };
    let public = app.listen(listeners.public, Audience::Public, stopped.clone());
    let admin = app.listen(listeners.admin, Audience::Admin, stopped);
    tokio::join!(shutdown, public, admin);
}

impl App {
    /// Whether the host is about to stop.
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    async fn listen(self: &Arc<Self>, listener: TcpListener, audience: Audience, mut stopped: watch::Receiver<bool>) {
        let limits = self.settings.limits;
        let reach = Reach::of(&listener);
        let connections = match audience {
            Audience::Public => limits.connections as usize,
            Audience::Admin => ADMIN_CONNECTIONS,
        };
        let desk = |admission| route::Desk { app: self.clone(), reach, admission, connections };
        let routes = |admission| route::table(audience, desk(admission));
        let serving = listen::Serving {
            routes: routes(route::Admission::Open),
            overflow: routes(route::Admission::Full),
            connections,
            limits,
            drain: self.settings.drain,
            traffic: self.traffic.clone(),
            paid_by: match audience {
                Audience::Public => Some(self.settings.connections.clone()),
                Audience::Admin => None,
            },
            // Clients that hold all of theirs must not keep operators out.
            heads: match audience {
                Audience::Public => self.settings.requests.clone(),
                Audience::Admin => self.settings.health.clone(),
            },
        };
        let shutdown = async move {
            // An error means that nobody is left who could say stop, and so it is one.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        listen::serve(listener, serving, shutdown).await;
    }
}

#[cfg(test)]
mod tests;
