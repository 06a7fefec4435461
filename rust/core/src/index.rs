//! Hash -> slot: an open-addressing table of slot numbers (hashbrown's Swiss table).
//!
//! The table stores four bytes a slot; hashes stay with the caller, who also decides equality.

use std::collections::TryReserveError;

use hashbrown::HashTable;

use crate::{Slot, spread};

/// Finds slots by the hash of their key.
#[derive(Clone, Debug, Default)]
pub struct Index {
    table: HashTable<Slot>,
}

impl Index {
    /// An empty index; does not allocate.
    pub const fn new() -> Self {
        Self {
            table: HashTable::new(),
        }
    }

    /// The number of slots in the index.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the index is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The first slot stored under `hash` (or one whose spread hash looks the same) for which
    /// `same` holds. `same` must compare the full hash itself.
    #[inline(always)]
    pub fn find(&self, hash: u64, mut same: impl FnMut(Slot) -> bool) -> Option<Slot> {
        self.table.find(spread(hash), |&slot| same(slot)).copied()
    }

    /// Makes room for one more slot. `hash_of` gives the hash of a slot in the index.
    #[inline]
    pub fn reserve(&mut self, hash_of: impl Fn(Slot) -> u64) -> Result<(), TryReserveError> {
        self.table
            .try_reserve(1, |&slot| spread(hash_of(slot)))
            .map_err(|_| {
                // hashbrown has an error type of its own; std's cannot be made by hand, so ask for
                // what can never be had.
                Vec::<u8>::new()
                    .try_reserve(usize::MAX)
                    .expect_err("no allocator has usize::MAX bytes")
            })
    }

    /// Adds a slot that is not in the index; [`reserve`](Self::reserve) came before.
    #[inline]
    pub fn insert(&mut self, hash: u64, slot: Slot, hash_of: impl Fn(Slot) -> u64) {
        self.table
            .insert_unique(spread(hash), slot, |&other| spread(hash_of(other)));
    }

    /// Removes `slot`, which is stored under `hash`.
    #[inline]
    pub fn remove(&mut self, hash: u64, slot: Slot) {
        let found = self.table.find_entry(spread(hash), |&other| other == slot);
        debug_assert!(found.is_ok(), "slot {slot} is not in the index");
        if let Ok(entry) = found {
            entry.remove();
        }
    }

    /// Stores a slot under another hash; [`reserve`](Self::reserve) came before.
    #[inline(always)]
    pub fn move_slot(&mut self, slot: Slot, from: u64, to: u64, hash_of: impl Fn(Slot) -> u64) {
        self.remove(from, slot);
        self.insert(to, slot, hash_of);
    }

    /// All slots, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.table.iter().copied()
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.table.allocation_size()
    }

    /// Empties the index and returns its memory.
    pub fn clear(&mut self) {
        self.table = HashTable::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_with_one_hash_are_told_apart_by_the_caller() {
        let mut index = Index::new();
        for slot in 0..100 {
            index.reserve(|_| 7).expect("small");
            index.insert(7, slot, |_| 7);
        }
        assert_eq!(index.find(7, |slot| slot == 63), Some(63));
        index.remove(7, 63);
        assert_eq!(index.find(7, |slot| slot == 63), None);
        assert_eq!(index.len(), 99);
    }

    #[test]
    fn sequential_hashes_do_not_collide_in_the_tag_bits() {
        let tags: std::collections::HashSet<u64> = (0..1000).map(|h| spread(h) >> 57).collect();
        assert!(tags.len() > 100, "only {} of 128 tags used", tags.len());
    }
}
