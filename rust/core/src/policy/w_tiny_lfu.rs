//! W-TinyLFU: newcomers pass through a window, and displace a kept slot only if they were asked for
//! more often lately.
//!
//! Source: Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy" (ACM
//! Transactions on Storage 2017). The window is LRU; the rest is segmented LRU, four fifths of it
//! protected. A count-min sketch counts every request; it is halved after ten requests for each
//! slot.
//! Invariant: after an insertion the window and the protected segment have at most their shares.

use std::collections::TryReserveError;

use super::{Graded, Policy, in_order_of_departure};
use crate::segments::Segments;
use crate::sketch::Sketch;
use crate::{Slot, spread};

const WINDOW: usize = 0;
const PROBATION: usize = 1;
const PROTECTED: usize = 2;

/// The window's share of the slots, unless said otherwise.
const WINDOW_SHARE: f64 = 0.01;
/// The protected share of what is outside the window.
const PROTECTED_SHARE: f64 = 0.8;
/// The sketch is halved after so many requests for each slot.
const AGE: u64 = 10;

/// W-TinyLFU order.
#[derive(Clone, Debug)]
pub struct WTinyLfu {
    segments: Segments<3>,
    /// What the sketch knows each slot by.
    hashes: Vec<u32>,
    sketch: Sketch,
    window_share: f64,
}

impl Default for WTinyLfu {
    fn default() -> Self {
        Self::with_window(WINDOW_SHARE)
    }
}

impl WTinyLfu {
    /// A policy whose window has this share of the slots, between 0 and 1, but at least one.
    pub fn with_window(share: f64) -> Self {
        Self {
            segments: Segments::default(),
            hashes: Vec::new(),
            sketch: Sketch::default(),
            window_share: share.clamp(0.0, 1.0),
        }
    }

    fn count(&mut self, slot: Slot) {
        self.sketch.count(self.hashes[slot as usize]);
        if self.sketch.counted() >= AGE * (self.segments.total() as u64).max(AGE) {
            self.sketch.halve();
        }
    }

    fn window(&self, capacity: usize) -> usize {
        ((capacity as f64 * self.window_share) as usize).clamp(1, capacity.max(2) - 1)
    }

    fn protected(&self, capacity: usize) -> usize {
        let main = capacity - self.window(capacity).min(capacity);
        (main as f64 * PROTECTED_SHARE) as usize
    }

    fn protect(&mut self, slot: Slot) {
        self.segments.move_to_back(PROTECTED, slot);
        self.settle();
    }

    fn settle(&mut self) {
        let capacity = self.segments.total();
        let most = self.protected(capacity);
        while self.segments.len(PROTECTED) > most
            && let Some(slot) = self.segments.front(PROTECTED)
        {
            self.segments.move_to_back(PROBATION, slot);
        }
    }
}

impl Policy for WTinyLfu {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.hashes.len() < slots {
            self.hashes.try_reserve(slots - self.hashes.len())?;
            self.segments.reserve(slots)?;
            self.sketch.reserve(slots)?;
            self.hashes.resize(slots, 0);
        }
        Ok(())
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        self.hashes[slot as usize] = spread(hash) as u32;
        self.segments.push_back(WINDOW, slot);
        self.count(slot);
        let most = self.window(self.segments.total());
        while self.segments.len(WINDOW) > most
            && let Some(oldest) = self.segments.front(WINDOW)
        {
            self.segments.move_to_back(PROBATION, oldest);
        }
        self.settle();
    }

    #[inline(never)]
    fn on_hit(&mut self, slot: Slot) {
        self.count(slot);
        match self.segments.segment(slot) {
            PROBATION => self.protect(slot),
            segment => self.segments.move_to_back(segment, slot),
        }
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.segments.remove(slot);
        self.settle();
    }

    fn on_evict(&mut self, slot: Slot, _hash: u64) {
        // The protected segment keeps its share: a newcomer is about to come.
        self.segments.remove(slot);
    }

    fn victim(&mut self, newcomer: Option<u64>) -> Option<Slot> {
        let kept = self
            .segments
            .front(PROBATION)
            .or(self.segments.front(PROTECTED));
        // The newcomer will push the oldest out of a window that is full.
        let coming = usize::from(newcomer.is_some());
        let full = self.segments.len(WINDOW) + coming > self.window(self.segments.total());
        let candidate = self
            .segments
            .front(WINDOW)
            .filter(|_| full || kept.is_none());
        match (candidate, kept) {
            (Some(candidate), Some(kept)) => {
                let frequency = |slot: Slot| self.sketch.estimate(self.hashes[slot as usize]);
                Some(if frequency(candidate) > frequency(kept) {
                    kept
                } else {
                    candidate
                })
            }
            (candidate, kept) => candidate.or(kept),
        }
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::with_window(self.window_share);
    }

    fn memory(&self) -> usize {
        self.segments.memory() + self.hashes.capacity() * size_of::<u32>() + self.sketch.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        self.segments.check(len)
    }
}

/// The grade is the segment: window, probation or protected.
impl Graded for WTinyLfu {
    const GRADES: u8 = 3;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let with_grade = |segment| {
            self.segments
                .iter(segment)
                .map(move |slot| (slot, segment as u8))
        };
        [WINDOW, PROBATION, PROTECTED]
            .into_iter()
            .flat_map(with_grade)
            .collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        for (slot, hash, grade) in graded {
            self.hashes[slot as usize] = spread(hash) as u32;
            self.segments.push_back(usize::from(grade), slot);
            self.count(slot);
        }
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys 0 to 9, all outside the window but the last.
    fn filled() -> WTinyLfu {
        let mut policy = WTinyLfu::default();
        policy.reserve(10).expect("small");
        (0..10).for_each(|slot| policy.on_insert(slot, slot.into()));
        policy
    }

    #[test]
    fn a_newcomer_that_is_asked_for_no_more_often_is_not_let_in() {
        let mut policy = filled();
        assert_eq!(policy.grades()[0], (9, WINDOW as u8));
        (0..9).for_each(|slot| policy.on_hit(slot));
        assert_eq!(policy.victim(Some(10)), Some(9));
        policy.on_recycle(9, 9, 10);
        assert_eq!(policy.victim(Some(11)), Some(9));
        policy.on_hit(9);
        policy.on_hit(9); // three times now, the others twice
        let victim = policy.victim(Some(11)).expect("full");
        assert_ne!(victim, 9);
        policy.on_recycle(victim, victim.into(), 11);
        assert!(policy.grades().contains(&(9, PROBATION as u8)));
        policy.check(10).expect("consistent");
    }

    #[test]
    fn four_fifths_are_protected() {
        let mut policy = filled();
        (0..9).for_each(|slot| policy.on_hit(slot));
        assert_eq!(policy.segments.iter(PROBATION).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(policy.segments.len(PROTECTED), 7);
    }

    #[test]
    fn the_window_may_be_larger() {
        let mut policy = WTinyLfu::with_window(0.5);
        policy.reserve(10).expect("small");
        (0..10).for_each(|slot| policy.on_insert(slot, slot.into()));
        assert_eq!(
            policy.segments.iter(WINDOW).collect::<Vec<_>>(),
            [5, 6, 7, 8, 9]
        );
    }

    #[test]
    fn frequencies_fade() {
        let mut policy = filled();
        (0..1000).for_each(|_| policy.on_hit(0));
        assert!(policy.sketch.counted() < 100);
    }
}
