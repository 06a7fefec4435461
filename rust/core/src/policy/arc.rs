//! Adaptive replacement: recency and frequency, in a proportion that follows the workload.
//!
//! Source: Megiddo, Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache" (FAST 2003), Fig. 4,
//! with a real-valued target. T1 has the slots used once since they came in, T2 those used again; B1
//! and B2 the hashes of what left either. A miss that B1 remembers raises the target size of T1, one
//! that B2 remembers lowers it.
//! Invariants, for a capacity c as of the last eviction: |T1| + |B1| <= c and |B1| + |B2| <= c after
//! an insertion, 0 <= target.

use std::collections::TryReserveError;

use super::{Graded, Policy, in_order_of_departure};
use crate::Slot;
use crate::ghosts::Ghosts;
use crate::segments::Segments;

const ONCE: usize = 0;
const AGAIN: usize = 1;

/// The target as it becomes when this newcomer is let in.
#[derive(Clone, Copy, Debug)]
struct Adaptation {
    newcomer: u64,
    target: f64,
    /// The list of ghosts that remembered the newcomer.
    from: Option<usize>,
}

/// ARC order.
#[derive(Clone, Debug, Default)]
pub struct Arc {
    /// T1 and T2.
    used: Segments<2>,
    /// B1 and B2.
    left: Ghosts<2>,
    /// The paper's p: so many slots T1 should have.
    target: f64,
    capacity: usize,
    /// Worked out when a victim was asked for: afterwards the victim is among the ghosts.
    pending: Option<Adaptation>,
}

impl Arc {
    fn adapt(&self, newcomer: u64, capacity: usize) -> Adaptation {
        let from = self.left.find(newcomer).map(|(list, _)| list);
        let ratio = |list: usize| self.left.len(list) as f64;
        let target = match from {
            Some(ONCE) => {
                let step = (ratio(AGAIN) / ratio(ONCE)).max(1.0);
                (self.target + step).min(capacity as f64)
            }
            Some(_) => {
                let step = (ratio(ONCE) / ratio(AGAIN)).max(1.0);
                (self.target - step).max(0.0)
            }
            None => self.target,
        };
        Adaptation {
            newcomer,
            target,
            from,
        }
    }

    /// Keeps to the bounds of the ghosts for a capacity.
    fn forget(&mut self, capacity: usize) {
        while self.left.len(ONCE) > 0 && self.used.len(ONCE) + self.left.len(ONCE) > capacity {
            self.left.pop_oldest(ONCE);
        }
        while self.left.total() > capacity {
            let list = if self.left.len(AGAIN) > 0 {
                AGAIN
            } else {
                ONCE
            };
            self.left.pop_oldest(list);
        }
    }

    fn adaptation(&self, newcomer: u64, capacity: usize) -> Adaptation {
        match self.pending {
            Some(pending) if pending.newcomer == newcomer => pending,
            _ => self.adapt(newcomer, capacity),
        }
    }
}

impl Policy for Arc {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        // One more: a victim becomes a ghost before the newcomer's ghost is forgotten.
        self.left.reserve(slots + 1)?;
        self.used.reserve(slots)
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        let capacity = self.capacity.max(self.used.total() + 1);
        let adaptation = self.adaptation(hash, capacity);
        self.pending = None;
        if adaptation.from.is_some() {
            self.target = adaptation.target;
            self.left.remove(hash);
            self.used.push_back(AGAIN, slot);
        } else {
            self.used.push_back(ONCE, slot);
        }
        self.forget(capacity);
    }

    #[inline]
    fn on_hit(&mut self, slot: Slot) {
        self.used.move_to_back(AGAIN, slot);
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.used.remove(slot);
    }

    fn on_evict(&mut self, slot: Slot, hash: u64) {
        self.capacity = self.used.total();
        let list = self.used.segment(slot);
        self.used.remove(slot);
        self.left.push(list, hash);
        // A newcomer whose ghost will make room may follow.
        self.forget(self.capacity + 1);
    }

    fn victim(&mut self, newcomer: Option<u64>) -> Option<Slot> {
        let capacity = self.used.total();
        let (target, from) = match newcomer {
            Some(newcomer) => {
                let adaptation = self.adaptation(newcomer, capacity);
                self.pending = Some(adaptation);
                (adaptation.target, adaptation.from)
            }
            None => (self.target, None),
        };
        let once = self.used.len(ONCE) as f64;
        let too_many = once > target || from == Some(AGAIN) && once == target;
        let first = if too_many { ONCE } else { AGAIN };
        self.used
            .front(first)
            .or_else(|| self.used.front(1 - first))
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.used.memory() + self.left.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        self.used.check(len)?;
        self.left.check()?;
        let (once, ghosts) = (self.left.len(ONCE), self.left.total());
        let bound = self.capacity.max(len);
        if self.target < 0.0 || !self.target.is_finite() {
            return Err(format!("arc: target {}", self.target));
        }
        // A victim is a ghost before the newcomer is in.
        if self.used.len(ONCE) + once > bound + 1 || ghosts > bound + 1 {
            let t1 = self.used.len(ONCE);
            return Err(format!(
                "arc: {t1} used once, {once} left and {ghosts} ghosts, capacity {bound}"
            ));
        }
        Ok(())
    }
}

/// The grade says whether a slot was used again.
impl Graded for Arc {
    const GRADES: u8 = 2;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let with_grade = |list| self.used.iter(list).map(move |slot| (slot, list as u8));
        with_grade(ONCE).chain(with_grade(AGAIN)).collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        graded.for_each(|(slot, _, grade)| self.used.push_back(usize::from(grade), slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full cache of four, with keys 0 to 3 in slots 0 to 3.
    fn filled() -> Arc {
        let mut policy = Arc::default();
        policy.reserve(4).expect("small");
        (0..4).for_each(|slot| policy.on_insert(slot, slot.into()));
        policy
    }

    fn miss(policy: &mut Arc, old: u64, new: u64) {
        let slot = policy.victim(Some(new)).expect("full");
        policy.on_recycle(slot, old, new);
        policy.check(4).expect("consistent");
    }

    #[test]
    fn a_scan_leaves_what_was_used_twice() {
        let mut policy = filled();
        policy.on_hit(0);
        policy.on_hit(1); // T1: 2, 3; T2: 0, 1
        for (old, new) in [(2, 4), (3, 5), (4, 6), (5, 7)] {
            miss(&mut policy, old, new);
        }
        assert_eq!(policy.used.iter(AGAIN).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(policy.left.iter(ONCE).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn ghosts_move_the_target() {
        let mut policy = filled();
        policy.on_hit(0);
        miss(&mut policy, 1, 4); // T1: 2, 3, 4; T2: 0; B1: 1
        miss(&mut policy, 2, 1); // T1: 3, 4; T2: 0, 1; B1: 2
        assert_eq!(policy.target, 1.0);
        miss(&mut policy, 0, 2); // T1 has just its target: T1: 3, 4; T2: 1, 2; B2: 0
        assert_eq!(policy.target, 2.0);
        assert_eq!(policy.left.iter(AGAIN).collect::<Vec<_>>(), [0]);
        miss(&mut policy, 3, 0); // remembered by B2: T1: 4; T2: 1, 2, 0; B1: 3
        assert_eq!(policy.target, 1.0);
        assert_eq!((policy.used.len(ONCE), policy.used.len(AGAIN)), (1, 3));
        assert_eq!(policy.left.iter(ONCE).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn several_evictions_for_one_newcomer_adapt_once() {
        let mut policy = filled();
        policy.on_hit(0);
        miss(&mut policy, 1, 4); // T1: 2, 3, 4; T2: 0; B1: 1
        for old in [2, 3] {
            let slot = policy.victim(Some(1)).expect("some");
            policy.on_evict(slot, old);
        }
        policy.on_insert(2, 1);
        assert_eq!(policy.target, 1.0);
        policy.check(3).expect("consistent");
    }
}
