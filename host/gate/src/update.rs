//! An update, as the structs it brings and the ranges it deletes.
//!
//! What it means is not known yet: that takes the [ledger](crate::Ledger).

use crate::bytes::Bytes;
use crate::{CLOCK_MAX, Malformed, ROOT, any};

/// One struct, or a place within one (Yjs, `ID`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Who made it.
    pub client: u64,
    /// The how-manieth of that client's it is.
    pub clock: u32,
}

/// How much an update may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all.
    pub bytes: usize,
    /// Clients of whom it brings structs.
    pub sections: usize,
    /// Clients of whom it deletes some.
    pub deleters: usize,
    /// Structs.
    pub structs: usize,
    /// Values, and the parts of those that have any.
    pub parts: usize,
}

/// Bytes of memory that a library takes for a part of a value, at most: a map of one entry takes about so many.
pub const PART_BYTES: usize = 320;

impl Limits {
    /// What happens while a client is connected: `messageYjsUpdate`.
    pub const LIVE: Self = Self { structs: 2_000, parts: 10_000, ..Self::SYNC };

    /// What a client brings that was away: `messageYjsSyncStep2`.
    pub const SYNC: Self =
        Self { bytes: crate::MESSAGE_BYTES_MAX, sections: 256, deleters: 10_000, structs: 20_000, parts: 100_000 };

    /// A whole document, as the host itself has stored it: more than any that [`Capacity`](crate::Capacity) allows, whose
    /// entries may be two structs each.
    pub const STORED: Self =
        Self { bytes: 64 << 20, sections: 20_000, deleters: 20_000, structs: 2_000_000, parts: 64 << 20 };

    /// Bytes of memory that reading so many bytes takes at most.
    pub fn cost(&self, bytes: usize) -> usize {
        // No struct has less than two bytes, no section less than five, no deletion less than four, no range less than two.
        // Each struct may name one that it takes the place of.
        let structs = self.structs.min(bytes / 2) * (size_of::<Struct<'_>>() + 2 * size_of::<Id>());
        let sections = self.sections.min(bytes / 5) * (size_of::<Section<'_>>() + size_of::<u64>());
        let deleters = self.deleters.min(bytes / 4) * (size_of::<Deleted>() + size_of::<u64>());
        structs + sections + deleters + bytes / 2 * size_of::<[u32; 2]>()
    }
}

/// An update of the first format, read.
#[derive(Debug)]
pub struct Update<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) deleted: Vec<Deleted>,
    parts: usize,
}

/// The structs of one client, one after the other.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub client: u64,
    pub clock: u32,
    pub structs: Vec<Struct<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Struct<'a> {
    /// How many clocks it takes.
    pub len: u32,
    pub what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    /// Deleted, and forgotten what it was (Yjs, `GC`).
    Gone,
    Item(Link<'a>, Content),
}

/// Where an item belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Link<'a> {
    /// It takes the place of this one, under the same key.
    Origin(Id),
    /// A key of the root.
    Root(&'a str),
    /// A key of the map that this item is.
    Within(Id, &'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Deleted,
    Value,
    Map,
}

/// What is deleted of one client, in ascending ranges `[begin, end)` that do not touch.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub client: u64,
    pub ranges: Vec<[u32; 2]>,
}

const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
const CONTENT: u8 = 0x1f;

impl<'a> Update<'a> {
    /// Reads an update (Yjs, `readUpdate`).
    ///
    /// # Errors
    ///
    /// When it is no update, goes beyond a limit, or holds what has no place in this document.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.bytes {
            return Err(Malformed::beyond("bytes of an update", limits.bytes as u64, bytes.len() as u64));
        }
        let mut bytes = Bytes(bytes);
        let count = bytes.count("clients of an update", limits.sections, 5)?;
        let mut sections = Vec::with_capacity(count);
        let (mut structs_left, mut parts) = (limits.structs, 0);
        for _ in 0..count {
            let (section, parts_of_it) = section(&mut bytes, limits, &mut structs_left)?;
            sections.push(section);
            parts += parts_of_it;
            if parts > limits.parts {
                return Err(Malformed::beyond("parts of values of an update", limits.parts as u64, parts as u64));
            }
        }
        once(sections.iter().map(|section| section.client))?;
        let count = bytes.count("clients of whom an update deletes", limits.deleters, 4)?;
        let mut deleted = Vec::with_capacity(count);
        for _ in 0..count {
            deleted.push(ranges(&mut bytes)?);
        }
        once(deleted.iter().map(|deleted| deleted.client))?;
        bytes.end()?;
        Ok(Self { sections, deleted, parts })
    }

    /// Bytes of memory that a library takes for its values, at most, beside their texts.
    pub fn values_cost(&self) -> usize {
        self.parts * PART_BYTES
    }

    /// True if it has nothing in it.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.deleted.is_empty()
    }
}

/// No client may come twice: yrs 0.28.1 uses memory after it was freed.
fn once(clients: impl Iterator<Item = u64>) -> Result<(), Malformed> {
    let mut seen: Vec<u64> = clients.collect();
    seen.sort_unstable();
    match seen.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(Malformed::Broken("a client comes twice")),
        false => Ok(()),
    }
}

/// A section, and the parts of its values.
fn section<'a>(
    bytes: &mut Bytes<'a>,
    limits: &Limits,
    structs_left: &mut usize,
) -> Result<(Section<'a>, usize), Malformed> {
    let count = bytes.count("structs of an update", limits.structs, 2)?;
    *structs_left = structs_left.checked_sub(count).ok_or_else(|| {
        let used = limits.structs - *structs_left;
        Malformed::beyond("structs of an update", limits.structs as u64, (used + count) as u64)
    })?;
    if count == 0 {
        return Err(Malformed::Broken("a client brings nothing"));
    }
    let client = bytes.client()?;
    let clock = bytes.clock()?;
    let mut structs = Vec::with_capacity(count);
    let (mut end, mut parts) = (clock, 0);
    for _ in 0..count {
        let one = structure(bytes, &mut parts)?;
        end = add_clock(end, one.len)?;
        structs.push(one);
    }
    Ok((Section { client, clock, structs }, parts))
}

fn add_clock(clock: u32, len: u32) -> Result<u32, Malformed> {
    if len == 0 {
        return Err(Malformed::Broken("a range without a length"));
    }
    let end = u64::from(clock) + u64::from(len);
    if end > u64::from(CLOCK_MAX) {
        return Err(Malformed::beyond("clock", u64::from(CLOCK_MAX), end));
    }
    Ok(end as u32)
}

/// One struct; the parts of its value are added to those before.
fn structure<'a>(bytes: &mut Bytes<'a>, parts: &mut usize) -> Result<Struct<'a>, Malformed> {
    let info = bytes.byte()?;
    // The whole byte: who looks at five bits of it, as Yjs does, and who at eight, as yrs does, must see the same.
    if info == 0 {
        return Ok(Struct { len: bytes.clock()?, what: What::Gone });
    }
    if info & HAS_RIGHT_ORIGIN != 0 {
        return Err(Malformed::Broken("an item has a right neighbour, which no entry of a map has"));
    }
    let link = match info & HAS_ORIGIN {
        0 => parent(bytes, info)?,
        _ => Link::Origin(id(bytes)?),
    };
    let (content, len) = match info & CONTENT {
        1 => (Content::Deleted, bytes.clock()?),
        7 => {
            match bytes.number()? {
                1 => {}
                tag => return Err(Malformed::Foreign { what: "type", tag }),
            }
            (Content::Map, 1)
        }
        8 => {
            bytes.number_within("values of an item", 1)?.checked_sub(1).ok_or(Malformed::Broken("an item is empty"))?;
            *parts += any::pass(bytes)?;
            (Content::Value, 1)
        }
        tag => return Err(Malformed::Foreign { what: "content", tag: tag.into() }),
    };
    Ok(Struct { len, what: What::Item(link, content) })
}

fn parent<'a>(bytes: &mut Bytes<'a>, info: u8) -> Result<Link<'a>, Malformed> {
    let within = match bytes.number()? {
        1 => {
            if bytes.key()? != ROOT {
                return Err(Malformed::Broken("the only root is `agents`"));
            }
            None
        }
        0 => Some(id(bytes)?),
        tag => return Err(Malformed::Foreign { what: "parent", tag }),
    };
    if info & HAS_KEY == 0 {
        return Err(Malformed::Broken("an item has no key: there are only maps here"));
    }
    let key = bytes.key()?;
    Ok(within.map_or(Link::Root(key), |id| Link::Within(id, key)))
}

fn id(bytes: &mut Bytes<'_>) -> Result<Id, Malformed> {
    Ok(Id { client: bytes.client()?, clock: bytes.clock()? })
}

fn ranges(bytes: &mut Bytes<'_>) -> Result<Deleted, Malformed> {
    let client = bytes.client()?;
    let count = bytes.count("ranges deleted", usize::MAX, 2)?;
    let mut ranges: Vec<[u32; 2]> = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = bytes.clock()?;
        let end = add_clock(begin, bytes.clock()?)?;
        match ranges.last_mut() {
            Some([_, last]) if *last > begin => return Err(Malformed::Broken("deleted ranges do not ascend")),
            // Two that touch are one.
            Some([_, last]) if *last == begin => *last = end,
            _ => ranges.push([begin, end]),
        }
    }
    Ok(Deleted { client, ranges })
}
