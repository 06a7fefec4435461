//! Where a slot was found last: a small two-way table beside the index.
//!
//! Most lookups are made with the very object that is stored, so its address leads to its slot without
//! hashing and probing. A hint may be wrong, since others share its place or its slot has been filled
//! anew; whoever follows it has to check that the slot holds the object.

use crate::Slot;

/// Larger tables would not stay in the processor's first cache.
const MOST: usize = 4096;
const LEAST: usize = 8;

/// So many pairs there are for a slot, that few have more than two candidates.
const SPARSE: usize = 2;

/// Address -> slot, for some addresses.
#[derive(Clone, Debug)]
pub struct Hints {
    /// Slots that need more bits get no hint: they are too many for the table anyway.
    pairs: Vec<[u16; 2]>,
    shift: u32,
}

impl Default for Hints {
    fn default() -> Self {
        Self::new()
    }
}

impl Hints {
    /// No hints and no room for any; does not allocate.
    pub const fn new() -> Self {
        Self {
            pairs: Vec::new(),
            shift: 63,
        }
    }

    /// Follows the hints from `address`: the first slot for which `take` gives something, and that.
    #[inline(always)]
    pub fn find<T>(&self, address: usize, take: impl Fn(Slot) -> Option<T>) -> Option<(Slot, T)> {
        // A loop, so that there is one copy of what `take` does.
        for &slot in self.pairs.get(self.place(address))? {
            if let Some(found) = take(slot.into()) {
                return Some((slot.into(), found));
            }
        }
        None
    }

    /// Remembers the slot of the object at `address`.
    #[inline(always)]
    pub fn note(&mut self, address: usize, slot: Slot) {
        let place = self.place(address);
        if let Some([newer, older]) = self.pairs.get_mut(place)
            && let Ok(slot) = slot.try_into()
        {
            *older = *newer;
            *newer = slot;
        }
    }

    /// Makes room for hints to `slots` slots; without memory there are fewer.
    pub fn grow(&mut self, slots: usize) {
        if self.pairs.len() >= MOST || 2 * self.pairs.len() >= SPARSE * slots {
            return;
        }
        let wanted = (SPARSE * slots).next_power_of_two().clamp(LEAST, MOST);
        if self.pairs.try_reserve(wanted - self.pairs.len()).is_ok() {
            self.pairs.clear();
            self.pairs.resize(wanted, [0; 2]);
            self.shift = 64 - wanted.trailing_zeros();
        }
    }

    /// Forgets everything and returns the memory.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.pairs.capacity() * size_of::<[u16; 2]>()
    }

    /// The place of a pair.
    #[inline(always)]
    fn place(&self, address: usize) -> usize {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        ((address as u64).wrapping_mul(ODD) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_there_are_no_hints() {
        let mut hints = Hints::new();
        hints.note(0xFFFF_FFFF_FFFF_FFF0, 7);
        assert_eq!(hints.find(0xFFFF_FFFF_FFFF_FFF0, Some), None);
    }

    #[test]
    fn most_neighbouring_objects_have_hints_of_their_own() {
        let mut hints = Hints::new();
        hints.grow(1000);
        let address = |slot: Slot| 0x7F00_0000_1000 + slot as usize * 32;
        (0..1000).for_each(|slot| hints.note(address(slot), slot));
        let is_right = |&slot: &Slot| {
            let same = |hint| (hint == slot).then_some(());
            hints.find(address(slot), same).is_some()
        };
        assert!((0..1000).filter(is_right).count() > 900);
    }

    #[test]
    fn it_grows_to_a_limit() {
        let mut hints = Hints::new();
        for slots in 1..100_000 {
            hints.grow(slots);
        }
        assert_eq!(hints.memory(), MOST * size_of::<[u16; 2]>());
    }
}
