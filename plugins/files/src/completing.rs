//! Suggestions for a path that is being typed: what one directory holds, escaped as it must stand in the URI.

#[cfg(test)]
mod tests;

use crate::directory::Kind;
use crate::exports::stockade::agent::completion::Suggestions;
use crate::grants::Grants;
use crate::uri;
use crate::walk::smallest_names;

/// As many as the host passes on.
const SUGGESTIONS_MAX: usize = 100;
/// Room for more than that many of the longest names.
const NAMES_BYTES_MAX: usize = 64 * 1024;

/// Paths, without the leading slash, that begin with `typed`. A directory ends in a slash, for the next step.
pub fn paths(grants: &Grants, typed: &str) -> Suggestions {
    let typed = uri::unescape(typed).unwrap_or_else(|_| typed.into());
    let path = format!("/{}", typed.trim_start_matches('/'));
    let shown = |path: &str, is_directory: bool| {
        format!("{}{}", uri::escape(path.trim_start_matches('/')), if is_directory { "/" } else { "" })
    };
    let mut values: Vec<_> =
        grants.paths().iter().filter(|grant| grant.starts_with(&path)).map(|grant| shown(grant, true)).collect();
    let (directory, prefix) = path.rsplit_once('/').unwrap_or(("", &path));
    let mut more = false;
    if grants.check(directory).is_ok() && (directory.is_empty() || uri::check(directory).is_ok()) {
        let smallest = smallest_names(directory, "", prefix, NAMES_BYTES_MAX);
        more = smallest.more || smallest.entries.len() > SUGGESTIONS_MAX;
        let below = smallest.entries.iter().take(SUGGESTIONS_MAX);
        values.extend(below.map(|entry| shown(&format!("{directory}/{}", entry.name), entry.kind == Kind::Directory)));
    }
    values.truncate(SUGGESTIONS_MAX);
    let total = if more { None } else { u32::try_from(values.len()).ok() };
    Suggestions { values, total }
}
