//! Finds files by name and lines by text, in one pass over the tree.
//!
//! Owns the bounds of that pass: it holds one piece of a line at a time and a limited number of hits, reads a limited
//! number of bytes, and says where it stopped. It knows nothing of tools and JSON.

#[cfg(test)]
mod tests;

use crate::grants::Grants;
use crate::walk::Walk;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Content bytes one search looks at.
const SCANNED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What opening a file costs, in bytes that could have been scanned instead.
const OPEN_COST_BYTES: u64 = 16 * 1024;
/// A longer line is searched in pieces of this size.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// How much two pieces of a line share, so that no match is cut in two; more than the longest query.
const OVERLAP_BYTES: usize = 1024;
/// Longest text to search for.
pub const QUERY_BYTES_MAX: usize = 512;
/// Characters shown of a line.
const EXCERPT_CHARS_MAX: usize = 200;
/// Bytes of all hits together after which a search stops.
const HITS_BYTES_MAX: usize = 128 * 1024;

/// What to look for; at least one of `text` and `name`.
pub struct Wanted {
    /// Text within one line.
    pub text: Option<String>,
    /// Pattern of the file's name: `*` any characters, `?` one.
    pub name: Option<String>,
    pub letter_case: LetterCase,
    pub hits_max: usize,
}

/// Whether `A` is `a`. Names are always compared without regard to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LetterCase {
    Matters,
    Ignored,
}

/// A file, and unless only its name was looked for, a line of it.
#[derive(Debug, PartialEq)]
pub struct Hit {
    pub path: String,
    pub line: Option<Line>,
}

#[derive(Debug, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    pub excerpt: String,
}

/// What a search found.
#[derive(Default)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// Where to go on, if the search stopped before the end.
    pub next: Option<Cursor>,
}

/// Behind a path, or within it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    pub path: String,
    /// Byte offset, and the number of the line it lies in.
    pub within: Option<(u64, u64)>,
}

/// Searches the files below `starts`, which are in path order, from `from` on.
pub fn search(grants: &Grants, starts: &[String], wanted: &Wanted, from: Option<&Cursor>) -> Found {
    let mut search = Search { wanted, needle: wanted.needle(), found: Found::default(), bytes: 0, scanned: 0 };
    if let Some(Cursor { path, within: Some((offset, line)) }) = from
        && !search.file(path.clone(), *offset, *line)
    {
        return search.found;
    }
    let mut walk = Walk::new(grants, starts, from.map(|cursor| cursor.path.as_str()));
    for path in walk.by_ref() {
        let name = path.rsplit('/').next().unwrap_or(&path);
        if !wanted.name.as_ref().is_none_or(|pattern| matches_pattern(&pattern.to_lowercase(), &name.to_lowercase())) {
            continue;
        }
        if !search.file(path, 0, 1) {
            return search.found;
        }
    }
    search.found.next = walk.stopped_at().map(|path| Cursor { path: path.into(), within: None });
    search.found
}

impl Wanted {
    fn needle(&self) -> Option<String> {
        let text = self.text.as_ref()?;
        Some(if self.letter_case == LetterCase::Ignored { text.to_lowercase() } else { text.clone() })
    }

    /// Where in a line the text is, in characters.
    fn position(&self, line: &str, needle: &str) -> Option<usize> {
        let position = |line: &str| line.find(needle).map(|at| line[..at].chars().count());
        if self.letter_case == LetterCase::Ignored { position(&line.to_lowercase()) } else { position(line) }
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    needle: Option<String>,
    found: Found,
    /// Bytes of the hits so far.
    bytes: usize,
    /// Bytes read so far, and the cost of opening.
    scanned: u64,
}

impl Search<'_> {
    /// Searches one file. False when the search is over, with `next` set.
    fn file(&mut self, path: String, offset: u64, line: u64) -> bool {
        let Some(needle) = self.needle.clone() else {
            self.hit(Hit { path: path.clone(), line: None });
            return self.goes_on(path, None);
        };
        self.scanned += OPEN_COST_BYTES;
        // A file that cannot be read, or is not text, holds no hits.
        match self.lines(&path, &needle, offset, line) {
            Ok(Some(within)) => self.goes_on(path, Some(within)),
            Ok(None) | Err(_) => self.goes_on(path, None),
        }
    }

    fn goes_on(&mut self, path: String, within: Option<(u64, u64)>) -> bool {
        if within.is_some() || self.is_spent() {
            self.found.next = Some(Cursor { path, within });
            return false;
        }
        true
    }

    fn is_spent(&self) -> bool {
        self.found.hits.len() >= self.wanted.hits_max
            || self.bytes >= HITS_BYTES_MAX
            || self.scanned >= SCANNED_BYTES_MAX
    }

    fn hit(&mut self, hit: Hit) {
        self.bytes += hit.path.len() + hit.line.as_ref().map_or(0, |line| line.excerpt.len());
        self.found.hits.push(hit);
    }

    /// Searches the lines of a file. Gives the place where it stopped, if it did before the end.
    fn lines(&mut self, path: &str, needle: &str, mut offset: u64, mut number: u64) -> io::Result<Option<(u64, u64)>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut content = BufReader::with_capacity(PIECE_BYTES_MAX, file);
        if content.fill_buf()?.contains(&0) {
            return Ok(None);
        }
        let mut piece = vec![];
        let mut hit_in_line = false;
        loop {
            let read = (&mut content).take(PIECE_BYTES_MAX as u64).read_until(b'\n', &mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            offset += read as u64;
            self.scanned += read as u64;
            let text = String::from_utf8_lossy(&piece);
            if !hit_in_line && let Some(position) = self.wanted.position(&text, needle) {
                let line = Line { number, excerpt: excerpt(&text, position) };
                self.hit(Hit { path: path.into(), line: Some(line) });
                hit_in_line = true;
            }
            if piece.ends_with(b"\n") {
                number += 1;
                hit_in_line = false;
                piece.clear();
            } else {
                piece.drain(..piece.len().saturating_sub(OVERLAP_BYTES));
            }
            if self.is_spent() && !content.fill_buf()?.is_empty() {
                return Ok(Some((offset, number)));
            }
        }
    }
}

/// The part of a line around a match.
fn excerpt(line: &str, position: usize) -> String {
    let line = line.trim_end();
    let skipped =
        if line.chars().count() <= EXCERPT_CHARS_MAX { 0 } else { position.saturating_sub(EXCERPT_CHARS_MAX / 4) };
    let shown: String = line.chars().skip(skipped).take(EXCERPT_CHARS_MAX).collect();
    let ends_early = line.chars().count() > skipped + EXCERPT_CHARS_MAX;
    format!("{}{}{}", if skipped > 0 { "…" } else { "" }, shown.trim(), if ends_early { "…" } else { "" })
}

/// Whether a name fits a pattern of `*` and `?`. Takes time in proportion to the product of both lengths at worst.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and where in the name what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(wanted), _) if *wanted == '?' || *wanted == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((at, end))) => {
                star = Some((at, end + 1));
                p = at + 1;
                n = end + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|wanted| *wanted == '*')
}
