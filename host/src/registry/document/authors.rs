//! Who writes as which client.
//!
//! Every client knows the ids of all others. What one writes as another takes the place of what that one writes next: it would
//! believe its edit stored, and nobody would ever see it. So an id is of whoever has written as it first, from then on and for
//! as long as the epoch lasts. Whoever takes an id before its first edit gains nothing by it: y-websocket's clients take another
//! one when they hear of that.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Refused;
use crate::access::Principal;
use crate::manifest::Role;

/// Bytes that an id takes, with its owner.
const AUTHOR_BYTES: usize = 64;

/// Principals, by the ids that are theirs. There are as many as the gate knows clients.
#[derive(Debug, Default)]
pub struct Authors {
    by_client: BTreeMap<u64, Arc<str>>,
    /// Those that are not stored yet.
    new: Vec<(u64, Arc<str>)>,
}

impl Authors {
    /// Those that were stored.
    pub fn of(by_client: BTreeMap<u64, Arc<str>>) -> Self {
        Self { by_client, new: Vec::new() }
    }

    /// Whether somebody may write as a client. Operators may bring what others have written.
    ///
    /// # Errors
    ///
    /// When it is another's.
    pub fn check(&self, client: u64, by: &Principal) -> Result<(), Refused> {
        match self.by_client.get(&client).filter(|author| **author != by.name && by.role != Role::Operator) {
            Some(author) => Err(Refused::Taken { client, author: author.clone() }),
            None => Ok(()),
        }
    }

    /// Notes that somebody writes as a client.
    pub fn note(&mut self, client: u64, by: &Principal) {
        self.by_client.entry(client).or_insert_with(|| {
            self.new.push((client, by.name.clone()));
            by.name.clone()
        });
    }

    /// Those that have come since this was asked last.
    pub fn take_new(&mut self) -> Vec<(u64, Arc<str>)> {
        std::mem::take(&mut self.new)
    }

    /// All.
    pub fn all(&self) -> &BTreeMap<u64, Arc<str>> {
        &self.by_client
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        self.by_client.len() * AUTHOR_BYTES
    }
}
