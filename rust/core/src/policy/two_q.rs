//! 2Q: what is asked for again after it has left a queue of newcomers is kept.
//!
//! Source: Johnson, Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement
//! Algorithm" (VLDB 1994), the full version: newcomers pass through A1in, first in, first out, and
//! leave their hash in A1out; those remembered there come into Am, which is LRU. A1in should have a
//! quarter of the slots, A1out remembers half as many.
//! Invariant: after an insertion A1out has at most half as many ghosts as there were slots at the
//! last eviction, or one.

use std::collections::TryReserveError;

use super::{Graded, Policy, in_order_of_departure};
use crate::Slot;
use crate::ghosts::Ghosts;
use crate::segments::Segments;

const IN: usize = 0;
const MAIN: usize = 1;

/// 2Q order.
#[derive(Clone, Debug, Default)]
pub struct TwoQ {
    /// A1in and Am.
    queues: Segments<2>,
    /// A1out.
    left: Ghosts<1>,
    capacity: usize,
}

impl TwoQ {
    fn forget(&mut self, most: usize) {
        while self.left.total() > most {
            self.left.pop_oldest(0);
        }
    }
}

/// Kin of the paper.
fn newcomers(capacity: usize) -> usize {
    (capacity / 4).max(1)
}

/// Kout of the paper.
fn remembered(capacity: usize) -> usize {
    (capacity / 2).max(1)
}

impl Policy for TwoQ {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        // One more: a victim becomes a ghost before the newcomer's ghost is forgotten.
        self.left.reserve(remembered(slots) + 1)?;
        self.queues.reserve(slots)
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        let known = self.left.remove(hash).is_some();
        self.queues.push_back(if known { MAIN } else { IN }, slot);
        let capacity = self.capacity.max(self.queues.total());
        self.forget(remembered(capacity));
    }

    #[inline]
    fn on_hit(&mut self, slot: Slot) {
        if self.queues.segment(slot) == MAIN {
            self.queues.move_to_back(MAIN, slot);
        }
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.queues.remove(slot);
    }

    fn on_evict(&mut self, slot: Slot, hash: u64) {
        self.capacity = self.queues.total();
        let queue = self.queues.segment(slot);
        self.queues.remove(slot);
        if queue == IN {
            self.left.push(0, hash);
        }
        // A newcomer whose ghost will make room may follow.
        self.forget(remembered(self.capacity) + 1);
    }

    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        let full = self.queues.len(IN) > newcomers(self.queues.total());
        let first = if full { IN } else { MAIN };
        self.queues
            .front(first)
            .or_else(|| self.queues.front(1 - first))
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.queues.memory() + self.left.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        self.queues.check(len)?;
        self.left.check()?;
        let (ghosts, bound) = (self.left.total(), remembered(self.capacity.max(len)));
        if ghosts > bound + 1 {
            return Err(format!("2q: {ghosts} ghosts, at most {bound}"));
        }
        Ok(())
    }
}

/// The grade says whether a slot is kept.
impl Graded for TwoQ {
    const GRADES: u8 = 2;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let with_grade = |queue| self.queues.iter(queue).map(move |slot| (slot, queue as u8));
        with_grade(IN).chain(with_grade(MAIN)).collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        graded.for_each(|(slot, _, grade)| self.queues.push_back(usize::from(grade), slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_soon_is_kept() {
        let mut policy = TwoQ::default();
        policy.reserve(4).expect("small");
        (0..4).for_each(|slot| policy.on_insert(slot, slot.into())); // A1in: 0, 1, 2, 3
        policy.on_hit(0); // means nothing in the queue of newcomers
        assert_eq!(policy.victim(Some(4)), Some(0));
        policy.on_recycle(0, 0, 4); // A1in: 1, 2, 3, 4; A1out: 0
        assert_eq!(policy.victim(Some(0)), Some(1));
        policy.on_recycle(1, 1, 0); // A1in: 2, 3, 4; A1out: 1; Am: 0
        assert_eq!(policy.grades(), [(2, 0), (3, 0), (0, 0), (1, 1)]);
        for (slot, old, new) in [(2, 2, 5), (3, 3, 6), (0, 4, 7)] {
            assert_eq!(policy.victim(Some(new)), Some(slot));
            policy.on_recycle(slot, old, new);
        }
        assert!(policy.grades().contains(&(1, 1)), "a scan passes by");
        assert_eq!(
            policy.left.iter(0).collect::<Vec<_>>(),
            [3, 4],
            "half as many as slots"
        );
        policy.check(4).expect("consistent");
    }

    #[test]
    fn a_short_queue_of_newcomers_stays() {
        let mut policy = TwoQ::default();
        policy.reserve(4).expect("small");
        policy.restore([(0, 0, 0), (1, 1, 1), (2, 2, 1), (3, 3, 1)].into_iter());
        policy.on_hit(1); // Am: 2, 3, 1
        assert_eq!(policy.victim(Some(9)), Some(2));
        policy.on_evict(2, 2);
        assert_eq!(policy.left.total(), 0, "what leaves Am is not remembered");
    }
}
