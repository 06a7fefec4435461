//! What follows what: for each key, the few keys that were asked for right after it.
//!
//! Sets of a few rows, as in a hardware cache, so that memory is fixed and a lookup touches one set. A row
//! has *heat*, the number of times that it was of use, up to a limit. A newcomer cools the coolest row of a
//! full set by one, and takes its place only when it is cold: a flood of keys that never return passes
//! through without washing out what was learned, and what is no longer used does not stay for ever.

use std::collections::TryReserveError;

use crate::sample::mix;

/// Successors that a row has room for.
pub const BRANCHES: usize = 4;
/// Rows of a set.
const WAYS: usize = 4;
/// All counts of a row are halved at so many follow-ups, so that a row tells of the recent ones.
const AGED_AT: u8 = 64;
const MAX_HEAT: u8 = 7;

/// The successors of one key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    key: u64,
    next: [u64; BRANCHES],
    counts: [u8; BRANCHES],
    total: u8,
    heat: u8,
}

impl Row {
    /// Successors and how often each of them came, the likeliest first.
    pub fn branches(&self) -> impl Iterator<Item = (u64, u8)> {
        self.next
            .into_iter()
            .zip(self.counts)
            .take_while(|&(_, count)| count > 0)
    }

    /// How many follow-ups the counts are out of; at least their sum.
    pub fn total(&self) -> u8 {
        self.total
    }

    fn is_free(&self) -> bool {
        self.total == 0
    }

    fn count(&mut self, next: u64) {
        if self.total >= AGED_AT {
            self.age();
        }
        self.total += 1;
        self.heat = (self.heat + 1).min(MAX_HEAT);
        let known = (0..BRANCHES).find(|&at| self.counts[at] > 0 && self.next[at] == next);
        if let Some(mut at) = known {
            self.counts[at] += 1;
            while at > 0 && self.counts[at - 1] < self.counts[at] {
                self.counts.swap(at - 1, at);
                self.next.swap(at - 1, at);
                at -= 1;
            }
            return;
        }
        let free = (0..BRANCHES).find(|&at| self.counts[at] == 0);
        let at = free.unwrap_or(BRANCHES - 1);
        // The last place is where newcomers prove themselves: whoever came once gives way to the next.
        if self.counts[at] <= 1 {
            self.next[at] = next;
            self.counts[at] = 1;
        } else {
            self.counts[at] -= 1;
        }
    }

    fn age(&mut self) {
        self.total /= 2;
        for count in &mut self.counts {
            *count /= 2;
        }
    }
}

/// Rows of a fixed number of keys.
#[derive(Debug)]
pub struct Successors {
    rows: Vec<Row>,
    seed: u64,
    used: usize,
}

impl Successors {
    /// An empty table of about as many rows; the seed decides which keys share a set.
    pub fn new(rows: usize, seed: u64) -> Result<Self, TryReserveError> {
        let sets = rows.div_ceil(WAYS).max(1).next_power_of_two();
        let mut empty = Vec::new();
        empty.try_reserve_exact(sets * WAYS)?;
        empty.resize(sets * WAYS, Row::default());
        Ok(Self {
            rows: empty,
            seed: mix(seed),
            used: 0,
        })
    }

    /// Counts that `next` came right after `key`.
    pub fn learn(&mut self, key: u64, next: u64) {
        let set = self.set(key);
        let rows = &mut self.rows[set..set + WAYS];
        let known = rows.iter().position(|row| row.key == key && !row.is_free());
        let at = known.or_else(|| rows.iter().position(Row::is_free));
        if let Some(at) = at {
            self.used += usize::from(rows[at].is_free());
            rows[at].key = key;
            rows[at].count(next);
            return;
        }
        let coolest = rows
            .iter_mut()
            .min_by_key(|row| row.heat)
            .expect("a set has rows");
        if coolest.heat > 1 {
            coolest.heat -= 1;
        } else {
            *coolest = Row {
                key,
                ..Row::default()
            };
            coolest.count(next);
        }
    }

    /// The row of a key.
    pub fn get(&self, key: u64) -> Option<&Row> {
        let set = self.set(key);
        self.rows[set..set + WAYS]
            .iter()
            .find(|row| row.key == key && !row.is_free())
    }

    /// The keys that have a row, with their rows.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.rows
            .iter()
            .filter(|row| !row.is_free())
            .map(|row| (row.key, row))
    }

    /// The number of keys that have a row.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many rows there is room for.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.fill(Row::default());
        self.used = 0;
    }

    #[inline(always)]
    fn set(&self, key: u64) -> usize {
        let sets = self.rows.len() / WAYS;
        (mix(key ^ self.seed) as usize & (sets - 1)) * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize) -> Successors {
        Successors::new(rows, 1).expect("small")
    }

    #[test]
    fn branches_are_the_likeliest_first() {
        let mut table = table(64);
        for next in [10, 20, 20, 30, 30, 30] {
            table.learn(1, next);
        }
        let row = table.get(1).expect("learned");
        assert_eq!(
            row.branches().collect::<Vec<_>>(),
            [(30, 3), (20, 2), (10, 1)]
        );
        assert_eq!(row.total(), 6);
    }

    #[test]
    fn noise_does_not_replace_what_comes_often() {
        let mut table = table(64);
        for turn in 0..200 {
            table.learn(1, 7);
            table.learn(1, 1000 + turn);
        }
        let (likeliest, count) = table
            .get(1)
            .and_then(|row| row.branches().next())
            .expect("learned");
        assert_eq!(likeliest, 7);
        assert!(count >= 16, "{count}");
    }

    #[test]
    fn a_row_follows_a_change() {
        let mut table = table(64);
        for _ in 0..1000 {
            table.learn(1, 7);
        }
        for _ in 0..80 {
            table.learn(1, 8);
        }
        let first = table
            .get(1)
            .and_then(|row| row.branches().next())
            .expect("learned");
        assert_eq!(first.0, 8);
    }

    #[test]
    fn a_flood_of_new_keys_leaves_warm_rows() {
        let mut table = table(256);
        for key in 0..64 {
            for _ in 0..8 {
                table.learn(key, key + 1);
            }
        }
        for key in 10_000..10_300 {
            table.learn(key, key + 1);
        }
        let left = (0..64).filter(|&key| table.get(key).is_some()).count();
        assert!(left >= 60, "{left}");
        assert!(table.len() <= table.capacity());
    }
}
