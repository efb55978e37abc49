//! `stockade serve`: from the arguments to a running host, and to its end.

use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::descriptors::Descriptors;
use super::{Stop, THIS_PROGRAM, log, overrides, port, say};
use crate::Listeners;
use crate::manifest::{Manifest, Overrides, parse_address};
use crate::memory::allocator;

const EXAMPLES: &str = "\
Examples:
  stockade serve                            serve ./manifest.yaml
  stockade serve --listen 127.0.0.1:0       on a free port, which is printed";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The manifest
    #[arg(long, value_name = "FILE", default_value = "manifest.yaml")]
    manifest: PathBuf,
    /// Where MCP clients connect, instead of the manifest's `listen`; port 0 is any free port
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address)]
    listen: Option<SocketAddr>,
    /// Where operators connect, instead of the manifest's `admin`
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address)]
    admin: Option<SocketAddr>,
    /// Directory of the host's own data, instead of the manifest's `data`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn serve(options: &Options) -> Result<(), Stop> {
    let overrides = Overrides {
        listen: options.listen,
        admin: options.admin,
        data: options.data.clone(),
        ..overrides(port().as_deref())?
    };
    let manifest = Manifest::load(&options.manifest, &overrides)?;
    let runtime = prepare(&manifest)?;
    for warning in &manifest.warnings {
        tracing::warn!(place = warning.location(), "{}; {}", warning.message, warning.suggestion);
    }
    let done = runtime.block_on(run(&manifest));
    // What still blocks now, such as a read from a dead network disk, must not keep the process alive.
    runtime.shutdown_background();
    Ok(done?)
}

/// Makes the process one that serves this manifest: its log, its limits, its threads.
pub(super) fn prepare(manifest: &Manifest) -> Result<Runtime, Stop> {
    log::start(manifest.log, std::env::var("RUST_LOG").ok().as_deref())?;
    match Descriptors::raise().map(|descriptors| descriptors.shortage(manifest)) {
        Ok(None) => {}
        Ok(Some(shortage)) => tracing::warn!("{shortage}"),
        Err(error) => tracing::warn!("{error:#}"),
    }
    if let Err(error) = allocator::configure() {
        tracing::warn!("{error:#}");
    }
    let threads = crate::threads_max(manifest);
    let runtime = runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build();
    Ok(runtime.context("cannot start threads")?)
}

async fn run(manifest: &Manifest) -> anyhow::Result<()> {
    let program = PathBuf::from(THIS_PROGRAM);
    // First, so that a signal during a slow start is not lost.
    let mut signals = Signals::install()?;
    let listeners = listen(manifest).await?;
    announce(&listeners)?;
    let serve = async |stopped: oneshot::Receiver<()>| {
        crate::run(manifest, program, listeners, async { drop(stopped.await) }).await
    };
    until_signals(&mut signals, manifest.drain, serve).await
}

/// Serves until a signal comes, which `serve` is told of, and running calls have ended, or until a second signal.
pub(super) async fn until_signals(
    signals: &mut Signals,
    drain: Duration,
    serve: impl AsyncFnOnce(oneshot::Receiver<()>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let hurried = async {
        let name = signals.next().await;
        tracing::info!(signal = name, drain_ms = drain.as_millis() as u64, "stopping; running calls may end");
        let _ = stop.send(());
        signals.next().await
    };
    tokio::select! {
        served = Box::pin(serve(stopped)) => served,
        name = hurried => Err(anyhow!("ended at once by a second signal, {name}: running calls were cut off")),
    }
}

/// Both addresses of a manifest, bound.
pub(super) async fn listen(manifest: &Manifest) -> anyhow::Result<Listeners> {
    Ok(Listeners { public: bind(manifest.listen, "--listen").await?, admin: bind(manifest.admin, "--admin").await? })
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::AddrInUse => format!("address in use: another stockade? try {flag} 127.0.0.1:0"),
            ErrorKind::AddrNotAvailable => format!("this machine has no such address: try {flag} 127.0.0.1:0"),
            ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege: try {flag} {}", SocketAddr::new(address.ip(), 8080))
            }
            _ => error.to_string(),
        };
        anyhow!("cannot listen on {address}: {reason}")
    })
}

/// The one line on standard output, for people and for scripts that chose port 0.
fn announce(listeners: &Listeners) -> anyhow::Result<()> {
    let (public, admin) = (listeners.public.local_addr()?, listeners.admin.local_addr()?);
    say(&format!("listening on http://{public} (admin http://{admin})\n"));
    Ok(())
}

/// The two signals that end a host politely.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn install() -> anyhow::Result<Self> {
        let install = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self { terminate: install(SignalKind::terminate())?, interrupt: install(SignalKind::interrupt())? })
    }

    /// The name of the next signal.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => pending().await,
        }
    }
}
