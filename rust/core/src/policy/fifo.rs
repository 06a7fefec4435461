//! First in, first out: the slot written longest ago leaves. Reads do not count.

use std::collections::TryReserveError;

use super::{LEAD, Policy};
use crate::Slot;
use crate::ring::Ring;

/// FIFO order. Replacing a value counts as writing it anew.
#[derive(Clone, Debug, Default)]
pub struct Fifo {
    written: Ring<LEAD>,
}

impl Fifo {
    /// All slots, next victim first.
    pub fn order(&self) -> &Ring<LEAD> {
        &self.written
    }
}

impl Policy for Fifo {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        self.written.reserve(slots)
    }
    #[inline]
    fn on_insert(&mut self, slot: Slot, _hash: u64) {
        self.written.push_back(slot);
    }
    #[inline]
    fn on_hit(&mut self, _slot: Slot) {}
    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.written.move_to_back(slot);
    }
    #[inline]
    fn on_remove(&mut self, slot: Slot) {
        self.written.remove(slot);
    }
    #[inline]
    fn on_recycle(&mut self, slot: Slot, _old: u64, _new: u64) {
        self.written.move_to_back(slot);
    }
    #[inline]
    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        self.written.front()
    }
    fn ranking(&self) -> Vec<Slot> {
        self.written.iter().collect()
    }
    fn clear(&mut self) {
        self.written.clear();
    }
    fn memory(&self) -> usize {
        self.written.memory()
    }
    fn check(&self, len: usize) -> Result<(), String> {
        self.written.check(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_do_not_save_a_slot_but_writes_do() {
        let mut policy = Fifo::default();
        policy.reserve(3).expect("small");
        for slot in 0..3 {
            policy.on_insert(slot, 0);
        }
        policy.on_hit(0);
        assert_eq!(policy.victim(None), Some(0));
        policy.on_replace(0);
        assert_eq!(policy.victim(None), Some(1)); // 1, 2, 0
    }
}
