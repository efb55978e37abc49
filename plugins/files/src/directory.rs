//! What one directory holds.
//!
//! Inside WASI this speaks to the host directly. The standard library asks the host about every single entry (for an
//! inode number nobody wants), which makes large directories twenty times slower, and it ends at a name that is not
//! UTF-8, where this passes over it.

/// What kind of thing a name in a directory stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Link,
    Other,
}

/// A name in a directory. Ordered by name; a name is unique in its directory.
#[derive(PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

/// The entries in the order of the file system. A directory that cannot be read has none; a name that is not UTF-8 is
/// left out, since no URI could name it.
#[cfg(target_os = "wasi")]
pub fn entries(directory: &str) -> impl Iterator<Item = Entry> {
    use wasip2::filesystem::types::{DescriptorType, ErrorCode};
    let stream = wasi_open(directory).and_then(|directory| directory.read_directory().ok());
    std::iter::from_fn(move || {
        loop {
            let entry = match stream.as_ref()?.read_directory_entry() {
                Ok(entry) => entry?,
                Err(ErrorCode::IllegalByteSequence) => continue,
                Err(_) => return None,
            };
            let kind = match entry.type_ {
                DescriptorType::Directory => Kind::Directory,
                DescriptorType::RegularFile => Kind::File,
                DescriptorType::SymbolicLink => Kind::Link,
                _ => Kind::Other,
            };
            return Some(Entry { name: entry.name, kind });
        }
    })
}

/// Opens a directory below the grant that is nearest to it.
#[cfg(target_os = "wasi")]
fn wasi_open(directory: &str) -> Option<wasip2::filesystem::types::Descriptor> {
    use crate::grants::is_below;
    use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
    let (grant, root) = wasip2::filesystem::preopens::get_directories()
        .into_iter()
        .map(|(grant, root)| (grant, crate::grants::normalised(&root)))
        .filter(|(_, root)| is_below(directory, root))
        .max_by_key(|(_, root)| root.len())?;
    match directory[root.len()..].trim_start_matches('/') {
        "" => Some(grant),
        below => grant.open_at(PathFlags::SYMLINK_FOLLOW, below, OpenFlags::DIRECTORY, DescriptorFlags::READ).ok(),
    }
}

/// The same outside WASI.
#[cfg(not(target_os = "wasi"))]
pub fn entries(directory: &str) -> impl Iterator<Item = Entry> {
    let path = if directory.is_empty() { "/" } else { directory };
    std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        Some(Entry { name: entry.file_name().into_string().ok()?, kind: entry.file_type().ok()?.into() })
    })
}

impl From<std::fs::FileType> for Kind {
    fn from(kind: std::fs::FileType) -> Kind {
        match kind {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        }
    }
}
