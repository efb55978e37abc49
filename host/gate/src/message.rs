//! The frames of a socket: one message each (y-protocols, `sync.js`, `auth.js`; y-websocket).

use crate::bytes::{Bytes, put_buffer, put_number};
use crate::{MESSAGE_BYTES_MAX, Malformed};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const ASK_AWARENESS: u64 = 3;

const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;

/// A message. What is in it has its own reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// What the sender has, so that it can be sent the rest: a [state vector](crate::StateVector).
    Step1(&'a [u8]),
    /// What the receiver has not: an [update](crate::Update).
    Step2(&'a [u8]),
    /// What has just happened: an [update](crate::Update).
    Update(&'a [u8]),
    /// [What clients say of themselves](crate::awareness).
    Awareness(&'a [u8]),
    /// Asks for that.
    AskAwareness,
    /// Tells a client that it may not, and why. None that a client sends.
    Denied(&'a str),
}

impl<'a> Message<'a> {
    /// An update that changes nothing: tells a client that somebody is there, which pings do not.
    pub const KEEP_ALIVE: Message<'static> = Message::Update(&[0, 0]);

    /// Reads a frame of a client's.
    ///
    /// # Errors
    ///
    /// When it is none, or one that only servers send.
    pub fn read(frame: &'a [u8]) -> Result<Self, Malformed> {
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed::beyond("bytes of a message", MESSAGE_BYTES_MAX as u64, frame.len() as u64));
        }
        let mut bytes = Bytes(frame);
        let message = match bytes.number()? {
            SYNC => match bytes.number()? {
                STEP_1 => Self::Step1(bytes.buffer()?),
                STEP_2 => Self::Step2(bytes.buffer()?),
                UPDATE => Self::Update(bytes.buffer()?),
                tag => return Err(Malformed::Foreign { what: "step of the sync protocol", tag }),
            },
            AWARENESS => Self::Awareness(bytes.buffer()?),
            ASK_AWARENESS => Self::AskAwareness,
            tag => return Err(Malformed::Foreign { what: "message", tag }),
        };
        bytes.end()?;
        Ok(message)
    }

    /// Writes the frame.
    pub fn write(&self) -> Vec<u8> {
        let (heads, body): (&[u64], &[u8]) = match self {
            Self::Step1(body) => (&[SYNC, STEP_1], body),
            Self::Step2(body) => (&[SYNC, STEP_2], body),
            Self::Update(body) => (&[SYNC, UPDATE], body),
            Self::Awareness(body) => (&[AWARENESS], body),
            Self::AskAwareness => return vec![ASK_AWARENESS as u8],
            // Permission denied is the only kind there is.
            Self::Denied(reason) => (&[AUTH, 0], reason.as_bytes()),
        };
        let mut frame = Vec::with_capacity(heads.len() + 5 + body.len());
        heads.iter().for_each(|head| put_number(*head, &mut frame));
        put_buffer(body, &mut frame);
        frame
    }
}
