//! A client of the registry's document: frames of a WebSocket (RFC 6455) in, [`Session`] out.
//!
//! Two things tell a client that somebody is there: pings, for proxies, and an update of nothing, since y-websocket drops a
//! connection on which it has *read* nothing for 30 s, and sees no pings.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use stockade_gate::MESSAGE_BYTES_MAX;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::post::come_in;
use super::reply::{Connection, closing, plain};
use super::route::{Admission, Desk};
use super::websocket::{Broken, Handshake, Message, WebSocket, opcode};
use crate::access::Principal;
use crate::agent::Unit;
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::{Reply, amount};
use crate::registry::schema::json_schema;
use crate::registry::{Close, DOCUMENT, Handle, Next, Outgoing, Session};

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

/// The client goes (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;

/// The document does not exist, or the token is none (y-websocket: final).
const NOT_FOUND: u16 = 4404;
const UNAUTHORIZED: u16 = 4401;

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
    // A client that names protocols wants one of them: the first, which may be its token, goes back to it alone.
    let named = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let protocol = named.and_then(|named| named.split(',').next()).map(|protocol| protocol.trim().to_owned());
    let (admitted, handshake) = (come_in(desk, &parts), Handshake::of(&mut parts));
    let is_stranger =
        |refused: &Response| refused.status() == StatusCode::UNAUTHORIZED && desk.admission == Admission::Open;
    let (guest, handshake) = match (admitted, handshake) {
        (Ok((principal, _)), Some(handshake)) => {
            let (handle, wait) = (desk.app.settings.document.clone(), desk.app.settings.limits.body_wait);
            (Some(Guest { handle, principal, wait }), handshake)
        }
        (Ok((_, page)), None) => {
            let text = "a document is a WebSocket: connect with a Yjs client, such as y-websocket";
            let mut refused = closing(desk.app.mcp.refuse(StatusCode::UPGRADE_REQUIRED, text), page);
            refused.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            return refused;
        }
        // A client in a browser sees no status, and would come again for ever: it is told why it is sent away.
        (Err(refused), Some(handshake)) if is_stranger(&refused) => (None, handshake),
        (Err(refused), _) => return *refused,
    };
    let (response, upgrade) = handshake.accept(protocol.and_then(|protocol| HeaderValue::try_from(protocol).ok()));
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            serve(WebSocket::new(TokioIo::new(upgraded), MESSAGE_BYTES_MAX), connection, name, guest).await;
        }
    });
    response
}

/// What a client of a document is connected by.
type Socket = WebSocket<TokioIo<Upgraded>>;

/// Who connects, and to what.
struct Guest {
    handle: Handle,
    principal: Arc<Principal>,
    /// Time that a message may take to arrive.
    wait: Duration,
}

/// Why a connection ends: the code of a close frame, and its reason. None if nobody is there any more.
type End = Option<(u16, String)>;

async fn serve(mut socket: Socket, connection: Connection, name: String, who: Option<Guest>) {
    let end = match who {
        None => Some((UNAUTHORIZED, "it takes a token that this host knows".to_owned())),
        Some(who) if name == DOCUMENT => converse(&mut socket, &connection, who).await,
        Some(_) => Some((NOT_FOUND, format!("there is one document, `{DOCUMENT}`"))),
    };
    let Some((code, reason)) = end else { return };
    let closing = async {
        if !socket.close(code, &reason).await {
            return;
        }
        // Until the client has said the same.
        loop {
            match socket.receive().await {
                Ok(Message::Close(_)) | Err(Broken::Gone) => return,
                Ok(_) => connection.0.taken(),
                Err(Broken::Protocol(_) | Broken::TooLong { .. }) => {
                    return socket.drain(|| connection.0.taken()).await;
                }
            }
        }
    };
    // A client that takes no reason has none.
    let _ = timeout(CLOSE_WAIT, closing).await;
}

/// What a connection does next.
enum Turn {
    Received(Result<Message, Broken>),
    Told(Next),
    Tick,
    Late,
}

/// Serves a client until it goes, or must.
async fn converse(socket: &mut Socket, connection: &Connection, Guest { handle, principal, wait }: Guest) -> End {
    let (mut session, mut replies) = match Session::open(handle, principal).await {
        Ok(opened) => opened,
        Err(close) => return end(&close),
    };
    let mut ticks = interval(KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    // As for a body: who begins a message and does not end it holds memory that others need.
    let mut lates = interval(wait);
    lates.set_missed_tick_behavior(MissedTickBehavior::Delay);
    lates.reset();
    let (mut unfinished, mut heard) = (false, Instant::now());
    loop {
        for reply in replies.drain(..) {
            if !socket.send(opcode::BINARY, reply.bytes()).await {
                return None;
            }
        }
        if let Some(more) = session.more() {
            replies.push(more);
            continue;
        }
        let turn = tokio::select! {
            received = socket.receive() => Turn::Received(received),
            next = session.next() => Turn::Told(next),
            _ = ticks.tick() => Turn::Tick,
            _ = lates.tick() => Turn::Late,
        };
        match turn {
            Turn::Received(Ok(message)) => {
                heard = Instant::now();
                match take(socket, connection, &mut session, message).await {
                    Ok(more) => replies = more,
                    Err(end) => return end,
                }
                unfinished &= connection.0.is_arriving();
            }
            Turn::Received(Err(Broken::Gone)) => return None,
            Turn::Received(Err(broken)) => return Some((broken.code(), broken.to_string())),
            Turn::Late => {
                let arriving = connection.0.is_arriving();
                if arriving && unfinished {
                    let wait = amount(wait.as_millis() as u64, Unit::Milliseconds);
                    let late = format!("a message took longer than the limit `http.body_wait` of {wait}");
                    return end(&Close::Overload(late));
                }
                unfinished = arriving;
                // From now on, however late this was.
                lates.reset();
            }
            Turn::Told(next) => match session.frame(next).await {
                Ok(frame) => replies.extend(frame),
                Err(close) => return end(&close),
            },
            Turn::Tick if heard.elapsed() > SILENCE_MAX => return None,
            Turn::Tick => {
                replies.push(Outgoing::keep_alive());
                if !socket.send(opcode::PING, b"").await {
                    return None;
                }
            }
        }
    }
}

/// Takes a message; answers with what is to be sent back.
async fn take(
    socket: &mut Socket,
    connection: &Connection,
    session: &mut Session,
    message: Message,
) -> Result<Vec<Outgoing>, End> {
    match message {
        Message::Binary(message) => {
            let replies = session.receive(&message).await.map_err(|close| end(&close))?;
            drop(message);
            connection.0.taken();
            return Ok(replies);
        }
        Message::Text => return Err(end(&Close::Malformed("messages are binary".to_owned()))),
        // They come between the parts of a message, too, which stay where they are.
        Message::Ping(said) => {
            connection.0.taken_of(said.len() + CONTROL_HEAD_BYTES);
            if !socket.send(opcode::PONG, &said).await {
                return Err(None);
            }
        }
        Message::Pong(bytes) => connection.0.taken_of(bytes + CONTROL_HEAD_BYTES),
        // It hears its own code, and the connection ends (RFC 6455, 5.5.1).
        Message::Close(code) => {
            socket.close(code.unwrap_or(NORMAL), "").await;
            return Err(None);
        }
    }
    Ok(Vec::new())
}

fn end(close: &Close) -> End {
    Some((close.code(), close.reason().to_owned()))
}
