//! A WebSocket as a server has it (RFC 6455, version 13, no extensions).
//!
//! Of our own, since the libraries at hand keep as much memory for a connection as its largest message has ever taken, and copy
//! what they send. Here a message is read into memory that goes with it, and sent from where it lies.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BufMut as _};
use hyper::upgrade::OnUpgrade;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

/// What a client's key is hashed with (RFC 6455, section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes that are read ahead: the heads of small frames, mostly.
const READ_AHEAD_BYTES: usize = 1 << 10;

/// Bytes by which a message grows while it is read: it may claim to be long, and never come.
const STEP_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// Bytes of a frame's head: two, eight of length, four of mask.
const HEAD_BYTES_MAX: usize = 14;

/// Bytes of what a control frame says (section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Time for a client to take a frame: this, and a second for so many bytes.
const SEND_WAIT: Duration = Duration::from_secs(30);
const SEND_BYTES_A_SECOND: usize = 64 << 10;

const IS_LAST: u8 = 0x80;
const RESERVED: u8 = 0x70;
const IS_MASKED: u8 = 0x80;

/// Kinds of frames (section 5.2).
pub mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// A request that becomes a WebSocket.
pub struct Handshake {
    accept: HeaderValue,
    upgrade: OnUpgrade,
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Binary(Vec<u8>),
    Text,
    Ping(Vec<u8>),
    Pong(usize),
    /// With its code, if it gives one.
    Close(Option<u16>),
}

/// Why nothing more can be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// The client has gone, or its connection has.
    Gone,
    /// It does not keep to the protocol: how (1002).
    Protocol(&'static str),
    /// A message is longer than it may be (1009).
    TooLong { bytes: u64, max: usize },
}

impl Handshake {
    /// None if the request asks for something else.
    pub fn of(request: &mut Parts) -> Option<Self> {
        let says = |name: HeaderName, wanted: &str| {
            let values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
        };
        let asks = request.method == Method::GET
            && says(CONNECTION, "upgrade")
            && says(UPGRADE, "websocket")
            && says(SEC_WEBSOCKET_VERSION, "13");
        let key = request.headers.get(SEC_WEBSOCKET_KEY).filter(|_| asks)?;
        let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(KEY_SUFFIX).finalize();
        let accept = HeaderValue::try_from(BASE64_STANDARD.encode(digest)).ok()?;
        Some(Self { accept, upgrade: request.extensions.remove::<OnUpgrade>()? })
    }

    /// The answer, and what the connection becomes once it is sent.
    pub fn accept(self, protocol: Option<HeaderValue>) -> (Response, OnUpgrade) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        headers.extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
        (response, self.upgrade)
    }
}

/// A connection.
pub struct WebSocket<S> {
    stream: BufReader<S>,
    bytes_max: usize,
    /// Of the frame that comes next, as far as it has come.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The frame that is being read.
    frame: Option<Frame>,
    /// The message that is being read, and its kind.
    message: Vec<u8>,
    kind: Option<u8>,
    /// A control frame, which may come between the parts of a message.
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    is_last: bool,
    /// Bytes, and how many of them are still to come.
    bytes: usize,
    left: usize,
    mask: [u8; 4],
}

impl Frame {
    fn is_control(self) -> bool {
        self.opcode >= opcode::CLOSE
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Over a connection that has been upgraded; no message may be longer than this.
    pub fn new(stream: S, bytes_max: usize) -> Self {
        let stream = BufReader::with_capacity(READ_AHEAD_BYTES, stream);
        let (head, message, control) = ([0; HEAD_BYTES_MAX], Vec::new(), Vec::new());
        Self { stream, bytes_max, head, head_bytes: 0, frame: None, message, kind: None, control }
    }

    /// The next message. Who stops waiting loses nothing.
    ///
    /// # Errors
    ///
    /// When there is none, and never will be.
    pub async fn receive(&mut self) -> Result<Message, Broken> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => self.read_head().await?,
            };
            if frame.left > 0 {
                let into = if frame.is_control() { &mut self.control } else { &mut self.message };
                let step = frame.left.min((into.len() / 4).clamp(*STEP_BYTES.start(), *STEP_BYTES.end()));
                into.reserve_exact(step);
                let read = self.stream.read_buf(&mut into.limit(step)).await;
                let read = read.ok().filter(|read| *read > 0).ok_or(Broken::Gone)?;
                self.frame = Some(Frame { left: frame.left - read, ..frame });
            } else if let Some(message) = self.end_frame(frame) {
                return Ok(message);
            }
        }
    }

    /// Reads the head of a frame, and no further.
    async fn read_head(&mut self) -> Result<Frame, Broken> {
        loop {
            let wanted = match (self.head_bytes, self.head[1] & !IS_MASKED) {
                (0 | 1, _) => 2,
                (_, 127) => 2 + 8 + 4,
                (_, 126) => 2 + 2 + 4,
                _ => 2 + 4,
            };
            if self.head_bytes == wanted {
                break;
            }
            let read = self.stream.read(&mut self.head[self.head_bytes..wanted]).await;
            self.head_bytes += read.ok().filter(|read| *read > 0).ok_or(Broken::Gone)?;
            if self.head_bytes >= 2 && self.head[1] & IS_MASKED == 0 {
                return Err(Broken::Protocol("a client's frames are masked"));
            }
        }
        let frame = self.parse_head()?;
        (self.head_bytes, self.frame) = (0, Some(frame));
        Ok(frame)
    }

    fn parse_head(&mut self) -> Result<Frame, Broken> {
        let mut head = &self.head[..self.head_bytes];
        let (first, second) = (head.get_u8(), head.get_u8());
        let (bytes, least) = match second & !IS_MASKED {
            127 => (head.get_u64(), 1 << 16),
            126 => (head.get_u16().into(), 126),
            bytes => (bytes.into(), 0),
        };
        let mut mask = [0; 4];
        head.copy_to_slice(&mut mask);
        let (opcode, is_last) = (first & 0x0f, first & IS_LAST != 0);
        let is_control = opcode >= opcode::CLOSE;
        if first & RESERVED != 0 || matches!(opcode, 3..=7 | 11..) {
            return Err(Broken::Protocol("a frame of a kind that nobody has agreed on"));
        }
        if bytes < least || bytes > i64::MAX as u64 {
            return Err(Broken::Protocol("a length is not as short as it can be"));
        }
        if is_control && (!is_last || bytes > CONTROL_BYTES_MAX as u64) {
            return Err(Broken::Protocol("a control frame is long, or in parts"));
        }
        if opcode == opcode::CONTINUATION && !is_last && bytes == 0 {
            return Err(Broken::Protocol("a part of a message has nothing in it, and more are to come"));
        }
        if !is_control {
            if (opcode == opcode::CONTINUATION) != self.kind.is_some() {
                return Err(Broken::Protocol("parts of messages are mixed up"));
            }
            let bytes = bytes + self.message.len() as u64;
            if bytes > self.bytes_max as u64 {
                return Err(Broken::TooLong { bytes, max: self.bytes_max });
            }
            self.kind.get_or_insert(opcode);
        }
        Ok(Frame { opcode, is_last, bytes: bytes as usize, left: bytes as usize, mask })
    }

    /// A frame has come whole: a message, if it was the last one of it.
    fn end_frame(&mut self, frame: Frame) -> Option<Message> {
        self.frame = None;
        let into = if frame.is_control() { &mut self.control } else { &mut self.message };
        let begins = into.len() - frame.bytes;
        unmask(&mut into[begins..], frame.mask);
        if !frame.is_last {
            return None;
        }
        let said = std::mem::take(into);
        Some(match frame.opcode {
            opcode::PING => Message::Ping(said),
            opcode::PONG => Message::Pong(said.len()),
            opcode::CLOSE => Message::Close(said.first_chunk().map(|code| u16::from_be_bytes(*code))),
            _ if self.kind.take() == Some(opcode::TEXT) => Message::Text,
            _ => Message::Binary(said),
        })
    }

    /// Sends a frame; false if the client has gone, or takes it too slowly.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) -> bool {
        let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
        head.put_u8(IS_LAST | opcode);
        match payload.len() {
            short @ ..=125 => head.put_u8(short as u8),
            middle @ ..=0xffff => {
                head.put_u8(126);
                head.put_u16(middle as u16);
            }
            long => {
                head.put_u8(127);
                head.put_u64(long as u64);
            }
        }
        let wait = SEND_WAIT + Duration::from_secs((payload.len() / SEND_BYTES_A_SECOND) as u64);
        let mut frame = Buf::chain(head.as_slice(), payload);
        matches!(timeout(wait, self.stream.write_all_buf(&mut frame)).await, Ok(Ok(())))
    }

    /// Reads what still comes, whatever it is, until nothing does: what lies unread when a connection is closed takes with it what
    /// was sent last. `read` hears of each piece.
    pub async fn drain(&mut self, read: impl Fn()) {
        let mut piece = [0; READ_AHEAD_BYTES];
        while self.stream.read(&mut piece).await.is_ok_and(|bytes| bytes > 0) {
            read();
        }
    }

    /// Says why the connection ends.
    pub async fn close(&mut self, code: u16, reason: &str) -> bool {
        let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - size_of::<u16>())];
        self.send(opcode::CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()).await
    }
}

impl Broken {
    /// As a close frame says it (section 7.4.1).
    pub fn code(&self) -> u16 {
        match self {
            Self::Gone => 1006,
            Self::Protocol(_) => 1002,
            Self::TooLong { .. } => 1009,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client has gone"),
            Self::Protocol(how) => f.write_str(how),
            Self::TooLong { bytes, max } => write!(f, "a message of {bytes} bytes, and {max} are allowed"),
        }
    }
}

/// Each byte with one of the mask, in turn (section 5.3).
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    for four in bytes.chunks_mut(4) {
        four.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests;
