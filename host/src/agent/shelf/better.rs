//! Better code for what is served already, and no code for what is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use stockade_ledger::{Charge, Refusal};

use super::super::cache::{Code, Digest};
use super::super::release::Release;
use super::{CODE_BASE_BYTES, CODE_SHARE, LoadError, Shelf};

/// Components of which better code is waited for.
const IMPROVING_MAX: usize = 64;

/// How often it is tried to make better code while there is no memory for it, and the pause between two tries.
const IMPROVE_TRIES: u32 = 60;
const IMPROVE_PAUSE: Duration = Duration::from_secs(10);

/// Leave to find a component's code where it lies, whatever becomes of others that run the same.
pub(in super::super) struct Hold {
    shelf: Arc<Shelf>,
    digest: Digest,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut slots = self.shelf.lock();
        if let Some(times) = slots.held.get_mut(&self.digest) {
            *times -= 1;
            if *times == 0 {
                slots.held.remove(&self.digest);
            }
        }
    }
}

impl Shelf {
    /// Has better code made of a component while nobody waits for it, and puts it in the place of what is there. Calls that
    /// run end as they began.
    pub(super) fn improve(self: &Arc<Self>, release: &Release, digest: &Digest) {
        let mine = {
            let mut slots = self.lock();
            // One too many waits until it is loaded the next time.
            if slots.improving.len() >= IMPROVING_MAX || slots.improving.contains_key(&digest.0) {
                return;
            }
            slots.uses += 1;
            let mine = slots.uses;
            slots.improving.insert(digest.0.clone(), mine);
            mine
        };
        let (shelf, release, digest) = (self.clone(), release.clone(), digest.clone());
        tokio::spawn(async move {
            let improved = shelf.better(&release, &digest, mine).await;
            {
                let mut slots = shelf.lock();
                if slots.improving.get(&digest.0) == Some(&mine) {
                    slots.improving.remove(&digest.0);
                }
            }
            match improved {
                Ok(()) => tracing::info!(agent = &*release.key, "runs at full speed from now on"),
                Err(error) => {
                    tracing::warn!(
                        agent = &*release.key,
                        error = format!("{error:#}"),
                        "stays slower than it could be"
                    );
                }
            }
        });
    }

    async fn better(&self, release: &Release, digest: &Digest, mine: u64) -> Result<(), LoadError> {
        self.compiler.until_calm().await?;
        if !self.has(digest) {
            return Ok(());
        }
        let (file, found) = self.identify(&release.component).await?;
        if found != *digest {
            return Err(LoadError::Changed { path: release.component.clone() });
        }
        let mut tries = 0;
        let wanted = || self.lock().improving.get(&digest.0) == Some(&mine);
        while let Err(error) = self.compiler.compile_idly(&self.cache, digest, &file, wanted).await {
            tries += 1;
            let error = LoadError::from(error);
            if error.full_now().is_none() || tries == IMPROVE_TRIES {
                return Err(error);
            }
            tokio::time::sleep(IMPROVE_PAUSE).await;
        }
        if !wanted() {
            // Discarded while it was compiled; or published anew, and then somebody else is at it.
            let is_used = {
                let slots = self.lock();
                slots.improving.contains_key(&digest.0) || slots.by_digest.contains_key(digest)
            };
            // The quick file is whoever's has come since.
            return if is_used { Ok(()) } else { Ok(self.cache.remove_one(digest, Code::Fast)?) };
        }
        // Unloaded meanwhile: whoever loads it next finds the better code.
        if !self.has(digest) {
            return Ok(());
        }
        let size = self.cache.size(digest, Code::Fast)?.context("the compiled code vanished")?;
        let charge = self.make_room(CODE_BASE_BYTES + size / CODE_SHARE)?;
        let (component, code) = self.map(release, digest).await?;
        if wanted() {
            self.put(self.link(&component, (digest.clone(), code), charge)?);
        }
        Ok(())
    }

    /// Pays for what an agent that is served says of itself. Code that nobody runs makes room.
    pub fn lend(&self, bytes: u64) -> Result<Charge, Refusal> {
        loop {
            let charged = self.descriptions.charge(bytes);
            match &charged {
                Err(refusal) if *refusal.account != *self.descriptions.name() && self.take_oldest().is_some() => {}
                _ => return charged,
            }
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        self.lock().by_digest.contains_key(digest)
    }

    /// Keeps the code of a component that nobody is known to run yet.
    pub fn hold(self: &Arc<Self>, digest: &Digest) -> Hold {
        *self.lock().held.entry(digest.clone()).or_default() += 1;
        Hold { shelf: self.clone(), digest: digest.clone() }
    }

    /// Forgets a component that nobody runs any more: its code in memory and on disk, unless somebody holds it. Calls that run
    /// go on with what they have.
    pub fn discard(&self, digest: &Digest) {
        let gone = {
            let mut slots = self.lock();
            if slots.held.contains_key(digest) {
                return;
            }
            slots.improving.remove(&digest.0);
            slots.by_digest.remove(digest)
        };
        // Outside the lock: unmapping takes its time.
        drop(gone);
        if let Err(error) = self.cache.remove(digest) {
            tracing::warn!(digest = &digest.0[..12], error = format!("{error:#}"), "compiled code stays on disk");
        }
    }

    /// Removes compiled code from disk that no engine of this host made for any of these components; says how many files.
    pub fn prune(&self, digests: &HashSet<String>) -> anyhow::Result<usize> {
        self.cache.prune(digests)
    }
}
