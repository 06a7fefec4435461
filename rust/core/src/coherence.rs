//! Whether what was loaded earlier may still be returned: one clock, and for each name when it was
//! last invalidated.
//!
//! A load takes a *stamp* of the clock before it begins. An invalidation (*bump*) advances the clock
//! and writes the new time into the slot of each name. What was loaded is current as long as the slots
//! of its names are not later than its stamp. So a load that began before an invalidation and ends after
//! it gives something that is outdated from the start, and nobody keeps a list of loads or of keys.
//! Names that share a slot are invalidated together, which costs a load and is never wrong.
//!
//! All state is in one slice of atomic words, which may be memory that processes share. Its words:
//!
//! - `CLOCK`: the number of bumps that began.
//! - `BUMPS`: the number of bumps that ended. As long as it stays the same no slot has changed but by a
//!   bump that has not returned: what was current is current, without a look at its slots.
//! - `ALL`: the time of the last [`bump_all`](Table::bump_all), which makes everything doubtful.
//! - from `SLOTS` on: a time for each slot. Names are spread over them by their hash.
//!
//! The order of events that all of it rests on: a bump takes its time *before* it writes the slots,
//! so whoever takes a stamp later than that also loads later; and it counts itself as ended *after*
//! it has written them, so whoever sees the count sees the slots. Of a bump by a process that died in
//! the middle of it nothing is certain, as it was not acknowledged to anybody.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

// Each on a cache line of its own: hits read `BUMPS` all the time, loads and invalidations `CLOCK`.
const CLOCK: usize = 0;
const BUMPS: usize = 8;
const ALL: usize = 16;
const SLOTS: usize = 24;

/// The largest number of slots.
pub const MAX_SLOTS: usize = 1 << 24;

/// Times from here on are not reached by counting: where one is found, something else has written.
const LATEST: u64 = 1 << 62;

/// What a check has not been made at.
const NEVER: u64 = u64::MAX;

/// How many words a table with so many slots takes.
pub const fn words(slots: usize) -> usize {
    SLOTS + slots
}

/// The first words of a new table whose clock shows `start`; all others are 0.
///
/// With a `start` that the clock of a table which was there before has not reached, whoever still
/// uses that one finds everything suspect, and nothing current that is not.
pub fn beginning(start: u64) -> [u64; SLOTS] {
    let mut words = [0; SLOTS];
    words[CLOCK] = start;
    words[BUMPS] = start;
    words[ALL] = start;
    words
}

/// A view of the words of a table.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    words: &'a [AtomicU64],
}

/// What is to be made of something that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be returned.
    Current,
    /// Invalidations may have been missed: it has to be compared with its origin first.
    Suspect,
    /// It was invalidated.
    Invalid,
}

impl<'a> Table<'a> {
    /// The table in `words`, all of which are 0 at first, or as [`beginning`] says; `None` if they are too few or too many for one.
    pub fn new(words: &'a [AtomicU64]) -> Option<Self> {
        let slots = words.len().checked_sub(SLOTS)?;
        (1..=MAX_SLOTS).contains(&slots).then_some(Self { words })
    }

    /// How many slots there are.
    pub fn slots(self) -> usize {
        self.words.len() - SLOTS
    }

    /// The slot of a name: the same in every process.
    pub fn slot_of(self, name: &[u8]) -> u32 {
        let product = u128::from(xxh3_64(name)) * self.slots() as u128;
        (product >> 64) as u32
    }

    /// The time now: to be taken before a load begins.
    #[inline]
    pub fn stamp(self) -> u64 {
        self.words[CLOCK].load(Ordering::SeqCst)
    }

    /// Invalidates what was loaded under names with these slots with a stamp of before; returns the
    /// time of it.
    pub fn bump(self, slots: impl IntoIterator<Item = u32>) -> u64 {
        let now = self.begin();
        for slot in slots {
            self.slot(slot).fetch_max(now, Ordering::SeqCst);
        }
        self.end();
        now
    }

    /// Makes everything that was loaded with a stamp of before suspect; returns the time of it.
    pub fn bump_all(self) -> u64 {
        let now = self.begin();
        self.words[ALL].fetch_max(now, Ordering::SeqCst);
        self.end();
        now
    }

    /// Whether nothing was invalidated since a stamp, as far as names with these slots go.
    pub fn is_current(self, stamp: u64, slots: impl IntoIterator<Item = u32>) -> bool {
        self.standing(stamp, slots) == Standing::Current
    }

    /// The same, with the reason.
    pub fn standing(self, stamp: u64, slots: impl IntoIterator<Item = u32>) -> Standing {
        let later = |word: &AtomicU64| word.load(Ordering::SeqCst) > stamp;
        if slots.into_iter().any(|slot| later(self.slot(slot))) {
            Standing::Invalid
        } else if later(&self.words[ALL]) {
            Standing::Suspect
        } else {
            Standing::Current
        }
    }

    /// Whether only counting can have made the times in the table what they are.
    pub fn is_sound(self) -> bool {
        let latest = self.words[BUMPS..]
            .iter()
            .map(|word| word.load(Ordering::SeqCst))
            .max();
        // Read after the others, which may be moving on.
        let now = self.stamp();
        now < LATEST && latest.is_none_or(|latest| latest <= now)
    }

    #[inline(always)]
    fn bumps(self) -> u64 {
        self.words[BUMPS].load(Ordering::Acquire)
    }

    fn begin(self) -> u64 {
        self.words[CLOCK]
            .fetch_add(1, Ordering::SeqCst)
            .wrapping_add(1)
    }

    fn end(self) {
        self.words[BUMPS].fetch_add(1, Ordering::SeqCst);
    }

    /// A slot of another table is taken for one of this one: too many are then invalid, never too few,
    /// as long as all who use a name ask the same table.
    #[inline(always)]
    fn slot(self, slot: u32) -> &'a AtomicU64 {
        &self.words[SLOTS + slot as usize % self.slots()]
    }
}

/// What a loaded value needs to know to be judged.
#[derive(Debug)]
pub struct Proof {
    stamp: u64,
    slots: Box<[u32]>,
    /// How many bumps had ended when it was last found to be current.
    checked: AtomicU64,
}

impl Proof {
    /// For what was loaded after `stamp` was taken, under names with these slots.
    pub fn new(stamp: u64, slots: impl IntoIterator<Item = u32>) -> Self {
        Self {
            stamp,
            slots: slots.into_iter().collect(),
            checked: AtomicU64::new(NEVER),
        }
    }

    /// The clock before the load began.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The same for the same names, with another stamp: what was suspect has been found unchanged since.
    #[must_use]
    pub fn restamped(&self, stamp: u64) -> Self {
        Self::new(stamp, self.slots.iter().copied())
    }

    /// Whether it may be returned, as far as the table knows. Most times this reads one word of it.
    #[inline(always)]
    pub fn is_current(&self, table: Table<'_>) -> bool {
        let bumps = table.bumps();
        self.checked.load(Ordering::Relaxed) == bumps || self.check(table, bumps)
    }

    /// `bumps` was read before the slots are: a bump that ends meanwhile makes the next check look again.
    #[inline(never)]
    fn check(&self, table: Table<'_>, bumps: u64) -> bool {
        let current = self.standing(table) == Standing::Current;
        if current {
            self.checked.store(bumps, Ordering::Relaxed);
        }
        current
    }

    /// What is to be made of it.
    pub fn standing(&self, table: Table<'_>) -> Standing {
        table.standing(self.stamp, self.slots.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(slots: usize) -> Vec<AtomicU64> {
        (0..words(slots)).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn too_few_words_are_no_table() {
        assert!(Table::new(&memory(0)).is_none());
        assert!(Table::new(&[]).is_none());
        assert_eq!(Table::new(&memory(1)).map(Table::slots), Some(1));
    }

    #[test]
    fn a_bump_invalidates_what_began_before_it_only() {
        let memory = memory(1024);
        let table = Table::new(&memory).expect("enough words");
        let (one, other) = (table.slot_of(b"kone"), table.slot_of(b"kother"));
        assert_ne!(one, other);
        let before = table.stamp();
        let time = table.bump([one]);
        assert_eq!(table.standing(before, [one]), Standing::Invalid);
        assert_eq!(table.standing(before, [other, one]), Standing::Invalid);
        assert!(table.is_current(before, [other]));
        assert_eq!(table.stamp(), time);
        assert!(table.is_current(table.stamp(), [one, other]));
    }

    #[test]
    fn everything_becomes_suspect_but_what_is_invalid_stays_so() {
        let memory = memory(16);
        let table = Table::new(&memory).expect("enough words");
        let proof = Proof::new(table.stamp(), [3]);
        assert!(proof.is_current(table));
        table.bump_all();
        assert!(!proof.is_current(table));
        assert_eq!(proof.standing(table), Standing::Suspect);
        let renewed = proof.restamped(table.stamp());
        assert!(renewed.is_current(table));
        table.bump([3]);
        assert_eq!(proof.standing(table), Standing::Invalid);
        assert!(!renewed.is_current(table));
    }

    #[test]
    fn what_was_checked_is_checked_again_after_a_bump() {
        let memory = memory(16);
        let table = Table::new(&memory).expect("enough words");
        let proof = Proof::new(table.stamp(), [1, 2]);
        assert!(proof.is_current(table) && proof.is_current(table));
        table.bump([5]);
        assert!(proof.is_current(table));
        table.bump([2]);
        assert!(!proof.is_current(table) && !proof.is_current(table));
    }

    #[test]
    fn times_that_counting_cannot_reach_are_noticed() {
        let memory = memory(4);
        let table = Table::new(&memory).expect("enough words");
        table.bump([0]);
        assert!(table.is_sound());
        memory[SLOTS + 2].store(9, Ordering::Relaxed);
        assert!(!table.is_sound());
        memory[CLOCK].store(9, Ordering::Relaxed);
        assert!(table.is_sound());
        memory[CLOCK].store(u64::MAX, Ordering::Relaxed);
        assert!(!table.is_sound());
    }

    #[test]
    fn what_is_kept_of_an_older_table_is_suspect_in_a_newer_one() {
        let memory = memory(16);
        let table = Table::new(&memory).expect("enough words");
        table.bump([1]);
        let proof = Proof::new(table.stamp(), [5]);
        assert!(proof.is_current(table));
        for (word, value) in memory.iter().zip(beginning(100)) {
            word.store(value, Ordering::Relaxed);
        }
        assert!(table.is_sound());
        assert!(!proof.is_current(table));
        assert_eq!(proof.standing(table), Standing::Suspect);
        assert!(Proof::new(table.stamp(), [5]).is_current(table));
        assert_eq!(table.bump([5]), 101);
    }

    #[test]
    fn names_are_spread_over_all_slots() {
        let memory = memory(7);
        let table = Table::new(&memory).expect("enough words");
        let mut seen = [0_u32; 7];
        for number in 0..7000_u32 {
            seen[table.slot_of(&number.to_le_bytes()) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)));
    }
}
