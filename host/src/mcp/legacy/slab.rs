//! The table of sessions: entries of one size, found by a number, with a line of idle ones for each principal.
//!
//! Pure arithmetic, without locks, clocks or accounts. A session that is busy stands in no line, so that whoever looks for
//! the least recently used idle one looks at the head of a line.

use std::collections::BTreeSet;

/// Names a session in the table: where it stands, and which of those that stood there it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub place: u32,
    /// Random, so that it cannot be guessed.
    pub secret: u128,
}

impl Key {
    /// A session's name for its client.
    pub fn name(self) -> String {
        format!("{:08x}{:032x}", self.place, self.secret)
    }

    /// The session of this name, whether it is there or not.
    pub fn parse(name: &str) -> Option<Self> {
        let is_hex = name.len() == 40 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let (place, secret) = if is_hex { name.split_at(8) } else { return None };
        Some(Self { place: u32::from_str_radix(place, 16).ok()?, secret: u128::from_str_radix(secret, 16).ok()? })
    }
}

const NOBODY: u32 = u32::MAX;

#[derive(Debug)]
pub struct Slab<S> {
    entries: Vec<Entry<S>>,
    free: Vec<u32>,
    /// By the index of a principal.
    lines: Vec<Line>,
    live: u32,
}

#[derive(Debug)]
struct Entry<S> {
    secret: u128,
    line: u32,
    busy: u32,
    before: u32,
    behind: u32,
    session: Option<S>,
}

/// The idle sessions of one principal, least recently used first, and how many sessions it has at all.
#[derive(Debug, Clone, Copy)]
struct Line {
    first: u32,
    last: u32,
    sessions: u32,
}

impl<S> Default for Slab<S> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), lines: Vec::new(), live: 0 }
    }
}

impl<S> Slab<S> {
    /// Sessions there are.
    pub fn len(&self) -> u32 {
        self.live
    }

    /// Sessions of one principal.
    pub fn of(&self, principal: usize) -> u32 {
        self.lines.get(principal).map_or(0, |line| line.sessions)
    }

    /// Puts an idle session at the end of its principal's line.
    pub fn insert(&mut self, principal: usize, secret: u128, session: S) -> Key {
        if self.lines.len() <= principal {
            self.lines.resize(principal + 1, Line { first: NOBODY, last: NOBODY, sessions: 0 });
        }
        let line = u32::try_from(principal).expect("principals are few");
        let entry = Entry { secret, line, busy: 0, before: NOBODY, behind: NOBODY, session: Some(session) };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("sessions are fewer than 2^32")
            }
        };
        self.live += 1;
        self.lines[principal].sessions += 1;
        self.join(place);
        Key { place, secret }
    }

    /// A session that is still there.
    pub fn get(&mut self, key: Key) -> Option<&mut S> {
        self.entry(key)?.session.as_mut()
    }

    /// One more thing goes on in a session: it leaves the line.
    pub fn begin(&mut self, key: Key) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        entry.busy += 1;
        if entry.busy == 1 {
            self.leave(key.place);
        }
        true
    }

    /// One thing fewer goes on: with the last it goes to the end of the line. True if it is idle now.
    pub fn end(&mut self, key: Key) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        entry.busy -= 1;
        let is_idle = entry.busy == 0;
        if is_idle {
            self.join(key.place);
        }
        is_idle
    }

    /// Whether nothing goes on in a session.
    pub fn is_idle(&mut self, key: Key) -> bool {
        self.entry(key).is_some_and(|entry| entry.busy == 0)
    }

    /// Takes a session out, busy or not.
    pub fn remove(&mut self, key: Key) -> Option<S> {
        let entry = self.entry(key)?;
        let session = entry.session.take();
        let (line, is_idle) = (entry.line as usize, entry.busy == 0);
        if is_idle {
            self.leave(key.place);
        }
        self.lines[line].sessions -= 1;
        self.live -= 1;
        self.free.push(key.place);
        if self.live == 0 {
            // Nothing remains once all are closed.
            self.entries = Vec::new();
            self.free = Vec::new();
        }
        session
    }

    /// The least recently used idle session of a principal.
    pub fn oldest_of(&self, principal: usize) -> Option<Key> {
        self.lines.get(principal).and_then(|line| self.key(line.first))
    }

    /// The heads of all lines.
    pub fn oldest(&self) -> impl Iterator<Item = (Key, &S)> {
        let heads = self.lines.iter().filter_map(|line| self.key(line.first));
        heads.filter_map(|key| Some((key, self.entries[key.place as usize].session.as_ref()?)))
    }

    /// All sessions.
    pub fn keys(&self) -> Vec<Key> {
        let free: BTreeSet<u32> = self.free.iter().copied().collect();
        let places = (0..u32::try_from(self.entries.len()).expect("sessions are fewer than 2^32"))
            .filter(|it| !free.contains(it));
        places.filter_map(|place| self.key(place)).collect()
    }

    fn key(&self, place: u32) -> Option<Key> {
        (place != NOBODY).then(|| Key { place, secret: self.entries[place as usize].secret })
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry<S>> {
        let entry = self.entries.get_mut(key.place as usize)?;
        (entry.secret == key.secret && entry.session.is_some()).then_some(entry)
    }

    fn join(&mut self, place: u32) {
        let line = &mut self.lines[self.entries[place as usize].line as usize];
        let last = std::mem::replace(&mut line.last, place);
        if last == NOBODY {
            line.first = place;
        } else {
            self.entries[last as usize].behind = place;
        }
        let entry = &mut self.entries[place as usize];
        (entry.before, entry.behind) = (last, NOBODY);
    }

    fn leave(&mut self, place: u32) {
        let Entry { before, behind, line, .. } = self.entries[place as usize];
        let line = &mut self.lines[line as usize];
        if before == NOBODY {
            line.first = behind;
        } else {
            self.entries[before as usize].behind = behind;
        }
        if behind == NOBODY {
            line.last = before;
        } else {
            self.entries[behind as usize].before = before;
        }
    }
}

#[cfg(test)]
mod tests;
