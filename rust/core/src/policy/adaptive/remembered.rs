//! Which keys were evicted lately, in about five bytes each: tags with ages, in buckets of four.
//!
//! ARC wants to know whether a key is among the last so many that left one of its two lists. Unlike
//! [`crate::ghosts`] there are no lists here: each eviction of a list has a number, a key keeps the
//! number of its own, and the difference to the present one says how long ago that was. Tags of 15
//! bits are taken for keys; a collision only misplaces a newcomer.

use std::collections::TryReserveError;

const WAYS: usize = 4;

/// The list that a key was evicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// That of keys asked for once lately.
    Once,
    /// That of keys asked for more often.
    Often,
}

/// What is remembered of evicted keys.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// A tag in the upper 15 bits, the list in the next, and the number of the eviction in the lower
    /// half; 0 for none.
    cells: Vec<u32>,
    buckets: usize,
    evictions: [u32; 2],
    /// So many bits of an eviction's number are dropped, so that 16 are enough.
    grain: u32,
}

impl Remembered {
    /// Makes room for a cache of so many slots. Growing forgets everything: a cache that grows has
    /// not evicted yet.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let buckets = (slots / 3 + 1).max(2);
        if buckets <= self.buckets {
            return Ok(());
        }
        let cells = buckets * WAYS;
        self.cells.try_reserve_exact(cells - self.cells.len())?;
        self.cells.clear();
        self.cells.resize(cells, 0);
        self.buckets = buckets;
        self.grain = (slots / 2048 + 1).ilog2();
        Ok(())
    }

    /// The first cell of a key's bucket, and its tag, which is not 0.
    #[inline]
    fn place(&self, print: u32) -> (usize, u32) {
        let bits = u64::from(print).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let bucket = ((bits >> 32) * self.buckets as u64) >> 32;
        (bucket as usize * WAYS, ((bits >> 8) as u32 & 0x7FFE) + 1)
    }

    #[inline]
    fn numbers(&self) -> [u32; 2] {
        self.evictions.map(|number| number >> self.grain & 0xFFFF)
    }

    /// A key was evicted.
    #[inline]
    pub fn put(&mut self, print: u32, left: Left) {
        let list = left as usize;
        let (first, tag) = self.place(print);
        let now = self.numbers();
        self.evictions[list] = self.evictions[list].wrapping_add(1);
        let Some(bucket) = self.cells.get_mut(first..first + WAYS) else {
            return;
        };
        // The oldest makes room. Without branches: they could not be predicted.
        let mut oldest = 0;
        for (at, &cell) in bucket.iter().enumerate() {
            let age = now[(cell >> 16 & 1) as usize].wrapping_sub(cell) & 0xFFFF;
            let age = age | if cell == 0 { 0xFFFF } else { 0 };
            oldest = oldest.max(age << 2 | at as u32);
        }
        bucket[(oldest & 3) as usize] = tag << 17 | (list as u32) << 16 | now[list];
    }

    /// Whether a key is among the last that left a list, of which there are as many as `lengths` says;
    /// it is forgotten by that.
    #[inline]
    pub fn take(&mut self, print: u32, lengths: [usize; 2]) -> Option<Left> {
        let (first, tag) = self.place(print);
        let now = self.numbers();
        let grain = self.grain;
        for cell in self.cells.get_mut(first..first + WAYS)? {
            if *cell >> 17 == tag {
                let list = (*cell >> 16 & 1) as usize;
                let age = now[list].wrapping_sub(*cell) & 0xFFFF;
                *cell = 0;
                let among = (age as usize) << grain <= lengths[list];
                return among.then_some(if list == 0 { Left::Once } else { Left::Often });
            }
        }
        None
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.cells.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_remembered_for_as_long_as_their_list_is() {
        let mut remembered = Remembered::default();
        remembered.reserve(100).expect("small");
        remembered.put(1 << 20, Left::Often);
        for print in 0..5_u32 {
            remembered.put(print << 8, Left::Once);
        }
        assert_eq!(remembered.take(1 << 20, [2, 2]), Some(Left::Often));
        assert_eq!(remembered.take(1 << 20, [2, 2]), None, "taken");
        assert_eq!(remembered.take(4 << 8, [2, 2]), Some(Left::Once));
        assert_eq!(remembered.take(1 << 8, [2, 2]), None, "too long ago");
    }

    #[test]
    fn without_memory_nothing_is_remembered() {
        let mut remembered = Remembered::default();
        remembered.put(3, Left::Once);
        assert_eq!(remembered.take(3, [9, 9]), None);
    }
}
