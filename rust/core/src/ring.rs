//! A circular doubly linked list of slots, kept in one vector.
//!
//! Node `LEAD` is the sentinel; slot `s` is node `LEAD + 1 + s`. A slot outside the ring has both
//! links set to [`OUT`]. All operations are O(1) except iteration.
//!
//! Two rings over the same slots are often the same number of bytes apart as a multiple of the page
//! size, being of one length. Processors take a load for dependent on an earlier store if the lower
//! 12 bits of their addresses agree, which makes an eviction a third slower. So rings that are used
//! together differ in their `LEAD`.

use std::collections::TryReserveError;

use crate::Slot;

const OUT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

/// Slots in an order, oldest (front) to newest (back).
#[derive(Clone, Debug)]
pub struct Ring<const LEAD: u32 = 0> {
    links: Vec<Link>,
}

impl<const LEAD: u32> Default for Ring<LEAD> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LEAD: u32> Ring<LEAD> {
    const SENTINEL: u32 = LEAD;

    /// An empty ring. Does not allocate until the first [`reserve`](Self::reserve).
    pub const fn new() -> Self {
        Self { links: Vec::new() }
    }

    /// Makes room for slots below `slots`.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let nodes = slots + LEAD as usize + 1;
        if self.links.len() < nodes {
            let first = self.links.is_empty();
            self.links.try_reserve(nodes - self.links.len())?;
            self.links.resize(
                nodes,
                Link {
                    prev: OUT,
                    next: OUT,
                },
            );
            if first {
                self.links[LEAD as usize] = Link {
                    prev: Self::SENTINEL,
                    next: Self::SENTINEL,
                };
            }
        }
        Ok(())
    }

    /// Adds a slot that is not in the ring at the back.
    #[inline]
    pub fn push_back(&mut self, slot: Slot) {
        debug_assert!(!self.contains(slot));
        self.link_back(slot + LEAD + 1);
    }

    /// Takes a slot that is in the ring out of it.
    #[inline]
    pub fn remove(&mut self, slot: Slot) {
        debug_assert!(self.contains(slot));
        let node = slot + LEAD + 1;
        self.unlink(node);
        self.links[node as usize] = Link {
            prev: OUT,
            next: OUT,
        };
    }

    /// Moves a slot that is in the ring to the back.
    #[inline(always)]
    pub fn move_to_back(&mut self, slot: Slot) {
        debug_assert!(self.contains(slot));
        let node = slot + LEAD + 1;
        let links = self.links.as_mut_slice(); // known not to move meanwhile
        let Link { prev, next } = links[node as usize];
        // The most recent item is the one most often read again: leave its links alone.
        if next == Self::SENTINEL {
            return;
        }
        links[prev as usize].next = next;
        links[next as usize].prev = prev;
        let last = links[Self::SENTINEL as usize].prev;
        links[node as usize].prev = last;
        links[node as usize].next = Self::SENTINEL;
        links[last as usize].next = node;
        links[Self::SENTINEL as usize].prev = node;
    }

    /// Puts a slot that is not in the ring at the place of one that is, and takes that out.
    #[inline]
    pub fn substitute(&mut self, old: Slot, new: Slot) {
        debug_assert!(self.contains(old) && !self.contains(new));
        let (old, new) = (old + LEAD + 1, new + LEAD + 1);
        let link = self.links[old as usize];
        self.links[old as usize] = Link {
            prev: OUT,
            next: OUT,
        };
        self.links[new as usize] = link;
        self.links[link.prev as usize].next = new;
        self.links[link.next as usize].prev = new;
    }

    /// The oldest slot.
    #[inline]
    pub fn front(&self) -> Option<Slot> {
        self.links
            .get(LEAD as usize)
            .and_then(|sentinel| sentinel.next.checked_sub(LEAD + 1))
    }

    /// The newest slot.
    #[inline]
    pub fn back(&self) -> Option<Slot> {
        self.links
            .get(LEAD as usize)
            .and_then(|sentinel| sentinel.prev.checked_sub(LEAD + 1))
    }

    /// The slot after `slot`, which must be in the ring.
    #[inline]
    pub fn next(&self, slot: Slot) -> Option<Slot> {
        self.links[(slot + LEAD + 1) as usize]
            .next
            .checked_sub(LEAD + 1)
    }

    /// Whether `slot` is in the ring.
    pub fn contains(&self, slot: Slot) -> bool {
        self.links
            .get(slot as usize + LEAD as usize + 1)
            .is_some_and(|link| link.next != OUT)
    }

    /// All slots, front to back.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        std::iter::successors(self.front(), |&slot| self.next(slot))
    }

    /// Empties the ring and returns its memory.
    pub fn clear(&mut self) {
        self.links = Vec::new();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Walks both directions and says what is wrong, if anything.
    pub fn check(&self, expected: usize) -> Result<(), String> {
        let mut previous = Self::SENTINEL;
        let mut count = 0;
        for slot in self.iter() {
            if self.links[(slot + LEAD + 1) as usize].prev != previous {
                return Err(format!(
                    "ring: slot {slot} does not point back to node {previous}"
                ));
            }
            previous = slot + LEAD + 1;
            count += 1;
            if count > expected {
                return Err(format!("ring: more than {expected} slots"));
            }
        }
        if count != expected {
            return Err(format!("ring: {count} slots, expected {expected}"));
        }
        match self.links.get(LEAD as usize) {
            Some(sentinel) if sentinel.prev != previous => Err(format!(
                "ring: back is node {}, expected {previous}",
                sentinel.prev
            )),
            _ => Ok(()),
        }
    }

    #[inline]
    fn unlink(&mut self, node: u32) {
        let Link { prev, next } = self.links[node as usize];
        self.links[prev as usize].next = next;
        self.links[next as usize].prev = prev;
    }

    #[inline]
    fn link_back(&mut self, node: u32) {
        let last = self.links[Self::SENTINEL as usize].prev;
        self.links[node as usize] = Link {
            prev: last,
            next: Self::SENTINEL,
        };
        self.links[last as usize].next = node;
        self.links[Self::SENTINEL as usize].prev = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of(slots: &[Slot]) -> Ring<3> {
        let mut ring = Ring::new();
        ring.reserve(8).expect("small");
        for &slot in slots {
            ring.push_back(slot);
        }
        ring
    }

    fn order(ring: &Ring<3>) -> Vec<Slot> {
        ring.iter().collect()
    }

    #[test]
    fn slots_keep_insertion_order() {
        let ring = ring_of(&[2, 0, 1]);
        assert_eq!(order(&ring), [2, 0, 1]);
        assert_eq!((ring.front(), ring.back()), (Some(2), Some(1)));
        ring.check(3).expect("consistent");
    }

    #[test]
    fn move_to_back_makes_a_slot_the_newest() {
        let mut ring = ring_of(&[2, 0, 1]);
        ring.move_to_back(2);
        assert_eq!(order(&ring), [0, 1, 2]);
        ring.move_to_back(2);
        assert_eq!(order(&ring), [0, 1, 2]);
        ring.check(3).expect("consistent");
    }

    #[test]
    fn removed_slots_are_out_and_can_come_back() {
        let mut ring = ring_of(&[2, 0, 1]);
        ring.remove(0);
        assert!(!ring.contains(0));
        assert_eq!(order(&ring), [2, 1]);
        ring.push_back(0);
        assert_eq!(order(&ring), [2, 1, 0]);
    }

    #[test]
    fn a_substitute_takes_the_place() {
        let mut ring = ring_of(&[2, 0, 1]);
        ring.substitute(0, 5);
        ring.substitute(2, 6);
        assert_eq!(order(&ring), [6, 5, 1]);
        assert!(!ring.contains(0) && !ring.contains(2));
        ring.check(3).expect("consistent");
    }

    #[test]
    fn a_cleared_ring_is_as_new() {
        let mut ring = ring_of(&[2, 0, 1]);
        ring.clear();
        assert_eq!(ring.front(), None);
        ring.reserve(1).expect("small");
        ring.push_back(0);
        assert_eq!(order(&ring), [0]);
    }
}
