//! One listener: who gets a connection, hyper's loop on each, and how all of them end.
//!
//! A connection needs a seat. When all seats are taken, a few spare ones remain, on which health is answered and
//! everything else is refused with a hint to come back; beyond those nothing is accepted, and clients wait in the
//! kernel's queue.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use stockade_ledger::{Account, Charge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::again::Again;
use super::reply::Connection;
use super::socket::{Head, Socket, Traffic};
use crate::manifest::HttpLimits;
use crate::memory::each;

/// Connections beyond the limit that are accepted to be refused politely.
const SPARE_CONNECTIONS: usize = 16;

/// Time for a head to arrive on a spare connection, which nobody may keep.
const SPARE_HEADER_WAIT: Duration = Duration::from_secs(2);

/// Polls in a row of a connection that wakes itself.
const POLLS_MAX: u32 = 8;

/// Smallest buffer hyper takes.
const HYPER_BUFFER_BYTES_MIN: usize = 8 << 10;

/// Pause after a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener is served.
#[derive(Debug)]
pub struct Serving {
    pub routes: Router,
    /// What is served on spare connections.
    pub overflow: Router,
    pub connections: usize,
    pub limits: HttpLimits,
    pub drain: Duration,
    /// Counts what goes over the connections.
    pub traffic: Traffic,
    /// Pays for connections; what operators need is part of what the host itself takes.
    pub paid_by: Option<Account>,
    /// Pays for heads of requests while they arrive and until they are answered.
    pub heads: Account,
}

/// Where the listener is in its life; each connection follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Requests that run may end; nothing new begins.
    Draining,
    /// Nothing may go on.
    Closing,
}

/// The right to one connection.
#[derive(Debug)]
enum Seat {
    Regular { _permit: OwnedSemaphorePermit, _charge: Option<Charge> },
    Spare { _permit: OwnedSemaphorePermit },
}

/// Serves until `shutdown` is done, then drains.
pub async fn serve(listener: TcpListener, serving: Serving, shutdown: impl Future<Output = ()>) {
    let seats = Arc::new(Semaphore::new(serving.connections));
    let spare = Arc::new(Semaphore::new(SPARE_CONNECTIONS));
    let (stage, _) = watch::channel(Stage::Serving);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &seats, &spare, serving.paid_by.as_ref()) => accepted,
        };
        match accepted {
            Ok((stream, seat)) => {
                tokio::spawn(connection(stream, seat, &serving, stage.subscribe()));
            }
            // The client was gone before we looked.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stage.send_replace(Stage::Draining);
    if tokio::time::timeout(serving.drain, stage.closed()).await.is_err() {
        tracing::warn!(connections = stage.receiver_count(), "drain is over: closing what still runs");
        stage.send_replace(Stage::Closing);
        stage.closed().await;
    }
}

async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
    spare: &Arc<Semaphore>,
    paid_by: Option<&Account>,
) -> std::io::Result<(TcpStream, Seat)> {
    let spare = spare.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    // A reply is written in one go: nothing is won by waiting for more, and a client's delayed ACK would cost 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    // A connection that nobody can pay for is refused as one too many is.
    let charged = paid_by.map(|account| account.charge(each::CONNECTION)).transpose();
    let seat = match (seats.clone().try_acquire_owned(), charged) {
        (Ok(permit), Ok(charge)) => Seat::Regular { _permit: permit, _charge: charge },
        _ => Seat::Spare { _permit: spare },
    };
    Ok((stream, seat))
}

/// One connection, from its first byte to its last. Holds the receiver until the end, which is what a drain waits for.
fn connection(
    stream: TcpStream,
    seat: Seat,
    serving: &Serving,
    mut stage: watch::Receiver<Stage>,
) -> impl Future<Output = ()> + use<> {
    let (routes, header_wait, keep_alive) = match &seat {
        Seat::Regular { .. } => (serving.routes.clone(), serving.limits.header_wait, true),
        Seat::Spare { .. } => (serving.overflow.clone(), serving.limits.header_wait.min(SPARE_HEADER_WAIT), false),
    };
    let headers = usize::try_from(serving.limits.headers).unwrap_or(usize::MAX);
    let head = Arc::new(Head::new(&serving.heads));
    let socket = Socket::new(stream, serving.limits.stream_stall, head.clone(), serving.traffic.clone());
    // A drain waits for the end of the socket, whatever has become of it.
    let socket = socket.keeping((seat, stage.clone()));
    let on = head.clone();
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let in_request = head.begin();
        request.extensions_mut().insert(Connection(head.clone()));
        let response = routes.call(request);
        async move {
            let response: Result<Response, Infallible> = response.await;
            drop(in_request);
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_wait)
        .max_header_size(headers)
        .max_buf_size(headers.max(HYPER_BUFFER_BYTES_MIN))
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    async move {
        tokio::pin!(connection);
        let again = Again::new();
        let mut left_to_end = false;
        loop {
            tokio::select! {
                ended = poll_fn(|cx| {
                    // What a stream waits for comes from another thread, which finds somebody awake if this one had others
                    // go on: a tenth more of a large resource, measured.
                    let polls_max = if on.is_streaming() { 1 } else { POLLS_MAX };
                    again.poll(connection.as_mut(), polls_max, cx)
                }) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended early");
                    }
                    return;
                }
                changed = stage.changed() => match *stage.borrow_and_update() {
                    Stage::Draining if changed.is_ok() && !left_to_end => {
                        left_to_end = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Stage::Serving | Stage::Draining if changed.is_ok() => {}
                    _ => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
