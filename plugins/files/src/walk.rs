//! The files below some directories, in path order, one by one.
//!
//! Owns the bound on what a walk holds and looks at. The order is that of [`path_order`](crate::grants::path_order), so
//! the path a walk stopped at is enough to go on from, in a fresh instance and on a tree that has changed meanwhile. It
//! never holds a whole directory: it keeps the smallest names that are still to come and, when they are used up, looks
//! again.

#[cfg(test)]
mod tests;

use crate::directory::{self, Entry, Kind};
use crate::grants::{Grants, is_below};
use std::collections::{BinaryHeap, VecDeque};
use std::fs;

/// Directories deeper than this below where a walk starts are not entered.
const DEPTH_MAX: usize = 32;
/// What a walk holds of names, all directories on the way down together: a directory may take half of what is left, so
/// that a flat tree needs few looks.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// And at least this much, however deep it is.
const LEVEL_BYTES_MIN: usize = 16 * 1024;
/// What a name takes beside its bytes.
const NAME_BYTES: usize = 48;
/// Directory entries one walk looks at before it stops for another call to go on: about half a second's worth.
const LOOKS_MAX: usize = 100_000;

/// A walk. It yields the paths of regular files and of symbolic links to some; what cannot be looked at it passes over.
pub struct Walk<'a> {
    grants: &'a Grants,
    /// Where to begin once `levels` is empty; the first is next.
    starts: VecDeque<String>,
    /// The directories from a start down to where the walk is.
    levels: Vec<Level>,
    /// Bytes held by all levels.
    held: usize,
    looks: usize,
    /// The last path looked at, and whether that was in this walk.
    last: String,
    advanced: bool,
    stopped: bool,
}

impl<'a> Walk<'a> {
    /// Walks each start, a file or a directory without trailing slash, in the order given, which must be path order.
    /// With `after`, a path below one of them, it goes on behind it.
    pub fn new(grants: &'a Grants, starts: &[String], after: Option<&str>) -> Walk<'a> {
        let mut walk = Walk {
            grants,
            starts: starts.iter().cloned().collect(),
            levels: vec![],
            held: 0,
            looks: 0,
            last: after.unwrap_or_default().into(),
            advanced: false,
            stopped: false,
        };
        if let Some(after) = after {
            walk.descend_behind(after);
        }
        walk
    }

    /// Whether the walk ended because it had looked at enough, not because there is no more; and behind which path
    /// another one goes on.
    pub fn stopped_at(&self) -> Option<&str> {
        self.stopped.then_some(&self.last)
    }

    fn descend_behind(&mut self, after: &str) {
        // Of nested starts the innermost is the one whose walk shows the path.
        let Some(index) = self.starts.iter().rposition(|start| is_below(after, start)) else { return };
        let start = &self.starts[index];
        let mut directory = start.clone();
        for name in after[start.len()..].split('/').skip(1).take(DEPTH_MAX) {
            self.levels.push(Level::behind(directory.clone(), name.into()));
            directory = format!("{directory}/{name}");
        }
        // What a directory holds comes behind the directory.
        if let Ok(metadata) = fs::symlink_metadata(after) {
            self.visit(after, metadata.file_type().into());
        }
        self.starts.drain(..=index);
    }

    /// Takes up the next start: a directory is walked, a file is found.
    fn begin(&mut self) -> Option<Option<String>> {
        let start = self.starts.pop_front()?;
        let path = if start.is_empty() { "/" } else { &start };
        let Ok(metadata) = fs::metadata(path) else { return Some(None) };
        if metadata.is_dir() {
            self.levels.push(Level::behind(start, String::new()));
            return Some(None);
        }
        self.last.clone_from(&start);
        Some(metadata.is_file().then_some(start))
    }

    /// Enters a directory, or says that what was found is a file.
    fn visit(&mut self, path: &str, kind: Kind) -> bool {
        if kind == Kind::Directory {
            // A grant inside another covers what lies under its path, and is walked by itself.
            if self.levels.len() < DEPTH_MAX && !self.grants.contains(path) {
                self.levels.push(Level::behind(path.into(), String::new()));
            }
            return false;
        }
        kind == Kind::File || kind == Kind::Link && fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
    }
}

impl Iterator for Walk<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                match self.begin()? {
                    Some(file) => return Some(file),
                    None => continue,
                }
            };
            // Not before it got further than the walk before it.
            if level.is_used_up() && self.looks >= LOOKS_MAX && self.advanced {
                self.stopped = true;
                return None;
            }
            if level.is_used_up() {
                self.held -= level.held;
                self.looks += level.look(HELD_BYTES_MAX.saturating_sub(self.held) / 2);
                self.held += level.held;
            }
            let Some(entry) = level.coming.pop_front() else {
                self.held -= level.held;
                self.levels.pop();
                continue;
            };
            level.last.clone_from(&entry.name);
            let path = format!("{}/{}", level.directory, entry.name);
            self.last.clone_from(&path);
            self.advanced = true;
            if self.visit(&path, entry.kind) {
                return Some(path);
            }
        }
    }
}

/// A directory on the way down.
struct Level {
    directory: String,
    /// The smallest names behind `last`, ascending.
    coming: VecDeque<Entry>,
    /// The name taken last; empty before the first.
    last: String,
    /// Whether the directory may hold names behind `coming`.
    more: bool,
    /// What `coming` took when it was filled.
    held: usize,
}

impl Level {
    fn behind(directory: String, last: String) -> Level {
        Level { directory, coming: VecDeque::new(), last, more: true, held: 0 }
    }

    fn is_used_up(&self) -> bool {
        self.coming.is_empty() && self.more
    }

    /// Takes in the next names, up to so many bytes. Gives the number of entries it looked at.
    fn look(&mut self, bytes_max: usize) -> usize {
        let smallest = smallest_names(&self.directory, &self.last, "", bytes_max.max(LEVEL_BYTES_MIN));
        self.more = smallest.more;
        self.coming = smallest.entries.into();
        self.held = smallest.bytes;
        smallest.looks
    }
}

/// What one look at a directory found.
pub struct Smallest {
    /// Ascending.
    pub entries: Vec<Entry>,
    /// Whether larger names were left out.
    pub more: bool,
    /// What they take.
    bytes: usize,
    /// How many entries were looked at; at least one, even where there are none.
    looks: usize,
}

/// The smallest names of a directory that come after `last` and start with `prefix`, as many as `bytes_max` holds. A
/// directory that cannot be read has none.
pub fn smallest_names(directory: &str, last: &str, prefix: &str, bytes_max: usize) -> Smallest {
    let mut smallest: BinaryHeap<Entry> = BinaryHeap::new();
    // The smallest name left out: what comes after it is left out too, or the next look would miss it.
    let mut cut: Option<String> = None;
    let (mut bytes, mut looks) = (0, 1);
    for entry in directory::entries(directory) {
        looks += 1;
        let name = &entry.name;
        if name.as_str() <= last || !name.starts_with(prefix) || cut.as_ref().is_some_and(|cut| name > cut) {
            continue;
        }
        bytes += name.len() + NAME_BYTES;
        smallest.push(entry);
        while bytes > bytes_max
            && let Some(largest) = smallest.pop()
        {
            bytes -= largest.name.len() + NAME_BYTES;
            cut = Some(largest.name);
        }
    }
    Smallest { entries: smallest.into_sorted_vec(), more: cut.is_some(), bytes, looks }
}
