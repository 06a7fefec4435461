//! SIEVE: a hand sweeps from old to new over slots that never move and evicts the first one that was
//! not used since it came by.
//!
//! Source: Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is Simpler than LRU: an Efficient Turn-Key
//! Eviction Algorithm for Web Caches" (NSDI 2024), Algorithm 1.

use std::collections::TryReserveError;

use super::{Graded, Policy, in_order_of_departure};
use crate::Slot;
use crate::segments::Segments;

const UNUSED: u8 = 0;
const USED: u8 = 1;

/// SIEVE order.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    /// One list, in order of insertion.
    slots: Segments<1>,
    /// Where the sweep goes on; at the oldest if nowhere.
    hand: Option<Slot>,
}

impl Policy for Sieve {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        self.slots.reserve(slots)
    }

    fn on_insert(&mut self, slot: Slot, _hash: u64) {
        self.slots.push_back(0, slot);
    }

    #[inline(always)]
    fn on_hit(&mut self, slot: Slot) {
        self.slots.set_note(slot, USED);
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        if self.hand == Some(slot) {
            self.hand = self.slots.next(slot);
        }
        self.slots.remove(slot);
    }

    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        let oldest = self.slots.front(0)?;
        let mut hand = self.hand.unwrap_or(oldest);
        // Ends, since every step takes a use away.
        while self.slots.note(hand) == USED {
            self.slots.set_note(hand, UNUSED);
            hand = self.slots.next(hand).unwrap_or(oldest);
        }
        self.hand = Some(hand);
        Some(hand)
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.slots.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        match self.hand {
            Some(hand) if !self.slots.contains(hand) => {
                Err(format!("sieve: the hand is at {hand}, which is out"))
            }
            _ => self.slots.check(len),
        }
    }
}

/// The grade says whether a slot was used since the hand came by. The order begins at the hand.
impl Graded for Sieve {
    const GRADES: u8 = 2;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let start = self.hand.or(self.slots.front(0));
        let ahead = std::iter::successors(start, |&slot| self.slots.next(slot));
        let behind = self.slots.iter(0).take_while(|&slot| Some(slot) != start);
        let with_grade = |slot| (slot, self.slots.note(slot));
        ahead.chain(behind).map(with_grade).collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        for (slot, _, grade) in graded {
            self.slots.push_back(0, slot);
            self.slots.set_note(slot, grade);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As drawn in the paper: A to G from old to new, of which A, B and G were used; then requests for
    /// H, A, D, I, B and J.
    #[test]
    fn the_hand_passes_by_what_was_used() {
        let mut policy = Sieve::default();
        policy.reserve(7).expect("small");
        (0..7).for_each(|slot| policy.on_insert(slot, 0));
        [0, 1, 6].into_iter().for_each(|slot| policy.on_hit(slot));
        assert_eq!(policy.victim(None), Some(2)); // H for C
        policy.on_recycle(2, 0, 0);
        policy.on_hit(0); // A
        policy.on_hit(3); // D
        assert_eq!(policy.victim(None), Some(4)); // I for E
        policy.on_recycle(4, 0, 0);
        policy.on_hit(1); // B
        assert_eq!(policy.victim(None), Some(5)); // J for F
        policy.on_recycle(5, 0, 0);
        // G, H, I, J, A, B, D from the hand on
        let order = [(6, 1), (2, 0), (4, 0), (5, 0), (0, 1), (1, 1), (3, 0)];
        assert_eq!(policy.grades(), order);
        policy.check(7).expect("consistent");
    }

    #[test]
    fn the_hand_moves_on_from_what_is_deleted() {
        let mut policy = Sieve::default();
        policy.reserve(3).expect("small");
        (0..3).for_each(|slot| policy.on_insert(slot, 0));
        policy.on_hit(0);
        assert_eq!(policy.victim(None), Some(1));
        policy.on_remove(1);
        assert_eq!(policy.victim(None), Some(2));
        policy.on_remove(2);
        assert_eq!(policy.victim(None), Some(0));
        policy.on_remove(0);
        assert_eq!(policy.victim(None), None);
    }
}
