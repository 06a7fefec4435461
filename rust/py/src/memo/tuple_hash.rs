//! The hash of a tuple that need not exist.

/// The hash of a tuple from those of its items: xxHash as in CPython's `tupleobject.c` since 3.8.
pub struct TupleHash(u64);

impl TupleHash {
    const PRIME_1: u64 = 11_400_714_785_074_694_791;
    const PRIME_2: u64 = 14_029_467_366_897_019_727;
    const PRIME_5: u64 = 2_870_177_450_012_600_261;

    #[inline(always)]
    pub fn new() -> Self {
        Self(Self::PRIME_5)
    }

    #[inline(always)]
    pub fn add(&mut self, item: u64) {
        self.0 = self
            .0
            .wrapping_add(item.wrapping_mul(Self::PRIME_2))
            .rotate_left(31)
            .wrapping_mul(Self::PRIME_1);
    }

    #[inline(always)]
    pub fn finish(self, len: usize) -> u64 {
        let hash = self
            .0
            .wrapping_add(len as u64 ^ (Self::PRIME_5 ^ 3_527_539));
        if hash == u64::MAX {
            1_546_275_796
        } else {
            hash
        }
    }
}
