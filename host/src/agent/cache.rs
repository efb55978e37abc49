//! Compiled code on disk, by the digest of its component and the engine that made it.
//!
//! Owns the directory `compiled` in the host's data. Compiled code is machine code that runs unchecked: nothing comes into
//! this directory but what the compiling child wrote, under a name that no other process is given, and nothing leaves it but
//! by mapping it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use cap_std::fs::{Dir, DirEntry, File};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Name of the directory below the host's data.
const DIRECTORY: &str = "compiled";

/// Hex digits of a digest.
const DIGEST_DIGITS: usize = 64;

/// Bytes of a component that are hashed at a time.
const READ_BYTES: usize = 64 << 10;

/// Age of a file below which it may be somebody's who is still at work.
const AT_WORK: Duration = Duration::from_secs(600);

/// The directory of compiled code.
#[derive(Debug)]
pub(super) struct Cache {
    dir: Dir,
    opened: SystemTime,
    /// Tells engines apart that cannot run each other's code.
    engine: String,
}

/// sha256 of a component, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Digest(pub String);

impl Digest {
    pub fn of(component: &[u8]) -> Self {
        Self::hex(&Sha256::digest(component))
    }

    /// Reads a file to its end, piece by piece.
    pub fn of_file(file: &mut std::fs::File) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut piece = vec![0; READ_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Self::hex(&hasher.finalize())),
                n => hasher.update(&piece[..n]),
            }
        }
    }

    fn hex(digest: &[u8]) -> Self {
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// How good compiled code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    /// Soon there, and slower to run.
    Quick,
    /// As fast as it gets.
    Fast,
}

/// sha256 of what is left of a file, in hex.
///
/// # Errors
///
/// When it cannot be read.
pub fn digest(file: &mut std::fs::File) -> io::Result<String> {
    Digest::of_file(file).map(|digest| digest.0)
}

/// A file that is being written by the compiling child; gone unless it is kept.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    cache: &'a Cache,
    name: String,
    digest: Digest,
    code: Code,
    pub file: File,
}

impl Cache {
    /// Opens the directory, and creates it if need be.
    pub fn open(data: &Path, engine: &Engine) -> anyhow::Result<Self> {
        let dir = crate::data::below(data, DIRECTORY)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = format!("{:016x}", hasher.finish());
        Ok(Self { dir, opened: SystemTime::now(), engine })
    }

    /// Maps compiled code, the best there is.
    pub fn map(&self, engine: &Engine, digest: &Digest) -> anyhow::Result<Option<(Component, Code)>> {
        let Some((file, code)) = self.find(digest, Code::Quick)? else { return Ok(None) };
        // By the descriptor just opened, so that what is mapped is what lies in this directory.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        #[expect(
            unsafe_code,
            reason = "wasmtime cannot check machine code; this directory holds only our compiler's output"
        )]
        // SAFETY: the file was written by our own compiling child, renamed into a directory of mode 0700, and is never
        // written again: a new compilation makes a new file.
        let component = unsafe { Component::deserialize_file(engine, &path) };
        Ok(Some((component?, code)))
    }

    /// Bytes of the compiled file, if it is at least this good.
    pub fn size(&self, digest: &Digest, least: Code) -> anyhow::Result<Option<u64>> {
        self.find(digest, least)?.map(|(file, _)| Ok(file.metadata()?.len())).transpose()
    }

    /// A new file for the compiler to write.
    pub fn draft(&self, digest: &Digest, code: Code) -> anyhow::Result<Draft<'_>> {
        // A name nobody else has: other hosts may share the directory, and in containers even our process number.
        let unique = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let name = format!("{}.{unique:016x}.draft", digest.0);
        let created = self.dir.open_with(&name, crate::data::writable().create_new(true));
        let file = created.context("cannot create a file for compiled code; is the disk full?")?;
        Ok(Draft { cache: self, name, digest: digest.clone(), code, file })
    }

    /// Forgets what cannot be used.
    pub fn remove(&self, digest: &Digest) -> anyhow::Result<()> {
        [Code::Fast, Code::Quick].into_iter().try_for_each(|code| self.remove_one(digest, code))
    }

    /// Forgets one of the files.
    pub fn remove_one(&self, digest: &Digest, code: Code) -> anyhow::Result<()> {
        match self.dir.remove_file(self.name(digest, code)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("cannot remove compiled code"),
            _ => Ok(()),
        }
    }

    /// Removes what is not compiled code of one of these components by this engine: of other engines, of components that are
    /// gone, half written. What has come since this was opened is whoever's is at work on it.
    pub fn prune(&self, digests: &HashSet<String>) -> anyhow::Result<usize> {
        let mut removed = 0;
        for entry in self.dir.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let is_used = name.to_str().is_some_and(|name| {
                let (digest, rest) = name.split_at_checked(DIGEST_DIGITS).unwrap_or_default();
                let own = rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(&*self.engine));
                digests.contains(digest) && own.is_some_and(|rest| rest.ends_with("cwasm"))
            });
            if is_used {
                continue;
            }
            match self.is_left(&entry).and_then(|is_left| is_left.then(|| self.dir.remove_file(&name)).transpose()) {
                Ok(done) => removed += usize::from(done.is_some()),
                // Whoever shares the directory has it by another name now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(removed)
    }

    /// Whether nobody works at a file any more. Others who share the directory may be at work on drafts of theirs.
    fn is_left(&self, entry: &DirEntry) -> io::Result<bool> {
        let modified = entry.metadata()?.modified()?.into_std();
        let is_draft = entry.file_name().to_str().is_some_and(|name| name.ends_with(".draft"));
        let since = if is_draft { self.opened.checked_sub(AT_WORK) } else { Some(self.opened) };
        Ok(since.is_some_and(|since| modified < since))
    }

    fn find(&self, digest: &Digest, least: Code) -> anyhow::Result<Option<(File, Code)>> {
        for code in [Code::Fast, Code::Quick].into_iter().filter(|code| *code >= least) {
            match self.dir.open(self.name(digest, code)) {
                Ok(file) => return Ok(Some((file, code))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("cannot open compiled code"),
            }
        }
        Ok(None)
    }

    fn name(&self, digest: &Digest, code: Code) -> String {
        let quick = if code == Code::Quick { ".quick" } else { "" };
        format!("{}-{}{quick}.cwasm", digest.0, self.engine)
    }
}

impl Draft<'_> {
    /// Makes the file the one that [`Cache::map`] finds.
    pub fn keep(self) -> anyhow::Result<()> {
        self.file.sync_all().context("cannot write compiled code; is the disk full?")?;
        self.cache.dir.rename(&self.name, &self.cache.dir, self.cache.name(&self.digest, self.code))?;
        // What was only there until this came. Whoever has mapped it keeps it.
        if self.code == Code::Fast { self.cache.remove_one(&self.digest, Code::Quick) } else { Ok(()) }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After `keep` the name is gone already.
        drop(self.cache.dir.remove_file(&self.name));
    }
}

#[cfg(test)]
mod tests;
