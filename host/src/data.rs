//! The host's own data: a directory that no name leads out of, and in which nobody else reads or writes.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};

/// Only the host's own user reads or writes what lies here: tokens, and code that the host maps.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes the data directory and those above it, if need be.
///
/// # Errors
///
/// When the host may not.
pub fn create(data: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(data)
}

/// Opens the data directory.
///
/// # Errors
///
/// When there is none, or the host may not enter it.
pub fn open(data: &Path) -> anyhow::Result<Dir> {
    Dir::open_ambient_dir(data, ambient_authority())
        .with_context(|| format!("cannot open the data directory {}", data.display()))
}

/// Opens a directory of this name in the data directory, and makes it if need be.
///
/// # Errors
///
/// When the data directory cannot be written.
pub fn below(data: &Path, name: &str) -> anyhow::Result<Dir> {
    directory(&open(data)?, name)
        .with_context(|| format!("cannot use `{name}` in the data directory {}", data.display()))
}

/// Opens a directory in another, and makes it if need be.
///
/// # Errors
///
/// When the parent cannot be written.
pub fn directory(parent: &Dir, name: &str) -> io::Result<Dir> {
    match parent.create_dir_with(name, DirBuilder::new().mode(DIRECTORY_MODE)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => parent.open_dir(name),
    }
}

/// How a file is opened to be written: one that is made by it is the host's alone from its first instant.
pub fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_made_is_the_hosts_alone_and_stays_below_its_data() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = below(folder.path(), "made").expect("it can be made");
        dir.open_with("file", writable().create_new(true)).expect("it can be written");
        let mode = |name: &str| {
            let metadata = folder.path().join(name).metadata().expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode("made"), mode("made/file")), (0o700, 0o600));
        // Again, as at the next start.
        below(folder.path(), "made").expect("it can be opened");

        std::os::unix::fs::symlink("/", folder.path().join("outside")).expect("a link");
        let error = below(folder.path(), "outside").expect_err("it leads out");
        assert!(error.to_string().contains("cannot use `outside` in the data directory"), "{error:#}");
        let error = below(&folder.path().join("none"), "made").expect_err("there is none");
        assert!(error.to_string().contains("cannot open the data directory"), "{error:#}");
    }
}
