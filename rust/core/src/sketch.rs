//! How often a hash was seen lately, approximately: a count-min sketch of four rows of 4-bit counters.
//!
//! Source: Cormode, Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications" (2005), aged as in Einziger, Friedman, Manes, "TinyLFU" (2017): all counters are
//! halved from time to time. Eight bytes for each item that room was made for; counting and
//! estimating are O(1), halving is O(room).

use std::collections::TryReserveError;

const ROWS: u32 = 4;
const COUNTER_BITS: u32 = 4;
const MAX_COUNT: u64 = 15;
/// Halves sixteen counters at once: what each would push into its neighbour is masked out.
const HALVED: u64 = 0x7777_7777_7777_7777;
/// Separates the rows.
const SEEDS: [u64; ROWS as usize] = [
    0x9E37_79B9_7F4A_7C15,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0xD6E8_FEB8_6659_FD93,
];

/// Counts hashes of 32 well mixed bits.
///
/// A word of 64 bits has four counters of each row, so that the sketch can grow by doubling: a row's
/// word is chosen by the lower bits of a product, and twice as many words differ in one more bit.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    words: Vec<u64>,
    counted: u64,
}

impl Sketch {
    /// Makes room for as many items; estimates stay as they are. On failure nothing has changed.
    pub fn reserve(&mut self, items: usize) -> Result<(), TryReserveError> {
        while self.words.len() < items {
            let words = self.words.len();
            if words == 0 {
                self.words.try_reserve(8)?;
                self.words.resize(8, 0);
            } else {
                self.words.try_reserve_exact(words)?;
                self.words.extend_from_within(..);
            }
        }
        Ok(())
    }

    /// Counts a hash once.
    #[inline]
    pub fn count(&mut self, hash: u32) {
        let mut counted = 0;
        for row in 0..ROWS {
            let Some((at, shift)) = self.place(hash, row) else {
                return;
            };
            if self.words[at] >> shift & MAX_COUNT < MAX_COUNT {
                self.words[at] += 1 << shift;
                counted = 1;
            }
        }
        self.counted += counted;
    }

    /// How often a hash was counted since, roughly and at most 15.
    #[inline]
    pub fn estimate(&self, hash: u32) -> u64 {
        let counts = (0..ROWS).map(|row| {
            self.place(hash, row)
                .map_or(0, |(at, shift)| self.words[at] >> shift & MAX_COUNT)
        });
        counts.min().unwrap_or(0)
    }

    /// How many counts there were since the last halving, and half of those before.
    #[inline]
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Halves every counter.
    pub fn halve(&mut self) {
        for word in &mut self.words {
            *word = *word >> 1 & HALVED;
        }
        self.counted /= 2;
    }

    /// Forgets everything and returns the memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    #[inline(always)]
    fn place(&self, hash: u32, row: u32) -> Option<(usize, u32)> {
        let mixed = (u64::from(hash) ^ SEEDS[row as usize] >> 32).wrapping_mul(SEEDS[row as usize]);
        let mask = self.words.len().checked_sub(1)?;
        let at = (mixed >> 32) as usize & mask;
        let within = (mixed >> 30) as u32 % 4;
        Some((at, (row * 4 + within) * COUNTER_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread;

    fn hash(key: u64) -> u32 {
        spread(key) as u32
    }

    #[test]
    fn estimates_are_never_too_small_and_seldom_too_large() {
        let mut sketch = Sketch::default();
        sketch.reserve(1000).expect("small");
        for key in 0..1000 {
            for _ in 0..key % 10 {
                sketch.count(hash(key));
            }
        }
        assert!((0..1000).all(|key| sketch.estimate(hash(key)) >= key % 10));
        let exact = (0..1000).filter(|&key| sketch.estimate(hash(key)) == key % 10);
        assert!(exact.count() > 950);
    }

    #[test]
    fn counters_stop_at_fifteen_and_spill_nowhere() {
        let mut sketch = Sketch::default();
        sketch.reserve(8).expect("small");
        for _ in 0..100 {
            sketch.count(hash(1));
        }
        assert_eq!((sketch.estimate(hash(1)), sketch.counted()), (15, 15));
        let ones: u32 = sketch.words.iter().map(|word| word.count_ones()).sum();
        assert_eq!(ones, 4 * ROWS);
    }

    #[test]
    fn growing_keeps_the_estimates() {
        let mut sketch = Sketch::default();
        sketch.reserve(64).expect("small");
        (0..200).for_each(|key| sketch.count(hash(key % 64)));
        let before: Vec<u64> = (0..64).map(|key| sketch.estimate(hash(key))).collect();
        sketch.reserve(1000).expect("small");
        assert!((0..64).all(|key| sketch.estimate(hash(key)) == before[key as usize]));
        assert_eq!(sketch.memory(), 1024 * 8);
    }

    #[test]
    fn halving_halves() {
        let mut sketch = Sketch::default();
        sketch.reserve(8).expect("small");
        (0..9).for_each(|_| sketch.count(hash(5)));
        sketch.halve();
        assert_eq!((sketch.estimate(hash(5)), sketch.counted()), (4, 4));
    }

    #[test]
    fn without_room_nothing_is_counted() {
        let mut sketch = Sketch::default();
        sketch.count(1);
        assert_eq!((sketch.estimate(1), sketch.counted()), (0, 0));
    }
}
