//! When slots were filled, for a histogram of ages: every slot of a small cache, a sample of a large
//! one's, so that it costs next to no memory.

use std::collections::TryReserveError;

use crate::Slot;

/// All slots below this one are in the sample.
const ALL_BELOW: usize = 4096;
/// Of those above, one in this many.
const EVERY: usize = 16;

/// Buckets of the histogram.
pub const AGES: usize = 32;

/// The times at which the slots of a sample were filled, in ticks that the caller chose.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    filled: Vec<u32>,
}

fn place(slot: usize) -> Option<usize> {
    if slot < ALL_BELOW {
        Some(slot)
    } else if slot.is_multiple_of(EVERY) {
        Some(ALL_BELOW + (slot - ALL_BELOW) / EVERY)
    } else {
        None
    }
}

impl Ages {
    /// Makes room for slots below `slots`.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let places = match slots {
            0..=ALL_BELOW => slots,
            _ => ALL_BELOW + (slots - ALL_BELOW).div_ceil(EVERY),
        };
        if self.filled.len() < places {
            self.filled.try_reserve(places - self.filled.len())?;
            self.filled.resize(places, 0);
        }
        Ok(())
    }

    /// The slot was filled.
    #[inline]
    pub fn note(&mut self, slot: Slot, tick: u32) {
        if let Some(at) = place(slot as usize)
            && let Some(filled) = self.filled.get_mut(at)
        {
            *filled = tick;
        }
    }

    /// How many ticks ago each of the `slots` that is in the sample was filled, in buckets by powers of two: below
    /// 1, below 2, below 4, and so on; the last bucket has the rest. And how many slots were looked at.
    pub fn histogram(&self, slots: impl Iterator<Item = Slot>, now: u32) -> ([u64; AGES], u64) {
        let mut buckets = [0; AGES];
        let mut sampled = 0;
        for slot in slots {
            let Some(&filled) = place(slot as usize).and_then(|at| self.filled.get(at)) else {
                continue;
            };
            // Ticks wrap around; what seems to be filled later than now is new, in a clock that was set back.
            let age = match now.wrapping_sub(filled) {
                age @ 0..=0x7FFF_FFFF => age,
                _ => 0,
            };
            buckets[((32 - age.leading_zeros()) as usize).min(AGES - 1)] += 1;
            sampled += 1;
        }
        (buckets, sampled)
    }

    /// Forgets every slot and returns the memory.
    pub fn clear(&mut self) {
        self.filled = Vec::new();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.filled.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_caches_are_counted_whole() {
        let mut ages = Ages::default();
        ages.reserve(4).expect("small");
        for (slot, tick) in [(0, 100), (1, 99), (2, 97), (3, 0)] {
            ages.note(slot, tick);
        }
        let (buckets, sampled) = ages.histogram(0..4, 100);
        assert_eq!(sampled, 4);
        assert_eq!(buckets[..8], [1, 1, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn large_caches_are_sampled() {
        let mut ages = Ages::default();
        ages.reserve(100_000).expect("small");
        (0..100_000).for_each(|slot| ages.note(slot, 5));
        let (buckets, sampled) = ages.histogram(0..100_000, 5);
        assert_eq!((buckets[0], sampled), (10_090, 10_090));
        assert!(ages.memory() < 50_000);
    }
}
