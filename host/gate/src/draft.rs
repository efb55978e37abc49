//! Updates as clients write them, and as none does: for tests and fuzzers.

use crate::Id;
use crate::bytes::{put_buffer, put_number};

/// An update being written.
#[derive(Debug, Default, Clone)]
pub struct Draft {
    sections: Vec<(u64, u32, Vec<Vec<u8>>)>,
    deleted: Vec<(u64, Vec<[u32; 2]>)>,
}

impl Draft {
    /// Structs of one client.
    pub fn section(mut self, client: u64, clock: u32, structs: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.sections.push((client, clock, structs.into_iter().collect()));
        self
    }

    /// Ranges as a clock and a length.
    pub fn delete(mut self, client: u64, ranges: &[[u32; 2]]) -> Self {
        self.deleted.push((client, ranges.to_vec()));
        self
    }

    /// The update.
    pub fn bytes(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put_number(self.sections.len() as u64, &mut to);
        for (client, clock, structs) in &self.sections {
            for number in [structs.len() as u64, *client, u64::from(*clock)] {
                put_number(number, &mut to);
            }
            to.extend(structs.iter().flatten());
        }
        put_number(self.deleted.len() as u64, &mut to);
        for (client, ranges) in &self.deleted {
            put_number(*client, &mut to);
            put_number(ranges.len() as u64, &mut to);
            ranges.iter().flatten().for_each(|number| put_number(u64::from(*number), &mut to));
        }
        to
    }
}

/// The low bits of a struct's first byte, and what stands at its end.
pub type Content = (u8, Vec<u8>);

/// One value: a whole number below 64.
pub fn value(byte: u8) -> Content {
    // One value: the integer.
    (8, vec![1, 125, byte])
}

/// An empty map.
pub fn map() -> Content {
    (7, vec![1])
}

/// Deleted values.
pub fn deleted(len: u8) -> Content {
    (1, vec![len])
}

/// Structs that are gone.
pub fn gone(len: u8) -> Vec<u8> {
    gone_many(len.into())
}

/// Very many of them.
pub fn gone_many(len: u32) -> Vec<u8> {
    let mut bytes = vec![0];
    put_number(len.into(), &mut bytes);
    bytes
}

/// A place.
pub fn at(client: u64, clock: u32) -> Id {
    Id { client, clock }
}

/// An item under a key of the root.
pub fn root(key: &str, content: Content) -> Vec<u8> {
    let mut bytes = vec![content.0 | 0x20, 1];
    put_buffer(b"agents", &mut bytes);
    put_buffer(key.as_bytes(), &mut bytes);
    bytes.extend(content.1);
    bytes
}

/// An item under a key of a map.
pub fn within(id: Id, key: &str, content: Content) -> Vec<u8> {
    let mut bytes = vec![content.0 | 0x20, 0];
    put_id(id, &mut bytes);
    put_buffer(key.as_bytes(), &mut bytes);
    bytes.extend(content.1);
    bytes
}

/// An item that takes the place of another.
pub fn instead_of(id: Id, content: Content) -> Vec<u8> {
    let mut bytes = vec![content.0 | 0x80];
    put_id(id, &mut bytes);
    bytes.extend(content.1);
    bytes
}

fn put_id(id: Id, to: &mut Vec<u8>) {
    put_number(id.client, to);
    put_number(u64::from(id.clock), to);
}
