//! A set of numbers below a limit that knows its largest: bits, and above each 64 of them one that
//! says whether any is set. Every operation takes as many steps as there are levels: one for each
//! factor of 64 in the limit.

use std::collections::TryReserveError;

/// The set.
#[derive(Debug)]
pub struct Marks {
    /// The bits themselves, then one for each word below, up to a single word.
    levels: Vec<Vec<u64>>,
}

impl Marks {
    /// An empty set of numbers below `limit`.
    pub fn new(limit: usize) -> Result<Self, TryReserveError> {
        let mut levels = Vec::new();
        let mut bits = limit;
        loop {
            let words = bits.div_ceil(64).max(1);
            let mut level = Vec::new();
            level.try_reserve_exact(words)?;
            level.resize(words, 0);
            levels.push(level);
            if words == 1 {
                return Ok(Self { levels });
            }
            bits = words;
        }
    }

    /// Adds a number.
    #[inline]
    pub fn set(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let was_empty = *word == 0;
            *word |= 1 << (at % 64);
            if !was_empty {
                return;
            }
            at /= 64;
        }
    }

    /// Takes a number out.
    #[inline]
    pub fn clear(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The largest number.
    #[inline]
    pub fn largest(&self) -> Option<usize> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = level[at];
            at = at * 64 + word.checked_ilog2()? as usize;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_largest_is_that_of_a_sorted_set() {
        for limit in [1, 64, 65, 5000, 300_000] {
            let mut marks = Marks::new(limit).expect("small");
            let mut set = BTreeSet::new();
            for at in 0..20_000_u64 {
                let number = crate::sample::mix(at) as usize % limit;
                if crate::sample::mix(at + 1).is_multiple_of(3) {
                    marks.set(number);
                    set.insert(number);
                } else {
                    marks.clear(number);
                    set.remove(&number);
                    if let Some(&last) = set.last() {
                        marks.clear(last);
                        set.remove(&last);
                    }
                }
                assert_eq!(marks.largest(), set.last().copied());
            }
        }
    }
}
