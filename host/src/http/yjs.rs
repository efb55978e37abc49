//! A client of the registry's document: frames of a WebSocket (RFC 6455) in, [`Session`] out.
//!
//! Two things tell a client that somebody is there: pings, for proxies, and an update of nothing, since y-websocket drops a
//! connection on which it has *read* nothing for 30 s, and sees no pings.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::post::come_in;
use super::reply::{Connection, closing, plain};
use super::route::Desk;
use crate::access::Principal;
use crate::agent::Unit;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::{Reply, amount};
use crate::registry::schema::json_schema;
use crate::registry::{Close, DOCUMENT, Handle, Next, Outgoing, Session};

/// Bytes of the buffer that frames are read into; it grows to the frame's size, and no further.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Bytes of a frame: a message, and what names it.
const FRAME_BYTES_MAX: usize = stockade_gate::MESSAGE_BYTES_MAX;

/// Bytes of a client's control frame besides what it says (RFC 6455, 5.2): with its mask.
const CONTROL_HEAD_BYTES: usize = 6;

/// Time between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Time without anything from a client, an answer to a ping included, after which it is taken for gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Time for a client to take the frame that says why it is sent away.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Bytes of the schema.
const SCHEMA_BYTES_MAX: u64 = 64 << 10;

/// The document does not exist (y-websocket: final).
const NOT_FOUND: u16 = 4404;

/// Answers with the JSON Schema of an agent's entry in the document. It is the same for everybody.
pub async fn schema(State(desk): State<Desk>, Path(name): Path<String>, request: Request) -> Response {
    let page = match come_in(&desk, &request.into_parts().0) {
        Ok((_, page)) => page,
        Err(refused) => return *refused,
    };
    if name != DOCUMENT {
        return closing(
            desk.app.mcp.refuse(StatusCode::NOT_FOUND, &format!("there is one document, `{DOCUMENT}`")),
            page,
        );
    }
    let mut buffer = Buffer::new(&desk.app.settings.replies, SCHEMA_BYTES_MAX);
    match serde_json::to_writer(&mut buffer, &json_schema()) {
        Ok(()) => {
            let mut response = plain(Reply::json(buffer.into_bytes()), page);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
            response
        }
        Err(_) => match buffer.overflow() {
            Some(Overflow::Refused(refusal)) => closing(desk.app.mcp.refuse_unpaid(&refusal), page),
            _ => closing(desk.app.mcp.refuse(StatusCode::INTERNAL_SERVER_ERROR, "the schema is too long"), page),
        },
    }
}

/// Makes a request a client of the document, if it may be one.
pub async fn connect(desk: &Desk, name: String, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let Some(connection) = parts.extensions.get::<Connection>().cloned() else {
        unreachable!("every request says on which connection it came");
    };
    let (principal, page) = match come_in(desk, &parts) {
        Ok(who) => who,
        Err(refused) => return *refused,
    };
    // A client that names protocols wants one of them: the first, which may be its token, goes back to it alone.
    let named = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let protocol = named.and_then(|named| named.split(',').next()).map(|protocol| protocol.trim().to_owned());
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(_) => {
            let text = "a document is a WebSocket: connect with a Yjs client, such as y-websocket";
            return closing(desk.app.mcp.refuse(StatusCode::UPGRADE_REQUIRED, text), page);
        }
    };
    let (handle, wait) = (desk.app.settings.document.clone(), desk.app.settings.limits.body_wait);
    let guest = Guest { handle, principal, wait };
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .protocols(protocol)
        .on_upgrade(move |socket| serve(socket, connection, name, guest))
}

/// Who connects, and to what.
struct Guest {
    handle: Handle,
    principal: Arc<Principal>,
    /// Time that a message may take to arrive.
    wait: Duration,
}

async fn serve(mut socket: WebSocket, connection: Connection, name: String, who: Guest) {
    let (code, reason) = if name == DOCUMENT {
        match converse(&mut socket, &connection, who).await {
            Ok(()) => return,
            Err(close) => (close.code(), close.reason().to_owned()),
        }
    } else {
        (NOT_FOUND, format!("there is one document, `{DOCUMENT}`"))
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let closing = async {
        if socket.send(close).await.is_ok() {
            // Until the client has said the same: what lies unread when a socket is closed takes the frame with it.
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // A client that takes no reason has none.
    let _ = timeout(CLOSE_WAIT, closing).await;
}

/// What a connection does next.
enum Turn {
    Received(Option<Result<Message, axum::Error>>),
    Told(Next),
    Tick,
    Late,
}

/// Serves a client until it goes, or must.
async fn converse(
    socket: &mut WebSocket,
    connection: &Connection,
    Guest { handle, principal, wait }: Guest,
) -> Result<(), Close> {
    let (mut session, first) = Session::open(handle, principal).await?;
    let mut ticks = interval(KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    // As for a body: who begins a message and does not end it holds memory that others need.
    let mut lates = interval(wait);
    lates.set_missed_tick_behavior(MissedTickBehavior::Delay);
    lates.reset();
    let mut unfinished = false;
    let mut heard = Instant::now();
    let mut replies = first;
    loop {
        for reply in replies.drain(..) {
            if !send(socket, &session, reply).await? {
                return Ok(());
            }
        }
        let turn = tokio::select! {
            received = socket.recv() => Turn::Received(received),
            next = session.next() => Turn::Told(next),
            _ = ticks.tick() => Turn::Tick,
            _ = lates.tick() => Turn::Late,
        };
        match turn {
            Turn::Received(None | Some(Err(_) | Ok(Message::Close(_)))) => return Ok(()),
            Turn::Received(Some(Ok(message))) => {
                heard = Instant::now();
                match message {
                    Message::Binary(frame) => {
                        replies = session.receive(&frame).await?;
                        connection.0.taken();
                        unfinished = false;
                    }
                    Message::Text(_) => return Err(Close::Malformed("messages are binary".to_owned())),
                    // They come between the parts of a message, too, which stay where they are.
                    Message::Ping(said) | Message::Pong(said) => connection.0.taken_of(said.len() + CONTROL_HEAD_BYTES),
                    Message::Close(_) => {}
                }
            }
            Turn::Late => {
                let arriving = connection.0.is_arriving();
                if arriving && unfinished {
                    let wait = amount(wait.as_millis() as u64, Unit::Milliseconds);
                    return Err(Close::Overload(format!(
                        "a message took longer than the limit `http.body_wait` of {wait}"
                    )));
                }
                unfinished = arriving;
                // From now on, however late this was.
                lates.reset();
            }
            Turn::Told(next) => replies.push(session.frame(next).await?),
            Turn::Tick if heard.elapsed() > SILENCE_MAX => return Ok(()),
            Turn::Tick => {
                replies.push(Outgoing::keep_alive());
                if socket.send(Message::Ping(axum::body::Bytes::new())).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Sends a frame; false if the client has gone.
async fn send(socket: &mut WebSocket, session: &Session, frame: Outgoing) -> Result<bool, Close> {
    // The library copies a frame until the client has taken it.
    let _copy = session.pay_copy(&frame)?;
    let bytes = axum::body::Bytes::from_owner(frame);
    Ok(socket.send(Message::Binary(bytes)).await.is_ok())
}
