//! Whom ADAPTIVE may follow, and the rules that they share.

use super::frequencies::Frequencies;

/// How many there are.
pub const EXPERTS: usize = 4;
/// The first is ARC; the others are W-TinyLFU with windows of growing size.
pub const ARC: usize = 0;
/// What they are called in reports.
pub const NAMES: [&str; EXPERTS] = ["arc", "wtinylfu-1", "wtinylfu-20", "wtinylfu-50"];
/// The window of each in percent of the entries.
const WINDOW: [usize; EXPERTS] = [0, 1, 20, 50];

/// How many of `entries` the window of an expert may hold.
#[inline(always)]
pub fn window(expert: usize, entries: usize) -> usize {
    (entries * WINDOW[expert] / 100).clamp(1, entries.saturating_sub(1).max(1))
}

/// How many of `entries` may be protected beside a window of that size: four fifths.
#[inline(always)]
pub fn protected(window: usize, entries: usize) -> usize {
    entries.saturating_sub(window) * 4 / 5
}

/// TinyLFU's question: whether what leaves the window is to displace the victim of the main part.
///
/// A candidate that is asked for now and then is let in at random once in 128 times, so that nobody
/// who knows the hashes can keep the main part as it is.
#[inline(always)]
pub fn admits(frequencies: &Frequencies, candidate: u32, victim: u32, chance: &mut Chance) -> bool {
    if candidate == victim {
        return false;
    }
    let frequency = frequencies.estimate(candidate);
    frequency > frequencies.estimate(victim) || (frequency > 5 && chance.one_in_128())
}

/// Cheap random numbers (Marsaglia's xorshift32).
#[derive(Clone, Debug)]
pub struct Chance(u32);

impl Default for Chance {
    fn default() -> Self {
        Self(0x9E37_79B9)
    }
}

impl Chance {
    #[inline(always)]
    fn one_in_128(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 & 127 == 0
    }
}
