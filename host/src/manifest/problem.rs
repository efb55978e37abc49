//! What is wrong with a manifest, shown as a compiler would show it.
//!
//! [`Findings`] collects while the file is checked; [`Problem`] and [`ManifestErrors`] are what is left of it. Never
//! prints.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// Problems reported for one file; a file that is wrong a thousand times is wrong in one way.
const PROBLEMS_MAX: usize = 50;

/// Characters of a line that are shown around a place.
const EXCERPT_CHARS: usize = 100;

/// Characters of the file's own text repeated inside a message.
const QUOTE_CHARS: usize = 60;

/// A stretch of one line of the file, counted in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Characters.
    pub width: usize,
}

/// One thing that is wrong, or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The manifest.
    pub file: PathBuf,
    /// Where in it; none for what concerns the file as a whole or a flag.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub suggestion: String,
    /// The line of the file that `place` points into.
    excerpt: String,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// Everything that is wrong with one manifest, in the order of its lines. Never empty.
#[derive(Debug, Clone)]
pub struct ManifestErrors {
    problems: Vec<Problem>,
    /// Problems beyond those kept.
    left_off: usize,
}

impl ManifestErrors {
    /// The problems, in the order of their lines.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ManifestErrors {}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(out, "{gap}{problem}")?;
        }
        if self.left_off > 0 {
            write!(out, "\n\nand {} more", self.left_off)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location();
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Some(place) = self.place else {
            return write!(out, "{location}: {severity}: {}\n  = {}", self.message, self.suggestion);
        };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let (line, column, width) = window(&self.excerpt, place);
        writeln!(out, "{location}: {severity}: {}", self.message)?;
        writeln!(out, "  {number} | {line}")?;
        writeln!(out, "  {margin} | {}{}", " ".repeat(column), "^".repeat(width))?;
        write!(out, "  {margin} = {}", self.suggestion)
    }
}

impl Problem {
    /// File, line and column on one line, for a log.
    pub fn location(&self) -> String {
        let file = self.file.display();
        self.place.map_or_else(|| file.to_string(), |place| format!("{file}:{}:{}", place.line, place.column))
    }
}

/// The part of a line to show, and where in it the place is.
fn window(line: &str, place: Place) -> (String, usize, usize) {
    let column = place.column.saturating_sub(1);
    let start = column.saturating_sub(EXCERPT_CHARS / 2);
    let shown: String = line.chars().skip(start).take(EXCERPT_CHARS).collect();
    let left = shown.chars().count().saturating_sub(column - start);
    (shown, column - start, place.width.clamp(1, left.max(1)))
}

/// A problem before it knows its file.
#[derive(Debug)]
pub(super) struct Fault {
    pub place: Option<Place>,
    pub message: String,
    pub suggestion: String,
}

/// The problems found so far in one file.
pub(super) struct Findings<'a> {
    file: &'a Path,
    text: &'a str,
    noted: RefCell<Vec<(Severity, Fault)>>,
    /// What was found in the file that this one names, and how much more there was.
    adopted: RefCell<(Vec<Problem>, usize)>,
    /// Stretches of the text that are never shown.
    hidden: RefCell<Vec<Place>>,
}

impl<'a> Findings<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, noted: RefCell::default(), adopted: RefCell::default(), hidden: RefCell::default() }
    }

    pub fn error(&self, place: Option<Place>, message: String, suggestion: impl Into<String>) {
        let fault = Fault { place, message, suggestion: suggestion.into() };
        self.noted.borrow_mut().push((Severity::Error, fault));
    }

    pub fn warn(&self, place: Option<Place>, message: String, suggestion: impl Into<String>) {
        let fault = Fault { place, message, suggestion: suggestion.into() };
        self.noted.borrow_mut().push((Severity::Warning, fault));
    }

    /// Keeps a stretch of the text out of everything that is shown, such as a secret.
    pub fn hide(&self, place: Place) {
        self.hidden.borrow_mut().push(place);
    }

    /// Takes over what was found in a file that this one names.
    pub fn adopt(&self, other: &Findings<'_>) {
        *self.adopted.borrow_mut() = other.take();
    }

    /// The errors of a file that cannot even be read as a tree.
    pub fn only(&self, fault: Fault) -> ManifestErrors {
        ManifestErrors { problems: vec![self.locate(Severity::Error, fault)], left_off: 0 }
    }

    /// The warnings, unless there are errors: then those alone.
    pub fn settle(&self) -> Result<Vec<Problem>, ManifestErrors> {
        let (mut problems, mut left_off) = self.take();
        let (adopted, more) = self.adopted.take();
        problems.extend(adopted);
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        problems.retain(|problem| !failed || problem.severity == Severity::Error);
        left_off += more + problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        if failed { Err(ManifestErrors { problems, left_off }) } else { Ok(problems) }
    }

    /// What was noted, in the order of the file, and how much more there was.
    fn take(&self) -> (Vec<Problem>, usize) {
        let mut noted = self.noted.take();
        if noted.iter().any(|(severity, _)| *severity == Severity::Error) {
            noted.retain(|(severity, _)| *severity == Severity::Error);
        }
        noted.sort_by_cached_key(|(_, fault)| {
            (fault.place.map(|place| (place.line, place.column)), fault.message.clone())
        });
        // What is wrong with `defaults` shows in every agent that inherits it.
        noted.dedup_by(|one, other| one.1.place == other.1.place && one.1.message == other.1.message);
        let left_off = noted.len().saturating_sub(PROBLEMS_MAX);
        noted.truncate(PROBLEMS_MAX);
        (noted.into_iter().map(|(severity, fault)| self.locate(severity, fault)).collect(), left_off)
    }

    fn locate(&self, severity: Severity, fault: Fault) -> Problem {
        let excerpt = fault.place.map(|place| self.excerpt(place)).unwrap_or_default();
        let (file, place) = (self.file.to_owned(), fault.place);
        Problem { file, place, message: fault.message, suggestion: fault.suggestion, excerpt, severity }
    }

    /// The line of a place, without what is hidden.
    fn excerpt(&self, place: Place) -> String {
        let line = self.text.lines().nth(place.line - 1).unwrap_or_default();
        let hidden = self.hidden.borrow();
        let hidden: Vec<&Place> = hidden.iter().filter(|hidden| hidden.line == place.line).collect();
        let is_hidden = |column| hidden.iter().any(|it| (it.column..it.column + it.width).contains(&column));
        let show = |(letter, column)| if is_hidden(column) { '*' } else { letter };
        // A line may be as long as the file.
        line.chars().zip(1..).take(place.column + EXCERPT_CHARS).map(show).collect()
    }
}

/// A piece of the file's text inside a message: short, on one line, in backticks.
pub(super) fn quote(text: &str) -> String {
    let shown: String = text.chars().take(QUOTE_CHARS).flat_map(char::escape_debug).collect();
    let dots = if text.chars().nth(QUOTE_CHARS).is_some() { "…" } else { "" };
    format!("`{shown}{dots}`")
}
