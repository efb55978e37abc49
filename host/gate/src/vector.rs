//! A state vector: how many structs of each client somebody has.

use crate::Malformed;
use crate::bytes::{Bytes, put_number};

/// Bytes of a state vector.
const BYTES_MAX: usize = 64 << 10;

/// Clients in one: more than a document has.
const CLIENTS_MAX: usize = 16 << 10;

/// For each client, the first clock that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateVector(pub Vec<(u64, u32)>);

impl StateVector {
    /// Reads one (Yjs, `readStateVector`).
    ///
    /// # Errors
    ///
    /// When it is none, or too long.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > BYTES_MAX {
            return Err(Malformed::beyond("bytes of a state vector", BYTES_MAX as u64, bytes.len() as u64));
        }
        let mut bytes = Bytes(bytes);
        let count = bytes.count("clients of a state vector", CLIENTS_MAX, 2)?;
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push((bytes.client()?, bytes.clock()?));
        }
        bytes.end()?;
        Ok(Self(clients))
    }

    /// The bytes that [`StateVector::read`] reads.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(self.0.len() as u64, &mut bytes);
        for (client, clock) in &self.0 {
            put_number(*client, &mut bytes);
            put_number(u64::from(*clock), &mut bytes);
        }
        bytes
    }
}
