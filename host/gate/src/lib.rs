//! Reads foreign Yjs bytes, bounded and without recursion, before a Yjs library may see them; and knows what they would touch.
//!
//! A Yjs library trusts its peers. Of yrs 0.28.1 it was measured that 35 bytes free memory twice, that 14 kB overflow the
//! stack, and that four claim ten gigabytes. So no byte reaches it that has not passed here:
//!
//! 1. [`Update::read`] reads an update in the first format (`Y.encodeStateAsUpdate`) and refuses whatever no client of
//!    the registry's document writes: [`Malformed`].
//! 2. [`Ledger::check`] holds it against all structs it has admitted, and says which agents and fields it [touches](Touch),
//!    so that the sender's rights can be checked before anything has happened.
//! 3. [`Ledger::admit`] enters what a library has applied in the meantime.
//!
//! [`Message`] reads the frames of the y-websocket protocol, [`awareness`] what clients say of themselves.
//!
//! The document has one root, the map `agents`, of maps of values: no texts, no lists, no documents within documents.
//!
//! # Layout
//!
//! - `bytes`: numbers, strings and buffers of lib0, within what is there.
//! - `any`: one value, read over without recursion.
//! - `update`: an update, as structs and deletions.
//! - `ledger`: every struct of the document, in 16 bytes; `ledger/check` resolves what an update adds into what is
//!   `ledger/checked`, `ledger/ranges` what
//!   it deletes, `ledger/names` the agents and fields.
//! - `message`, `awareness`, `vector`: what else travels on a socket.
//!
//! Invariant: what passes can be applied in the order of its dependencies, touches nothing but what was said, and leaves
//! nothing pending.

#![forbid(unsafe_code)]
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod any;
pub mod awareness;
mod bytes;
#[doc(hidden)]
pub mod draft;
mod ledger;
mod malformed;
mod message;
#[cfg(test)]
mod tests;
mod update;
mod vector;

pub use ledger::{Burden, Capacity, Checked, Ledger, Standing, Touch};
pub use malformed::Malformed;
pub use message::Message;
pub use update::{Id, Limits, PART_BYTES, Update};
pub use vector::StateVector;

/// The root of the document.
pub const ROOT: &str = "agents";

/// Client ids are safe integers of JavaScript.
pub const CLIENT_MAX: u64 = (1 << 53) - 1;

/// No clock of any client goes beyond: 2^31 - 1.
pub const CLOCK_MAX: u32 = i32::MAX as u32;

/// Bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the name of an agent or field.
pub const KEY_BYTES_MAX: usize = 512;

/// How deep a value may be nested.
pub const ANY_DEPTH_MAX: usize = 32;
