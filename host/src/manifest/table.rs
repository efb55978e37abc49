//! Reading one table of the manifest, key by key.
//!
//! A key exists because somebody reads it: [`Table::end`] calls everything else unknown. So the list of keys in an
//! error message cannot differ from the keys there are. Every reading method notes what is wrong and goes on with the
//! default.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::{Findings, Place, quote};
use super::raw::{Entry, Node, Value};
use super::similar::nearest;
use super::{size, time};

/// A value and where the file says it; no place for a default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<T> {
    pub value: T,
    pub place: Option<Place>,
}

impl<T> Setting<T> {
    pub const fn default(value: T) -> Self {
        Self { value, place: None }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), place: self.place }
    }
}

/// One table of the file being read; absent in the file, it is empty.
pub(super) struct Table<'a> {
    pub findings: &'a Findings<'a>,
    /// As operators would name it, such as `agents.files`; empty for the whole file.
    pub path: String,
    /// The table's own key.
    pub place: Option<Place>,
    entries: &'a [Entry],
    /// Keys asked for so far.
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub fn new(node: &'a Node, path: String, place: Option<Place>, findings: &'a Findings<'a>) -> Self {
        let entries: &[Entry] = match &node.value {
            Value::Table(entries) => entries,
            Value::Empty => &[],
            Value::Text(_) | Value::List(_) => {
                let what = if path.is_empty() { "the manifest".to_owned() } else { format!("`{path}`") };
                findings.error(
                    Some(node.place),
                    format!("{what} is not a table of keys"),
                    "write `key: value` lines below it",
                );
                &[]
            }
        };
        report_duplicates(entries, &path, findings);
        Self { findings, path, place, entries, known: Vec::new() }
    }

    /// The table under a key; an empty one if the key is absent.
    pub fn table(&mut self, key: &'static str) -> Table<'a> {
        let (findings, path) = (self.findings, join(&self.path, key));
        match self.entry(key) {
            Some(entry) => Table::new(&entry.node, path, Some(entry.place), findings),
            None => Table { findings, path, place: None, entries: &[], known: Vec::new() },
        }
    }

    /// Every entry, for a table whose keys are names that the operator chooses.
    pub fn names(self) -> &'a [Entry] {
        self.entries
    }

    pub fn size(&mut self, key: &'static str, default: Setting<u64>, range: RangeInclusive<u64>) -> Setting<u64> {
        let parsed = self.scalar(key, |text| within(size::parse(text)?, &range, |bytes| size::show(*bytes)));
        parsed.unwrap_or(default)
    }

    /// A size that may be absent.
    pub fn size_option(
        &mut self,
        key: &'static str,
        default: Setting<Option<u64>>,
        range: RangeInclusive<u64>,
    ) -> Setting<Option<u64>> {
        let parsed = self.scalar(key, |text| within(size::parse(text)?, &range, |bytes| size::show(*bytes)));
        parsed.map_or(default, |setting| setting.map(Some))
    }

    pub fn time(
        &mut self,
        key: &'static str,
        default: Setting<Duration>,
        range: RangeInclusive<Duration>,
    ) -> Setting<Duration> {
        self.scalar(key, |text| within(time::parse(text)?, &range, |time| time::show(*time))).unwrap_or(default)
    }

    pub fn count(&mut self, key: &'static str, default: Setting<u32>, range: RangeInclusive<u32>) -> Setting<u32> {
        let parsed = self.scalar(key, |text| {
            let count = text.parse::<u32>().map_err(|_| "it is a whole number, such as 8".to_owned())?;
            within(count, &range, u32::to_string)
        });
        parsed.unwrap_or(default)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&'static str, T)]) -> Setting<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let parsed = self.scalar(key, |text| match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(*choice),
            None => Err(format!("{}it is one of: {}", did_you_mean(text, &words), words.join(", "))),
        });
        parsed.unwrap_or(Setting::default(default))
    }

    /// Any text that `parse` accepts; its error is the suggestion.
    pub fn scalar<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Setting<T>> {
        let (findings, path) = (self.findings, join(&self.path, key));
        let node = &self.entry(key)?.node;
        text(node, &path, &parse, findings)
    }

    /// A list of texts; absent is empty.
    pub fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<Setting<T>> {
        let (findings, path) = (self.findings, join(&self.path, key));
        let Some(Entry { node, .. }) = self.entry(key) else { return Vec::new() };
        match &node.value {
            Value::List(items) => items.iter().filter_map(|item| text(item, &path, &parse, findings)).collect(),
            Value::Empty => Vec::new(),
            Value::Text(_) | Value::Table(_) => {
                findings.error(
                    Some(node.place),
                    format!("`{path}` is not a list"),
                    format!("write `{key}: [first, second]`"),
                );
                Vec::new()
            }
        }
    }

    /// Ends the reading: what nobody asked for does not exist.
    pub fn end(mut self) {
        self.known.sort_unstable();
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let place =
                if self.path.is_empty() { "at the top level".to_owned() } else { format!("in `{}`", self.path) };
            let suggestion =
                format!("{}the keys here are: {}", did_you_mean(&entry.key, &self.known), self.known.join(", "));
            self.findings.error(Some(entry.place), format!("no key {} {place}", quote(&entry.key)), suggestion);
        }
    }

    /// Whether the file says a key.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Where the file says a key, else where it says the table.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.place).or(self.place)
    }

    /// A key with whatever stands below it.
    pub fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reads one text.
fn text<T>(
    node: &Node,
    path: &str,
    parse: &impl Fn(&str) -> Result<T, String>,
    findings: &Findings<'_>,
) -> Option<Setting<T>> {
    let place = Some(node.place);
    match &node.value {
        Value::Text(text) if !text.trim().is_empty() => match parse(text) {
            Ok(value) => return Some(Setting { value, place }),
            Err(suggestion) => findings.error(place, format!("`{path}` cannot be {}", quote(text)), suggestion),
        },
        Value::Empty | Value::Text(_) => {
            findings.error(place, format!("`{path}` has no value"), "give it one, or delete the key");
        }
        Value::List(_) | Value::Table(_) => {
            findings.error(
                place,
                format!("`{path}` is not a single value"),
                format!("write `{path}: value` on one line"),
            );
        }
    }
    None
}

/// Holds a value to the range it makes sense in.
fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("it is at least {} and at most {}", show(range.start()), show(range.end())))
}

fn report_duplicates(entries: &[Entry], table: &str, findings: &Findings<'_>) {
    let mut lines = HashMap::new();
    for Entry { key, place, .. } in entries {
        if let Some(line) = lines.insert(key, place.line) {
            let message = format!("{} is given twice", quote(&join(table, key)));
            findings.error(Some(*place), message, format!("it stands in line {line} already: keep one of the two"));
        }
    }
}

fn did_you_mean(typed: &str, words: &[&str]) -> String {
    nearest(typed, words).map_or_else(String::new, |word| format!("did you mean `{word}`? "))
}

/// A key as messages name it, such as `http.body`.
pub(super) fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}
