//! The bytes of a resource, any range of them in constant time: a large resource is computed, never held.

/// 13 bytes: characters of one to four bytes, and those that JSON must escape. 13 divides no power of two, so the
/// borders of even chunks fall inside characters.
const UNIT: &[u8; 13] = "aé€😀\"\\\n".as_bytes().as_array().expect("the unit has 13 bytes");

/// Pads what a whole unit does not fit into, so that the text is valid at every size.
const PADDING: u8 = b'.';

pub enum Source {
    Whole(Vec<u8>),
    /// So many bytes of 64-bit little-endian words, word `n` holding `n`: each byte tells where it belongs.
    Words(u64),
    /// So many bytes of [`UNIT`], over and over.
    Characters(u64),
}

impl Source {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Source::Whole(bytes) => bytes.len() as u64,
            Source::Words(size) | Source::Characters(size) => *size,
        }
    }

    /// The bytes from `from` to before `to`, which are within the size and at most a chunk apart.
    pub fn bytes(&self, from: u64, to: u64) -> Vec<u8> {
        match self {
            Source::Whole(bytes) => bytes[from as usize..to as usize].to_vec(),
            Source::Words(_) => (from..to).map(|at| (at / 8).to_le_bytes()[(at % 8) as usize]).collect(),
            Source::Characters(size) => {
                let whole_units = size - size % UNIT.len() as u64;
                let byte = |at| if at < whole_units { UNIT[(at % UNIT.len() as u64) as usize] } else { PADDING };
                (from..to).map(byte).collect()
            }
        }
    }
}
