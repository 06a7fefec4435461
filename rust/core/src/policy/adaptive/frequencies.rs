//! How often keys were asked for lately: a count-min sketch of 4-bit counters that touches one word
//! per key.
//!
//! Sources: Cormode, Muthukrishnan, "An Improved Data Stream Summary" (2005); Einziger, Friedman,
//! Manes, "TinyLFU" (ACM TOS 2017) for the halving. Unlike [`crate::sketch`], the four counters of a
//! key share a 64-bit word, a quarter each: one cache line a request, at the price of more
//! collisions. Halving goes over the words a few at a time, so that no request pays for all.

use std::collections::TryReserveError;

/// The least number of words.
const LEAST: usize = 64;
/// Words halved per request while halving is under way.
const SWEEP: usize = 16;

/// Estimates of how often keys were asked for.
#[derive(Clone, Debug, Default)]
pub struct Frequencies {
    words: Vec<u64>,
    mask: usize,
    counted: usize,
    /// Words below are halved already; all of them while none is to be.
    swept: usize,
}

/// Where the counters of a key are: its word, and how far up in it each of the four.
struct Place {
    word: usize,
    shifts: [u32; 4],
}

impl Frequencies {
    /// Makes room for a cache of so many slots. Growing keeps the estimates.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let wanted = slots.next_power_of_two().max(LEAST);
        let present = self.words.len();
        if wanted <= present {
            return Ok(());
        }
        self.words.try_reserve_exact(wanted - present)?;
        self.sweep(present);
        if present == 0 {
            self.words.resize(wanted, 0);
        } else {
            // Twice the words: a key's word is one of two with the same contents.
            while self.words.len() < wanted {
                self.words.extend_from_within(..);
            }
        }
        self.swept = self.words.len();
        self.mask = self.words.len() - 1;
        Ok(())
    }

    #[inline(always)]
    fn place(&self, print: u32) -> Place {
        let bits = u64::from(print).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let low = bits as u32;
        Place {
            word: (bits >> 8) as usize & self.mask,
            shifts: [
                low & 12,
                16 + (low >> 2 & 12),
                32 + (low >> 4 & 12),
                48 + (low >> 6 & 12),
            ],
        }
    }

    /// About how often the key of a fingerprint was asked for lately, 0 to 15.
    #[inline]
    pub fn estimate(&self, print: u32) -> u32 {
        let Place { word, shifts } = self.place(print);
        let Some(&counters) = self.words.get(word) else {
            return 0;
        };
        let [a, b, c, d] = shifts.map(|shift| counters >> shift & 15);
        let least = a.min(b).min(c.min(d)) as u32;
        if word < self.swept { least } else { least / 2 }
    }

    /// Counts a request. After `period` of them all counters are halved.
    #[inline]
    pub fn count(&mut self, print: u32, period: usize) {
        let Place { word, shifts } = self.place(print);
        let Some(counters) = self.words.get_mut(word) else {
            return;
        };
        let ones = shifts
            .into_iter()
            .fold(0, |ones, shift| ones | 1_u64 << shift);
        let full = *counters & *counters >> 1 & *counters >> 2 & *counters >> 3;
        let more = ones & !full;
        *counters += more;
        self.counted += usize::from(more != 0);
        if self.counted >= period {
            self.counted /= 2;
            if self.swept >= self.words.len() {
                self.swept = 0;
            }
        }
        if self.swept < self.words.len() {
            self.sweep(SWEEP);
        }
    }

    fn sweep(&mut self, words: usize) {
        let end = self.words.len().min(self.swept + words);
        for word in &mut self.words[self.swept.min(end)..end] {
            *word = *word >> 1 & 0x7777_7777_7777_7777;
        }
        self.swept = end;
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: u32) -> Frequencies {
        let mut frequencies = Frequencies::default();
        frequencies.reserve(1000).expect("small");
        for request in 0..requests {
            frequencies.count(7, usize::MAX);
            frequencies.count(1000 + request, usize::MAX);
        }
        frequencies
    }

    #[test]
    fn counts_are_never_underestimated_and_saturate() {
        assert_eq!(counted(9).estimate(7), 9);
        assert_eq!(counted(40).estimate(7), 15);
        assert_eq!(Frequencies::default().estimate(7), 0);
    }

    #[test]
    fn growing_keeps_the_estimates() {
        let mut frequencies = counted(9);
        frequencies.reserve(10_000).expect("small");
        assert_eq!(frequencies.estimate(7), 9);
    }

    #[test]
    fn halving_is_seen_at_once_though_it_takes_a_while() {
        let mut frequencies = counted(12);
        frequencies.count(8, 1);
        let seen: Vec<u32> = (0..200)
            .map(|_| {
                frequencies.count(9, usize::MAX);
                frequencies.estimate(7)
            })
            .collect();
        assert!(seen.iter().all(|&estimate| estimate == 6), "{seen:?}");
    }
}
