//! A CSV file as a stream of rows. The only place that names the csv crate; owns how bad input is treated and how much
//! of it is held: one row.

#[cfg(test)]
mod tests;

use crate::catalog::{Table, unreadable};
use crate::stockade::agent::types::Error;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};
use std::borrow::Cow;
use std::cell::Cell as Counter;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Longest row. A longer one is a quote that is never closed.
const ROW_BYTES_MAX: usize = 128 * 1024;
/// Columns beyond this are not a table one can work with.
const COLUMNS_MAX: usize = 1_000;
/// How far the end of the first line is looked for, to tell the delimiter.
const SNIFFED_BYTES_MAX: u64 = 16 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An open table, positioned before a row.
pub struct Source {
    name: String,
    reader: Reader<Allowance<File>>,
    allowance: Rc<Counter<usize>>,
    row: ByteRecord,
    /// Column names, unique and not empty.
    pub header: Vec<String>,
    pub delimiter: char,
    pub oddities: Oddities,
}

/// What was wrong with the rows so far.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Oddities {
    short_rows: u64,
    long_rows: u64,
    foreign_rows: u64,
}

impl Source {
    /// Opens a table and reads its header.
    pub fn open(table: &Table) -> Result<Source, Error> {
        let failed = |error| unreadable(&table.name, &error);
        let mut file = File::open(table.path()).map_err(failed)?;
        let mut beginning = vec![];
        (&mut file).take(SNIFFED_BYTES_MAX).read_to_end(&mut beginning).map_err(failed)?;
        let start = if beginning.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let delimiter = delimiter(&beginning[start..]);
        file.seek(SeekFrom::Start(start as u64)).map_err(failed)?;

        let allowance = Rc::new(Counter::new(0));
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(Allowance { content: file, left: Rc::clone(&allowance) });
        let (name, row, oddities) = (table.name.clone(), ByteRecord::new(), Oddities::default());
        let mut source = Source { name, reader, allowance, row, header: vec![], delimiter: delimiter.into(), oddities };
        if source.advance()? {
            source.header = unique_names(&source.row);
        }
        if source.header.len() > COLUMNS_MAX {
            return Err(Error::Failed(format!("{} has more than {COLUMNS_MAX} columns", source.name)));
        }
        Ok(source)
    }

    /// The next row, if there is one.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        self.oddities.short_rows += u64::from(self.row.len() < self.header.len());
        self.oddities.long_rows += u64::from(self.row.len() > self.header.len());
        self.oddities.foreign_rows += u64::from(std::str::from_utf8(self.row.as_slice()).is_err());
        Ok(Some(Row(&self.row)))
    }

    fn advance(&mut self) -> Result<bool, Error> {
        self.allowance.set(ROW_BYTES_MAX);
        let line = self.reader.position().line();
        self.reader.read_byte_record(&mut self.row).map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Error::Failed(format!(
                "{}: the row at line {line} is longer than {ROW_BYTES_MAX} bytes; is a quote left open?",
                self.name
            )),
            ErrorKind::Io(error) => unreadable(&self.name, &error),
            kind => Error::Failed(format!("{}: {kind:?}", self.name)),
        })
    }
}

/// One row.
pub struct Row<'a>(&'a ByteRecord);

impl Row<'_> {
    /// A cell; empty where the row is too short.
    pub fn text(&self, column: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.get(column).unwrap_or_default())
    }
}

impl Oddities {
    /// One sentence for each thing that was wrong.
    pub fn warnings(&self) -> Vec<String> {
        [
            (self.short_rows, "rows have fewer cells than the header; the missing ones are null"),
            (self.long_rows, "rows have more cells than the header; the surplus is dropped"),
            (self.foreign_rows, "rows are not UTF-8; what cannot be read is shown as U+FFFD"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

/// Lets through so many bytes, then fails with `FileTooLarge`. What the reader has buffered already comes on top.
struct Allowance<R> {
    content: R,
    left: Rc<Counter<usize>>,
}

impl<R: Read> Read for Allowance<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let wanted = buffer.len().min(left);
        let read = self.content.read(&mut buffer[..wanted])?;
        self.left.set(left - read);
        Ok(read)
    }
}

/// The delimiter the first line uses most outside of quotes; a comma if it uses none.
fn delimiter(beginning: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in beginning {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if !quoted => {
                counts.iter_mut().filter(|(delimiter, _)| delimiter == byte).for_each(|(_, count)| *count += 1);
            }
            _ => {}
        }
    }
    // Of equals the first.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

/// A nameless column is called after its place; a name that comes again gets a number.
fn unique_names(row: &ByteRecord) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for (index, name) in row.iter().enumerate().take(COLUMNS_MAX + 1) {
        let name = match String::from_utf8_lossy(name) {
            name if name.is_empty() => format!("column_{}", index + 1),
            name => name.into_owned(),
        };
        let repeated = (2..).map(|count| format!("{name}_{count}"));
        let unique = std::iter::once(name.clone()).chain(repeated).find(|name| !names.contains(name));
        names.push(unique.unwrap_or(name));
    }
    names
}
