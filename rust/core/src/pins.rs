//! Which slots may not be evicted: a bit each, once there is one.

use std::collections::TryReserveError;

use crate::Slot;

/// A set of slots.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    words: Vec<u64>,
    len: usize,
}

impl Pins {
    /// Adds a slot that is not in the set.
    pub fn insert(&mut self, slot: Slot) -> Result<(), TryReserveError> {
        let word = slot as usize / 64;
        if self.words.len() <= word {
            self.words.try_reserve(word + 1 - self.words.len())?;
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (slot % 64);
        self.len += 1;
        Ok(())
    }

    /// Takes a slot out of the set; returns whether it was in.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let present = self.contains(slot);
        if present {
            self.words[slot as usize / 64] &= !(1 << (slot % 64));
            self.len -= 1;
        }
        present
    }

    /// Whether a slot is in the set.
    #[inline(always)]
    pub fn contains(&self, slot: Slot) -> bool {
        self.len > 0
            && self
                .words
                .get(slot as usize / 64)
                .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// How many slots are in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let words = self
            .words
            .iter()
            .enumerate()
            .filter(|&(_, &word)| word != 0);
        words.flat_map(|(at, &word)| {
            let first = at as Slot * 64;
            (first..first + 64).filter(move |slot| word >> (slot % 64) & 1 == 1)
        })
    }

    /// Empties the set and returns the memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_and_go() {
        let mut pins = Pins::default();
        for slot in [200, 3, 64] {
            pins.insert(slot).expect("small");
        }
        assert_eq!(pins.iter().collect::<Vec<_>>(), [3, 64, 200]);
        assert!(pins.remove(64) && !pins.remove(64) && !pins.contains(1000));
        assert_eq!(pins.len(), 2);
    }
}
