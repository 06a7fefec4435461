//! A small cache of hashes that counts its hits.

use std::collections::TryReserveError;

use super::GROUPS;
use crate::Slot;
use crate::index::Index;
use crate::policy::Policy;
use crate::replay::Visitor;

/// A miniature of any policy.
pub trait Shadow: Send + Sync {
    /// Looks a hash up, and stores it if it is not there.
    fn lookup(&mut self, hash: u64, group: usize);
    /// Takes a hash out, if it is there.
    fn forget(&mut self, hash: u64);
    /// Hits of each group of keys.
    fn hits(&self) -> &[u64; GROUPS];
    /// How many hashes it holds at most.
    fn size(&self) -> usize;
    /// Whether it holds as many as it may.
    fn is_full(&self) -> bool;
    /// Bytes allocated.
    fn memory(&self) -> usize;
    /// Says what is wrong, if anything.
    fn check(&self) -> Result<(), String>;
}

/// Makes a miniature that holds `size` hashes.
pub struct Build {
    pub size: usize,
}

impl Visitor for Build {
    type Output = Result<Box<dyn Shadow>, TryReserveError>;

    fn with<P: Policy + Send + Sync + 'static>(self, mut policy: P) -> Self::Output {
        policy.reserve(self.size)?;
        let mut hashes = Vec::new();
        hashes.try_reserve_exact(self.size)?;
        let mut free = Vec::new();
        free.try_reserve_exact(self.size)?;
        Ok(Box::new(Miniature {
            policy,
            index: Index::new(),
            hashes,
            free,
            size: self.size,
            hits: [0; GROUPS],
        }))
    }
}

struct Miniature<P> {
    policy: P,
    index: Index,
    /// By slot.
    hashes: Vec<u64>,
    free: Vec<Slot>,
    size: usize,
    hits: [u64; GROUPS],
}

impl<P: Policy> Miniature<P> {
    fn find(&self, hash: u64) -> Option<Slot> {
        self.index
            .find(hash, |slot| self.hashes[slot as usize] == hash)
    }

    fn store(&mut self, hash: u64) {
        if self.index.len() == self.size {
            let slot = self
                .policy
                .victim(Some(hash))
                .expect("a full cache has a victim");
            let old = std::mem::replace(&mut self.hashes[slot as usize], hash);
            let hashes = &self.hashes;
            self.index
                .move_slot(slot, old, hash, |slot| hashes[slot as usize]);
            self.policy.on_recycle(slot, old, hash);
            return;
        }
        let hashes = &self.hashes;
        if self.index.reserve(|slot| hashes[slot as usize]).is_err() {
            return; // no memory for a little table: it stays as small as it is
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.hashes[slot as usize] = hash;
                slot
            }
            None => {
                self.hashes.push(hash);
                self.hashes.len() as Slot - 1
            }
        };
        let hashes = &self.hashes;
        self.index.insert(hash, slot, |slot| hashes[slot as usize]);
        self.policy.on_insert(slot, hash);
    }
}

impl<P: Policy + Send + Sync> Shadow for Miniature<P> {
    fn lookup(&mut self, hash: u64, group: usize) {
        match self.find(hash) {
            Some(slot) => {
                self.hits[group] += 1;
                self.policy.on_hit(slot);
            }
            None => self.store(hash),
        }
    }

    fn forget(&mut self, hash: u64) {
        if let Some(slot) = self.find(hash) {
            self.index.remove(hash, slot);
            self.policy.on_remove(slot);
            self.free.push(slot);
        }
    }

    fn hits(&self) -> &[u64; GROUPS] {
        &self.hits
    }

    fn size(&self) -> usize {
        self.size
    }

    fn is_full(&self) -> bool {
        self.index.len() == self.size
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.policy.memory()
            + self.index.memory()
            + self.hashes.capacity() * size_of::<u64>()
            + self.free.capacity() * size_of::<Slot>()
    }

    fn check(&self) -> Result<(), String> {
        self.policy.check(self.index.len())
    }
}
