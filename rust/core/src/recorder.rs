//! Records which keys a live cache is asked for: a sample of them, in a bounded buffer, as numbers that
//! tell the keys apart without giving them away.
//!
//! The caller observes every lookup inside of its lock, and takes what is full out to write it
//! elsewhere: see [`crate::trace::file`] for the format.

use std::collections::TryReserveError;
use std::fmt;

use crate::keyed::Keyed;
use crate::sample::{Filter, NotARate};
use crate::trace::file::Header;

/// Requests that are handed out together: 64 KiB.
pub const BATCH: usize = 1 << 13;
/// Full batches that are kept at most; requests beyond them are lost, and counted.
const BATCHES: usize = 4;

/// Why there is no recorder.
#[derive(Debug)]
pub enum Refused {
    /// The rate is none.
    Rate(NotARate),
    /// No memory for the buffer.
    Memory(TryReserveError),
}

impl fmt::Display for Refused {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Rate(wrong) => wrong.fmt(to),
            Refused::Memory(error) => error.fmt(to),
        }
    }
}

/// A recording under way. At most [`BATCHES`] + 1 batches of memory; observing neither allocates nor fails.
#[derive(Debug)]
pub struct Recorder {
    filter: Filter,
    keyed: Keyed,
    buffer: Vec<u64>,
    full: Vec<Vec<u64>>,
    spare: Vec<Vec<u64>>,
    observed: u64,
    recorded: u64,
    lost: u64,
}

impl Recorder {
    /// A recorder of the share `rate` of all keys. The secret must be random: who knows it can tell from
    /// the recording whether a key of which they know the hash was asked for.
    pub fn new(rate: f64, secret: [u64; 2]) -> Result<Self, Refused> {
        let filter =
            Filter::new(rate, secret[0].rotate_left(32) ^ secret[1]).map_err(Refused::Rate)?;
        let mut spare = Vec::new();
        spare
            .try_reserve_exact(BATCHES + 1)
            .map_err(Refused::Memory)?;
        for _ in 0..=BATCHES {
            let mut batch = Vec::new();
            batch.try_reserve_exact(BATCH).map_err(Refused::Memory)?;
            spare.push(batch);
        }
        let mut full = Vec::new();
        full.try_reserve_exact(BATCHES).map_err(Refused::Memory)?;
        Ok(Self {
            filter,
            keyed: Keyed::new(secret),
            buffer: spare.pop().unwrap_or_default(),
            full,
            spare,
            observed: 0,
            recorded: 0,
            lost: 0,
        })
    }

    /// A key of this hash was looked up. `true` if there is a full batch to be taken.
    #[inline(always)]
    pub fn observe(&mut self, hash: u64) -> bool {
        self.observed += 1;
        if self.filter.passes(hash).is_some() {
            self.record(hash)
        } else {
            false
        }
    }

    #[inline(never)]
    fn record(&mut self, hash: u64) -> bool {
        if self.buffer.len() == BATCH {
            match self.spare.pop() {
                Some(empty) => self.full.push(std::mem::replace(&mut self.buffer, empty)),
                None => {
                    self.lost += 1;
                    return true;
                }
            }
        }
        self.buffer.push(self.keyed.number(hash));
        self.recorded += 1;
        self.buffer.len() == BATCH || !self.full.is_empty()
    }

    /// A full batch, the oldest first. Give it back with [`give_back`](Self::give_back) when it is written:
    /// until then there is less room.
    pub fn take_full(&mut self) -> Option<Vec<u64>> {
        if !self.full.is_empty() {
            return Some(self.full.remove(0));
        }
        if self.buffer.len() < BATCH {
            return None;
        }
        let empty = self.spare.pop()?;
        Some(std::mem::replace(&mut self.buffer, empty))
    }

    /// Takes back a batch that was written.
    pub fn give_back(&mut self, mut batch: Vec<u64>) {
        // Neither grows: there never are more batches than were made.
        if batch.capacity() >= BATCH && self.spare.len() + self.full.len() < BATCHES {
            batch.clear();
            self.spare.push(batch);
        }
    }

    /// What is left, full or not, when the recording ends; call until it gives nothing.
    pub fn take_rest(&mut self) -> Option<Vec<u64>> {
        if !self.full.is_empty() {
            return Some(self.full.remove(0));
        }
        (!self.buffer.is_empty()).then(|| std::mem::take(&mut self.buffer))
    }

    /// The header of the recording so far, as it is when all that was recorded has been written. If
    /// requests were lost, it does not say how many were observed, which would mislead.
    pub fn header(&self) -> Header {
        Header {
            rate: self.filter.rate(),
            observed: (self.lost == 0).then_some(self.observed),
            recorded: Some(self.recorded),
        }
    }

    /// Requests that are missing in the recording, because nobody took the full batches in time.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes allocated here; batches that were taken are not.
    pub fn memory(&self) -> usize {
        let batches = self.full.iter().chain(&self.spare).chain([&self.buffer]);
        batches
            .map(|batch| batch.capacity() * size_of::<u64>())
            .sum()
    }
}

/// The bytes of a batch, as they are in the file.
pub fn encode(batch: &[u64]) -> Vec<u8> {
    batch
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const SECRET: [u64; 2] = [3, 4];

    fn rest(recorder: &mut Recorder) -> Vec<u64> {
        std::iter::from_fn(|| recorder.take_rest())
            .flatten()
            .collect()
    }

    #[test]
    fn equal_keys_stay_equal_and_do_not_show() {
        let mut recorder = Recorder::new(1.0, SECRET).expect("a rate");
        for at in 0..5000_u64 {
            assert!(!recorder.observe(at % 700));
        }
        let found = rest(&mut recorder);
        let mut known = HashMap::new();
        for (at, &number) in found.iter().enumerate() {
            assert_eq!(*known.entry(number).or_insert(at % 700), at % 700);
            assert_ne!(number, at as u64 % 700);
        }
        assert_eq!((found.len(), known.len()), (5000, 700));
        assert_eq!(recorder.header().observed, Some(5000));
    }

    #[test]
    fn another_secret_gives_other_numbers() {
        let [one, other] = [[3, 4], [3, 5]].map(|secret| {
            let mut recorder = Recorder::new(1.0, secret).expect("a rate");
            recorder.observe(7);
            rest(&mut recorder)
        });
        assert_ne!(one, other);
    }

    #[test]
    fn a_sample_has_all_requests_for_its_keys() {
        let mut recorder = Recorder::new(0.1, SECRET).expect("a rate");
        (0..60_000_u64).for_each(|at| {
            recorder.observe(at % 10_000);
        });
        let mut times = HashMap::new();
        rest(&mut recorder)
            .into_iter()
            .for_each(|number| *times.entry(number).or_insert(0) += 1);
        assert!(times.values().all(|&times| times == 6));
        assert!((850..1150).contains(&times.len()), "{} keys", times.len());
        let header = recorder.header();
        assert_eq!(header.rate, 0.1);
        assert_eq!(
            (header.observed, header.recorded),
            (Some(60_000), Some(6 * times.len() as u64))
        );
    }

    #[test]
    fn full_batches_are_handed_out_in_order() {
        let mut recorder = Recorder::new(1.0, SECRET).expect("a rate");
        let mut written = Vec::new();
        let requests = 10 * BATCH as u64 + 5;
        for hash in 0..requests {
            if recorder.observe(hash) {
                let batch = recorder.take_full().expect("announced");
                written.extend_from_slice(&batch);
                recorder.give_back(batch);
            }
        }
        assert_eq!(written.len(), 10 * BATCH);
        written.extend(rest(&mut recorder));
        let keyed = Keyed::new(SECRET);
        assert!(
            written
                .iter()
                .copied()
                .eq((0..requests).map(|hash| keyed.number(hash)))
        );
        assert_eq!(recorder.lost(), 0);
    }

    #[test]
    fn memory_is_bounded_and_losses_are_counted() {
        let mut recorder = Recorder::new(1.0, SECRET).expect("a rate");
        let before = recorder.memory();
        let room = (BATCHES + 1) as u64 * BATCH as u64;
        (0..room + 100).for_each(|hash| {
            recorder.observe(hash);
        });
        assert_eq!((recorder.memory(), recorder.lost()), (before, 100));
        assert_eq!(recorder.header().observed, None);
        assert_eq!(rest(&mut recorder).len() as u64, room);
    }

    #[test]
    fn batches_are_written_little_end_first() {
        assert_eq!(
            encode(&[1, 0x0203]),
            [1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0]
        );
    }
}
