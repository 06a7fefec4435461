//! Slots in up to three ordered lists, a slot in at most one, with a few bits of the policy's own.
//!
//! The lists share one vector of links, so that a slot takes eight bytes however many lists there
//! are, and a byte that says which list it is in (two bits) and what the policy notes of it (six).
//! All operations are O(1) except iteration.

use std::collections::TryReserveError;

use crate::Slot;

/// The sentinels come after some unused nodes, as in a ring that is used beside others (see
/// [`crate::ring`]).
const FIRST_SENTINEL: u32 = 8;
/// Slot `s` is node `BASE + s`.
const BASE: u32 = FIRST_SENTINEL + 3;
const OUT: u8 = 0b11;
const SEGMENT: u8 = 0b11;
const NOTE_SHIFT: u32 = 2;

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

/// Slots in `N` (at most three) lists, each from oldest (front) to newest (back).
#[derive(Clone, Debug)]
pub struct Segments<const N: usize> {
    links: Vec<Link>,
    marks: Vec<u8>,
    lens: [u32; N],
}

impl<const N: usize> Default for Segments<N> {
    fn default() -> Self {
        const { assert!(N <= 3) };
        Self {
            links: Vec::new(),
            marks: Vec::new(),
            lens: [0; N],
        }
    }
}

impl<const N: usize> Segments<N> {
    /// The largest note that a slot can carry.
    pub const MAX_NOTE: u8 = u8::MAX >> NOTE_SHIFT;

    /// Makes room for slots below `slots`; on failure nothing has changed.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.marks.len() < slots {
            let nodes = slots + BASE as usize;
            self.links.try_reserve(nodes - self.links.len())?;
            self.marks.try_reserve(slots - self.marks.len())?;
            if self.links.is_empty() {
                // Empty lists: each sentinel is its own neighbour.
                self.links.extend((0..BASE).map(|node| Link {
                    prev: node,
                    next: node,
                }));
            }
            self.links.resize(nodes, Link { prev: 0, next: 0 });
            self.marks.resize(slots, OUT);
        }
        Ok(())
    }

    /// Adds a slot that is in no list at the back of one; its note is 0.
    #[inline]
    pub fn push_back(&mut self, segment: usize, slot: Slot) {
        debug_assert!(!self.contains(slot));
        self.marks[slot as usize] = segment as u8;
        self.lens[segment] += 1;
        self.link_back(segment, slot + BASE);
    }

    /// Takes a slot out of the list it is in.
    #[inline]
    pub fn remove(&mut self, slot: Slot) {
        let segment = self.segment(slot);
        self.lens[segment] -= 1;
        self.marks[slot as usize] = OUT;
        self.unlink(slot + BASE);
    }

    /// Moves a slot from the list it is in to the back of one, which may be the same. The note
    /// stays.
    #[inline(always)]
    pub fn move_to_back(&mut self, segment: usize, slot: Slot) {
        let mark = self.marks[slot as usize];
        let old = usize::from(mark & SEGMENT);
        let node = slot + BASE;
        if old != segment {
            self.lens[old] -= 1;
            self.lens[segment] += 1;
            self.marks[slot as usize] = mark & !SEGMENT | segment as u8;
        } else if self.links[node as usize].next == Self::sentinel(segment) {
            return;
        }
        self.unlink(node);
        self.link_back(segment, node);
    }

    /// The oldest slot of a list.
    #[inline]
    pub fn front(&self, segment: usize) -> Option<Slot> {
        let sentinel = Self::sentinel(segment) as usize;
        self.links
            .get(sentinel)
            .and_then(|link| link.next.checked_sub(BASE))
    }

    /// The slot after `slot` in the list that it is in.
    #[inline]
    pub fn next(&self, slot: Slot) -> Option<Slot> {
        self.links[(slot + BASE) as usize].next.checked_sub(BASE)
    }

    /// Which list a slot is in, given that it is in one.
    #[inline(always)]
    pub fn segment(&self, slot: Slot) -> usize {
        usize::from(self.marks[slot as usize] & SEGMENT)
    }

    /// Whether the slot is in a list.
    pub fn contains(&self, slot: Slot) -> bool {
        self.marks
            .get(slot as usize)
            .is_some_and(|mark| mark & SEGMENT != OUT)
    }

    /// What the policy noted of a slot.
    #[inline(always)]
    pub fn note(&self, slot: Slot) -> u8 {
        self.marks[slot as usize] >> NOTE_SHIFT
    }

    /// Notes something of a slot that is in a list, at most [`MAX_NOTE`](Self::MAX_NOTE).
    #[inline(always)]
    pub fn set_note(&mut self, slot: Slot, note: u8) {
        debug_assert!(note <= Self::MAX_NOTE);
        let mark = &mut self.marks[slot as usize];
        *mark = *mark & SEGMENT | note << NOTE_SHIFT;
    }

    /// How many slots are in a list.
    #[inline]
    pub fn len(&self, segment: usize) -> usize {
        self.lens[segment] as usize
    }

    /// How many slots are in any list.
    #[inline]
    pub fn total(&self) -> usize {
        self.lens.iter().map(|&len| len as usize).sum()
    }

    /// The slots of a list, oldest first.
    pub fn iter(&self, segment: usize) -> impl Iterator<Item = Slot> + '_ {
        std::iter::successors(self.front(segment), |&slot| self.next(slot))
    }

    /// Empties the lists and returns the memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.links.capacity() * size_of::<Link>() + self.marks.capacity()
    }

    /// Walks every list and says what is wrong, if anything; `len` slots should be in.
    pub fn check(&self, len: usize) -> Result<(), String> {
        for segment in 0..N {
            let mut before = Self::sentinel(segment);
            let mut count = 0;
            for slot in self.iter(segment) {
                if self.links[(slot + BASE) as usize].prev != before {
                    return Err(format!(
                        "segments: slot {slot} does not point back to node {before}"
                    ));
                }
                if self.segment(slot) != segment {
                    let other = self.segment(slot);
                    return Err(format!(
                        "segments: slot {slot} of list {segment} says {other}"
                    ));
                }
                before = slot + BASE;
                count += 1;
                if count > len {
                    return Err(format!(
                        "segments: list {segment} has more than {len} slots"
                    ));
                }
            }
            if count != self.len(segment) {
                let says = self.len(segment);
                return Err(format!(
                    "segments: list {segment} has {count} slots, says {says}"
                ));
            }
        }
        let total = self.total();
        let marked = self
            .marks
            .iter()
            .filter(|&mark| mark & SEGMENT != OUT)
            .count();
        if total == len && marked == len {
            Ok(())
        } else {
            Err(format!(
                "segments: {total} slots, {marked} marked, expected {len}"
            ))
        }
    }

    const fn sentinel(segment: usize) -> u32 {
        FIRST_SENTINEL + segment as u32
    }

    #[inline(always)]
    fn unlink(&mut self, node: u32) {
        let links = self.links.as_mut_slice();
        let Link { prev, next } = links[node as usize];
        links[prev as usize].next = next;
        links[next as usize].prev = prev;
    }

    #[inline(always)]
    fn link_back(&mut self, segment: usize, node: u32) {
        let links = self.links.as_mut_slice();
        let sentinel = Self::sentinel(segment);
        let last = links[sentinel as usize].prev;
        links[node as usize].prev = last;
        links[node as usize].next = sentinel;
        links[last as usize].next = node;
        links[sentinel as usize].prev = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(segments: &Segments<3>) -> [Vec<Slot>; 3] {
        [0, 1, 2].map(|segment| segments.iter(segment).collect())
    }

    #[test]
    fn slots_move_between_lists_with_their_notes() {
        let mut segments = Segments::<3>::default();
        segments.reserve(4).expect("small");
        (0..4).for_each(|slot| segments.push_back(0, slot));
        segments.set_note(1, Segments::<3>::MAX_NOTE);
        segments.move_to_back(2, 1);
        segments.move_to_back(0, 0);
        segments.move_to_back(0, 0);
        assert_eq!(lists(&segments), [vec![2, 3, 0], vec![], vec![1]]);
        assert_eq!(
            (segments.note(1), segments.segment(1)),
            (Segments::<3>::MAX_NOTE, 2)
        );
        segments.check(4).expect("consistent");
    }

    #[test]
    fn a_removed_slot_comes_back_without_its_note() {
        let mut segments = Segments::<3>::default();
        segments.reserve(2).expect("small");
        segments.push_back(1, 1);
        segments.set_note(1, 5);
        segments.remove(1);
        assert!(!segments.contains(1));
        segments.check(0).expect("consistent");
        segments.push_back(2, 1);
        assert_eq!((segments.note(1), segments.total()), (0, 1));
    }
}
