//! Random replacement: every slot is equally likely to leave; the caller draws the number.
//!
//! The order of the list is visible to users who supply their own choice function: a removed slot
//! is replaced by the last one.

use std::collections::TryReserveError;

use super::Policy;
use crate::Slot;

/// A list of slots to draw from.
#[derive(Clone, Debug, Default)]
pub struct Random {
    list: Vec<Slot>,
    position: Vec<u32>,
}

impl Random {
    /// All slots, in drawing order.
    pub fn list(&self) -> &[Slot] {
        &self.list
    }
}

impl Policy for Random {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.position.len() < slots {
            self.position.try_reserve(slots - self.position.len())?;
            self.list.try_reserve(slots - self.list.len())?;
            self.position.resize(slots, 0);
        }
        Ok(())
    }

    #[inline]
    fn on_insert(&mut self, slot: Slot, _hash: u64) {
        self.position[slot as usize] = self.list.len() as u32;
        self.list.push(slot);
    }

    #[inline]
    fn on_hit(&mut self, _slot: Slot) {}

    #[inline]
    fn on_replace(&mut self, _slot: Slot) {}

    #[inline]
    fn on_remove(&mut self, slot: Slot) {
        let at = self.position[slot as usize];
        self.list.swap_remove(at as usize);
        if let Some(&moved) = self.list.get(at as usize) {
            self.position[moved as usize] = at;
        }
    }

    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        None
    }

    fn ranking(&self) -> Vec<Slot> {
        self.list.clone()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        (self.list.capacity() + self.position.capacity()) * size_of::<u32>()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        if self.list.len() != len {
            return Err(format!("random: {} slots, expected {len}", self.list.len()));
        }
        for (at, &slot) in self.list.iter().enumerate() {
            if self.position[slot as usize] as usize != at {
                return Err(format!(
                    "random: slot {slot} is at {at}, position says otherwise"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_slot_takes_the_place_of_a_removed_one() {
        let mut policy = Random::default();
        policy.reserve(4).expect("small");
        for slot in 0..4 {
            policy.on_insert(slot, 0);
        }
        policy.on_remove(1);
        assert_eq!(policy.list(), [0, 3, 2]);
        policy.on_remove(2);
        assert_eq!(policy.list(), [0, 3]);
        policy.check(2).expect("consistent");
    }
}
