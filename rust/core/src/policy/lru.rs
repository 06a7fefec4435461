//! Least recently used: the slot neither read nor written for longest leaves.

use std::collections::TryReserveError;

use super::{LEAD, Policy};
use crate::Slot;
use crate::ring::Ring;

/// LRU order.
#[derive(Clone, Debug, Default)]
pub struct Lru {
    used: Ring<LEAD>,
}

impl Lru {
    /// All slots, next victim first.
    pub fn order(&self) -> &Ring<LEAD> {
        &self.used
    }
}

impl Policy for Lru {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        self.used.reserve(slots)
    }
    #[inline]
    fn on_insert(&mut self, slot: Slot, _hash: u64) {
        self.used.push_back(slot);
    }
    #[inline(always)]
    fn on_hit(&mut self, slot: Slot) {
        self.used.move_to_back(slot);
    }
    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.used.move_to_back(slot);
    }
    #[inline]
    fn on_remove(&mut self, slot: Slot) {
        self.used.remove(slot);
    }
    #[inline(always)]
    fn on_recycle(&mut self, slot: Slot, _old: u64, _new: u64) {
        self.used.move_to_back(slot);
    }
    #[inline(always)]
    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        self.used.front()
    }
    fn ranking(&self) -> Vec<Slot> {
        self.used.iter().collect()
    }
    fn clear(&mut self) {
        self.used.clear();
    }
    fn memory(&self) -> usize {
        self.used.memory()
    }
    fn check(&self, len: usize) -> Result<(), String> {
        self.used.check(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_saves_a_slot() {
        let mut policy = Lru::default();
        policy.reserve(3).expect("small");
        for slot in 0..3 {
            policy.on_insert(slot, 0);
        }
        policy.on_hit(0); // 1, 2, 0
        assert_eq!(policy.victim(None), Some(1));
        policy.on_remove(1);
        assert_eq!(policy.victim(None), Some(2));
    }
}
