//! Random replacement that draws for itself: which slot leaves depends on the seed and on how many
//! slots were filled before, on nothing else.

use std::collections::TryReserveError;

use crate::Slot;
use crate::policy::{Policy, Random};
use crate::sample::mix;

/// Random replacement with a generator.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    slots: Random,
    state: u64,
}

impl Drawn {
    /// The policy that draws what this seed gives.
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Random::default(),
            state: mix(seed),
        }
    }
}

impl Policy for Drawn {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        self.slots.reserve(slots)
    }
    #[inline]
    fn on_insert(&mut self, slot: Slot, hash: u64) {
        self.state = self.state.wrapping_add(1);
        self.slots.on_insert(slot, hash);
    }
    #[inline]
    fn on_hit(&mut self, _slot: Slot) {}
    #[inline]
    fn on_replace(&mut self, _slot: Slot) {}
    #[inline]
    fn on_remove(&mut self, slot: Slot) {
        self.slots.on_remove(slot);
    }
    #[inline]
    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        let list = self.slots.list();
        let at = (u128::from(mix(self.state)) * list.len() as u128) >> 64;
        list.get(at as usize).copied()
    }
    fn ranking(&self) -> Vec<Slot> {
        self.slots.ranking()
    }
    fn clear(&mut self) {
        self.slots.clear();
    }
    fn memory(&self) -> usize {
        self.slots.memory()
    }
    fn check(&self, len: usize) -> Result<(), String> {
        self.slots.check(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_slots_leave_about_equally_often() {
        let mut policy = Drawn::new(5);
        policy.reserve(8).expect("small");
        (0..8).for_each(|slot| policy.on_insert(slot, 0));
        let mut left = [0; 8];
        for _ in 0..8000 {
            let victim = policy.victim(None).expect("not empty");
            assert_eq!(policy.victim(None), Some(victim));
            left[victim as usize] += 1;
            policy.on_recycle(victim, 0, 0);
        }
        assert!(
            left.iter().all(|times| (850..1150).contains(times)),
            "{left:?}"
        );
        policy.check(8).expect("consistent");
    }

    #[test]
    fn an_empty_cache_has_no_victim() {
        assert_eq!(Drawn::new(5).victim(None), None);
    }
}
