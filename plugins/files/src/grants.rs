//! The directories this agent was granted. Owns the question whether a path lies below one; whether it exists, and
//! whether a link leads out of it, is WASI's to answer.

#[cfg(test)]
mod tests;

use crate::stockade::agent::types::Error;
use std::cmp::Ordering;
use std::fmt;

/// Guest paths of the grants, absolute, without a trailing slash, in path order.
pub struct Grants(Vec<String>);

impl Grants {
    /// The preopened directories of this instance.
    #[cfg(target_os = "wasi")]
    pub fn of_this_agent() -> Grants {
        Grants::new(wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path))
    }

    /// Outside WASI nothing is granted.
    #[cfg(not(target_os = "wasi"))]
    pub fn of_this_agent() -> Grants {
        Grants::new([])
    }

    /// From guest paths as the host wrote them.
    pub fn new(paths: impl IntoIterator<Item = String>) -> Grants {
        let mut paths: Vec<_> = paths.into_iter().map(|path| normalised(&path)).collect();
        paths.sort_by(|a, b| path_order(a, b));
        paths.dedup();
        Grants(paths)
    }

    /// The grants in path order. A grant of `/` itself is the empty string, so that a child is always `{grant}/{name}`.
    pub fn paths(&self) -> &[String] {
        &self.0
    }

    /// Whether `path` is a grant itself.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|grant| grant == path)
    }

    /// Refuses a path that is below no grant.
    pub fn check(&self, path: &str) -> Result<(), Error> {
        if self.0.iter().any(|grant| is_below(path, grant)) {
            return Ok(());
        }
        Err(Error::NotFound(format!("{path} is not below a granted directory; granted: {self}")))
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no directory");
        }
        for (index, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, if path.is_empty() { "/" } else { path })?;
        }
        Ok(())
    }
}

/// A guest path as it is kept here.
pub fn normalised(path: &str) -> String {
    format!("/{}", path.trim_matches('/')).trim_end_matches('/').into()
}

/// Whether `path` is `directory` or lies below it.
pub fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The order of a walk: segment by segment, each by its bytes. It differs from the order of the strings, where `/`
/// sorts after `-`.
pub fn path_order(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}
