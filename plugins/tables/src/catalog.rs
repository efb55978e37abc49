//! Which tables there are: the CSV files below the grants, by name. Owns the way from a name to a file.

#[cfg(test)]
mod tests;

use crate::directory::{self, Kind};
use crate::exports::stockade::agent::completion::Suggestions;
use crate::stockade::agent::types::Error;
use std::fs;
use std::time::UNIX_EPOCH;

/// More tables than this are not served: all names are held at once.
const TABLES_MAX: usize = 2_000;
/// Directories deeper than this below a grant are not entered.
const DEPTH_MAX: usize = 16;
/// Directory entries looked at for one call; about half a second's worth.
const LOOKS_MAX: usize = 100_000;
/// As many as the host passes on.
const SUGGESTIONS_MAX: usize = 100;

/// The granted directories.
pub struct Catalog {
    /// Guest paths, absolute, without a trailing slash.
    grants: Vec<String>,
}

/// A CSV file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// Guest path without the leading slash, such as `data/orders.csv`.
    pub name: String,
}

impl Catalog {
    /// The preopened directories of this instance.
    #[cfg(target_os = "wasi")]
    pub fn of_this_agent() -> Catalog {
        Catalog::new(wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path))
    }

    /// Outside WASI nothing is granted.
    #[cfg(not(target_os = "wasi"))]
    pub fn of_this_agent() -> Catalog {
        Catalog::new([])
    }

    /// From guest paths as the host wrote them.
    pub fn new(paths: impl IntoIterator<Item = String>) -> Catalog {
        Catalog { grants: paths.into_iter().map(|path| directory::normalised(&path)).collect() }
    }

    /// Every table, by name. Links to directories are not followed: they may lead in a circle.
    pub fn tables(&self) -> Result<Vec<Table>, Error> {
        let mut tables = vec![];
        let mut looks = 0;
        let mut pending: Vec<_> = self.grants.iter().map(|grant| (grant.clone(), 0)).collect();
        while let Some((directory, depth)) = pending.pop() {
            for entry in directory::entries(&directory) {
                looks += 1;
                let path = format!("{directory}/{}", entry.name);
                match entry.kind {
                    Kind::Directory if depth < DEPTH_MAX && !self.grants.contains(&path) => {
                        pending.push((path, depth + 1));
                    }
                    Kind::File | Kind::Link if is_table_name(&entry.name) && is_file(&path) => {
                        tables.push(Table { name: path[1..].into() });
                    }
                    _ => {}
                }
                if tables.len() > TABLES_MAX || looks > LOOKS_MAX {
                    return Err(Error::Failed(format!(
                        "more than {TABLES_MAX} tables or {LOOKS_MAX} files are granted; grant a narrower directory"
                    )));
                }
            }
        }
        tables.sort();
        Ok(tables)
    }

    /// The table of exactly this name.
    pub fn table(&self, name: &str) -> Result<Table, Error> {
        let name = name.strip_prefix('/').unwrap_or(name);
        let path = format!("/{name}");
        let unknown = || Error::NotFound(format!("no table {}; call the tool tables for names", shortened(name)));
        if name.contains('\0') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::InvalidInput(format!("{} is not a possible table name", shortened(name))));
        }
        let granted = self.grants.iter().any(|grant| directory::is_below(&path, grant));
        if granted && is_table_name(name) && is_file(&path) { Ok(Table { name: name.into() }) } else { Err(unknown()) }
    }

    /// The table of this name, or the only one whose name ends so: `orders` for `data/orders.csv`.
    pub fn table_like(&self, name: &str) -> Result<Table, Error> {
        let exact = self.table(name);
        if !matches!(exact, Err(Error::NotFound(_))) {
            return exact;
        }
        let mut alike = self.tables()?;
        alike.retain(|table| {
            let end = table.name.strip_suffix(name).or_else(|| without_extension(&table.name).strip_suffix(name));
            end.is_some_and(|before| before.ends_with('/'))
        });
        match alike.len() {
            0 => exact,
            1 => Ok(alike.remove(0)),
            count => Err(Error::InvalidInput(format!(
                "{count} tables are called {}, such as {} and {}; give the full name",
                shortened(name),
                alike[0].name,
                alike[1].name
            ))),
        }
    }

    /// Names that contain what is typed, those that start with it first.
    pub fn suggestions(&self, typed: &str) -> Result<Suggestions, Error> {
        let mut tables = self.tables()?;
        tables.retain(|table| table.name.contains(typed));
        tables.sort_by_key(|table| !table.name.starts_with(typed));
        let total = u32::try_from(tables.len()).ok();
        Ok(Suggestions { values: tables.into_iter().take(SUGGESTIONS_MAX).map(|table| table.name).collect(), total })
    }
}

impl Table {
    /// Where the file is.
    pub fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// Changes whenever the file does, as far as its size and modification time tell.
    pub fn version(&self) -> Result<String, Error> {
        let metadata = fs::metadata(self.path()).map_err(|error| unreadable(&self.name, &error))?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(format!("{:x}-{:x}", modified.unwrap_or_default().as_nanos(), metadata.len()))
    }
}

/// What the file system refuses, in the words of the contract.
pub fn unreadable(name: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(format!("no table {name}")),
        std::io::ErrorKind::PermissionDenied => Error::Denied(format!("{name} may not be read")),
        _ => Error::Failed(format!("cannot read {name}: {error}")),
    }
}

/// Enough of what the client sent to recognise it in a message.
pub fn shortened(text: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 300;
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}

fn is_file(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn is_table_name(name: &str) -> bool {
    without_extension(name).len() < name.len()
}

/// The name without `.csv` or `.tsv`; the name itself if it has neither.
fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv") => {
            stem
        }
        _ => name,
    }
}
