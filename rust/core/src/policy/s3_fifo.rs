//! S3-FIFO: a small queue sorts out what is used once before it can reach the main queue.
//!
//! Source: Yang, Zhang, Qiu, Yue, Vigfusson, "FIFO Queues are All You Need for Cache Eviction" (SOSP
//! 2023), Algorithm 1. The small queue should have a tenth of the slots, and may have all of them
//! while nothing has earned its place in the main queue; what leaves it unused is remembered, up to
//! nine tenths as many, and comes into the main queue when asked for again. A slot counts up to three
//! uses: more than one bring it from the small queue into the main one, and each one there another
//! round.
//! Invariant: after an insertion there are at most nine tenths as many ghosts as there were slots at
//! the last eviction, or one.

use std::collections::TryReserveError;

use super::{Graded, Policy, in_order_of_departure};
use crate::Slot;
use crate::ghosts::Ghosts;
use crate::segments::Segments;

const SMALL: usize = 0;
const MAIN: usize = 1;
const MOST_USES: u8 = 3;
/// So many uses in the small queue are not enough for the main one.
const TOO_FEW: u8 = 1;

/// S3-FIFO order.
#[derive(Clone, Debug, Default)]
pub struct S3Fifo {
    /// Each slot's note is its count of uses.
    queues: Segments<2>,
    left: Ghosts<1>,
    capacity: usize,
    /// The victim that was named last: finding one moves others.
    named: Option<Slot>,
}

impl S3Fifo {
    /// Whether the slot could leave as it is.
    fn may_leave(&self, slot: Slot) -> bool {
        let enough = if self.queues.segment(slot) == SMALL {
            TOO_FEW
        } else {
            0
        };
        self.queues.note(slot) <= enough
    }

    fn named_in_small(&mut self, capacity: usize) -> Option<Slot> {
        while let Some(slot) = self.queues.front(SMALL) {
            if self.may_leave(slot) {
                return Some(slot);
            }
            self.queues.move_to_back(MAIN, slot);
            self.queues.set_note(slot, 0);
            if self.queues.len(MAIN) > capacity - small(capacity) {
                return self.named_in_main();
            }
        }
        None
    }

    fn forget(&mut self, most: usize) {
        while self.left.total() > most {
            self.left.pop_oldest(0);
        }
    }

    fn named_in_main(&mut self) -> Option<Slot> {
        // Ends, since every step takes a use away.
        while let Some(slot) = self.queues.front(MAIN) {
            if self.may_leave(slot) {
                return Some(slot);
            }
            self.queues.set_note(slot, self.queues.note(slot) - 1);
            self.queues.move_to_back(MAIN, slot);
        }
        None
    }
}

/// The size at which the small queue has to give.
fn small(capacity: usize) -> usize {
    (capacity / 10).max(1)
}

fn remembered(capacity: usize) -> usize {
    capacity.saturating_sub(small(capacity)).max(1)
}

impl Policy for S3Fifo {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        // One more: a victim becomes a ghost before the newcomer's ghost is forgotten.
        self.left.reserve(remembered(slots) + 1)?;
        self.queues.reserve(slots)
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        self.named = None;
        let known = self.left.remove(hash).is_some();
        self.queues
            .push_back(if known { MAIN } else { SMALL }, slot);
        let capacity = self.capacity.max(self.queues.total());
        self.forget(remembered(capacity));
    }

    #[inline(always)]
    fn on_hit(&mut self, slot: Slot) {
        let uses = self.queues.note(slot);
        if uses < MOST_USES {
            self.queues.set_note(slot, uses + 1);
        }
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.named = None;
        self.queues.remove(slot);
    }

    fn on_evict(&mut self, slot: Slot, hash: u64) {
        self.capacity = self.queues.total();
        let queue = self.queues.segment(slot);
        self.on_remove(slot);
        if queue == SMALL {
            self.left.push(0, hash);
        }
        // A newcomer whose ghost will make room may follow.
        self.forget(remembered(self.capacity) + 1);
    }

    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        self.named = self.named.filter(|&slot| self.may_leave(slot));
        if self.named.is_none() {
            let capacity = self.queues.total();
            let full = self.queues.len(SMALL) >= small(capacity);
            self.named = if full {
                self.named_in_small(capacity)
            } else {
                None
            };
            if self.named.is_none() {
                self.named = self
                    .named_in_main()
                    .or_else(|| self.named_in_small(capacity));
            }
        }
        self.named
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
        if let Some(slot) = self.named.filter(|&slot| !self.queues.contains(slot)) {
            return Err(format!(
                "s3-fifo: slot {slot} was named as the victim and is out"
            ));
        }
        if let Some((slot, grade)) = self
            .grades()
            .into_iter()
            .find(|graded| graded.1 >= Self::GRADES)
        {
            return Err(format!("s3-fifo: slot {slot} has grade {grade}"));
        }
        let (ghosts, bound) = (self.left.total(), remembered(self.capacity.max(len)));
        if ghosts > bound + 1 {
            return Err(format!("s3-fifo: {ghosts} ghosts, at most {bound}"));
        }
        Ok(())
    }
}

/// The grade is the count of uses, and four more in the main queue.
impl Graded for S3Fifo {
    const GRADES: u8 = 2 * (MOST_USES + 1);

    fn grades(&self) -> Vec<(Slot, u8)> {
        let with_grade = |queue| {
            let uses = move |slot| self.queues.note(slot) + queue as u8 * (MOST_USES + 1);
            self.queues.iter(queue).map(move |slot| (slot, uses(slot)))
        };
        with_grade(SMALL).chain(with_grade(MAIN)).collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        for (slot, _, grade) in graded {
            self.queues
                .push_back(usize::from(grade / (MOST_USES + 1)), slot);
            self.queues.set_note(slot, grade % (MOST_USES + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(slots: u32) -> S3Fifo {
        let mut policy = S3Fifo::default();
        policy.reserve(slots as usize).expect("small");
        (0..slots).for_each(|slot| policy.on_insert(slot, slot.into()));
        policy
    }

    #[test]
    fn two_uses_lead_to_the_main_queue_and_one_does_not() {
        let mut policy = filled(10);
        policy.on_hit(0);
        policy.on_hit(1);
        policy.on_hit(1);
        assert_eq!(policy.victim(Some(10)), Some(0));
        policy.on_recycle(0, 0, 10);
        assert_eq!(policy.victim(Some(11)), Some(2)); // 1 has moved, and lost its uses
        assert!(policy.grades().contains(&(1, MOST_USES + 1)));
        assert_eq!(policy.left.iter(0).collect::<Vec<_>>(), [0]);
        policy.check(10).expect("consistent");
    }

    #[test]
    fn a_remembered_key_comes_into_the_main_queue() {
        let mut policy = filled(10);
        let slot = policy.victim(Some(10)).expect("full");
        policy.on_recycle(slot, 0, 10);
        let slot = policy.victim(Some(0)).expect("full");
        policy.on_recycle(slot, 1, 0);
        assert_eq!(policy.grades().last(), Some(&(1, MOST_USES + 1)));
        assert_eq!(policy.left.iter(0).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn uses_give_another_round_in_the_main_queue() {
        let mut policy = S3Fifo::default();
        policy.reserve(20).expect("small");
        let main = |uses| MOST_USES + 1 + uses;
        let uses = |slot| if slot == 0 { 2 } else { 0 };
        policy.restore((0..20).map(|slot| (slot, slot.into(), main(uses(slot)))));
        assert_eq!(policy.victim(None), Some(1));
        policy.on_evict(1, 1);
        assert_eq!(
            policy.left.total(),
            0,
            "what leaves the main queue is not remembered"
        );
        assert_eq!(policy.grades().last(), Some(&(0, main(1))));
    }

    #[test]
    fn a_named_victim_that_is_used_is_not_one() {
        let mut policy = filled(10);
        assert_eq!(policy.victim(None), Some(0));
        policy.on_hit(0);
        assert_eq!(policy.victim(None), Some(0));
        policy.on_hit(0);
        assert_eq!(policy.victim(None), Some(1));
    }
}
