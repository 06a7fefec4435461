//! LIRS: what is asked for again soon is kept, whenever that was; the rest passes through.
//!
//! Source: Jiang, Zhang, "LIRS: An Efficient Low Inter-reference Recency Set Replacement Policy to
//! Improve Buffer Cache Performance" (SIGMETRICS 2002). A slot is LIR (kept) or HIR; HIR slots are in
//! a queue from which victims come, and have a hundredth of the room. The stack has the LIR slots and
//! what was used since the least recent of them, in order of use: HIR slots and, as ghosts, keys that
//! were evicted. Whatever is used while on the stack becomes LIR, and the least recent LIR slot HIR.
//! Differs: there are at most twice as many ghosts as slots; the earliest evicted is forgotten first.
//! Invariants: a slot is LIR (only on the stack) or in the queue; the bottom of the stack is LIR;
//! ghosts are on the stack.

use std::collections::TryReserveError;

use super::{Graded, LEAD, Policy, in_order_of_departure};
use crate::ghosts::Ghosts;
use crate::ring::Ring;
use crate::{MAX_SLOTS, Slot};

/// So many ghosts there may be for each slot.
const HISTORY: u32 = 2;
/// Places on the stack for each slot: itself and its share of ghosts.
const PLACES: u32 = 1 + HISTORY;

/// LIRS order.
#[derive(Clone, Debug, Default)]
pub struct Lirs {
    /// Places of slots and ghosts, least recently used first: the stack's bottom is the front.
    stack: Ring<{ LEAD * 2 }>,
    /// The HIR slots.
    queue: Ring<LEAD>,
    left: Ghosts<1>,
    lir: usize,
    hir: usize,
    capacity: usize,
}

/// What is at a place on the stack.
enum Occupant {
    Slot(Slot),
    Ghost(u32),
}

const fn place_of(slot: Slot) -> u32 {
    slot * PLACES
}

const fn place_of_ghost(number: u32) -> u32 {
    number / HISTORY * PLACES + 1 + number % HISTORY
}

const fn occupant(place: u32) -> Occupant {
    match (place / PLACES, place % PLACES) {
        (slot, 0) => Occupant::Slot(slot),
        (share, at) => Occupant::Ghost(share * HISTORY + at - 1),
    }
}

/// How many slots may be LIR.
fn kept(capacity: usize) -> usize {
    capacity - (capacity / 100).max(1).min(capacity)
}

impl Lirs {
    fn is_lir(&self, slot: Slot) -> bool {
        !self.queue.contains(slot)
    }

    fn enqueue(&mut self, slot: Slot) {
        self.queue.push_back(slot);
        self.hir += 1;
    }

    fn dequeue(&mut self, slot: Slot) {
        self.queue.remove(slot);
        self.hir -= 1;
    }

    fn len(&self) -> usize {
        self.lir + self.hir
    }

    /// Sees to it that the bottom of the stack is LIR and that there are not too many of those.
    fn settle(&mut self) {
        self.prune();
        while self.lir > kept(self.len()) {
            self.demote();
        }
    }

    /// The least recent LIR slot becomes HIR.
    fn demote(&mut self) {
        if let Some(place) = self.stack.front()
            && let Occupant::Slot(slot) = occupant(place)
        {
            self.stack.remove(place);
            self.lir -= 1;
            self.enqueue(slot);
        }
        self.prune();
    }

    /// Takes from the bottom of the stack what is not LIR.
    fn prune(&mut self) {
        while let Some(place) = self.stack.front() {
            match occupant(place) {
                Occupant::Slot(slot) if self.is_lir(slot) => break,
                Occupant::Slot(_) => {}
                Occupant::Ghost(number) => {
                    self.left.remove(self.left.hash(number));
                }
            }
            self.stack.remove(place);
        }
    }

    fn forget(&mut self, most: usize) {
        while self.left.total() > most {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, number)) = self.left.pop_oldest(0) {
            self.stack.remove(place_of_ghost(number));
        }
    }

    fn recall(&mut self, hash: u64) -> bool {
        let ghost = self.left.remove(hash);
        if let Some((_, number)) = ghost {
            self.stack.remove(place_of_ghost(number));
        }
        ghost.is_some()
    }
}

impl Policy for Lirs {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if slots >= MAX_SLOTS / PLACES as usize {
            // More places than a `u32` can name; no allocator has so much memory either.
            return Vec::<u64>::new().try_reserve(usize::MAX);
        }
        // One more: a victim becomes a ghost before the newcomer's ghost is forgotten.
        self.stack.reserve((slots + 1) * PLACES as usize)?;
        self.queue.reserve(slots)?;
        self.left.reserve(slots * HISTORY as usize + 1)
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        let known = self.recall(hash);
        self.stack.push_back(place_of(slot));
        if known || self.lir < kept(self.len() + 1) {
            self.lir += 1;
        } else {
            self.enqueue(slot);
        }
        self.settle();
        let capacity = self.capacity.max(self.len());
        self.forget(capacity * HISTORY as usize);
    }

    #[inline(never)]
    fn on_hit(&mut self, slot: Slot) {
        let place = place_of(slot);
        if self.is_lir(slot) {
            let bottom = self.stack.front() == Some(place);
            self.stack.move_to_back(place);
            if bottom {
                self.prune();
            }
        } else if self.stack.contains(place) {
            self.stack.move_to_back(place);
            self.dequeue(slot);
            self.lir += 1;
            self.settle();
        } else {
            self.stack.push_back(place);
            self.queue.move_to_back(slot);
            self.prune();
        }
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        if self.is_lir(slot) {
            self.lir -= 1;
        } else {
            self.dequeue(slot);
        }
        if self.stack.contains(place_of(slot)) {
            self.stack.remove(place_of(slot));
        }
        self.prune();
    }

    fn on_evict(&mut self, slot: Slot, hash: u64) {
        self.capacity = self.len();
        // Whatever has the hash of what leaves now would be forgotten by `push`, but not its place.
        self.recall(hash);
        if !self.is_lir(slot) && self.stack.contains(place_of(slot)) {
            if self.left.is_full() {
                self.forget_oldest();
            }
            if let Some(number) = self.left.push(0, hash) {
                self.stack
                    .substitute(place_of(slot), place_of_ghost(number));
            }
        }
        self.on_remove(slot);
        // A newcomer whose ghost will make room may follow.
        self.forget(self.capacity * HISTORY as usize + 1);
    }

    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        self.settle();
        self.queue.front()
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.stack.memory() + self.queue.memory() + self.left.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        self.queue.check(self.hir)?;
        self.left.check()?;
        let (mut lir, mut hir, mut ghosts) = (0, 0, 0);
        for (at, place) in self.stack.iter().enumerate() {
            match occupant(place) {
                Occupant::Slot(slot) if self.is_lir(slot) => lir += 1,
                _ if at == 0 => return Err("lirs: the bottom of the stack is not LIR".into()),
                Occupant::Slot(_) => hir += 1,
                Occupant::Ghost(number) => {
                    ghosts += 1;
                    let hash = self.left.hash(number);
                    if self.left.find(hash) != Some((0, number)) {
                        return Err(format!("lirs: place of ghost {number}, which is forgotten"));
                    }
                }
            }
        }
        self.stack.check(lir + hir + ghosts)?;
        if lir != self.lir || lir + self.hir != len || hir > self.hir {
            let (says, queued) = (self.lir, self.hir);
            return Err(format!(
                "lirs: {lir} LIR, says {says}; {hir} of {queued} HIR; expected {len}"
            ));
        }
        if ghosts != self.left.total() || ghosts > self.capacity.max(len) * HISTORY as usize + 1 {
            let total = self.left.total();
            return Err(format!(
                "lirs: {ghosts} ghosts on the stack, {total} in all"
            ));
        }
        Ok(())
    }
}

/// The grade says whether a slot is LIR. Those come first: restored HIR slots are all on the stack.
impl Graded for Lirs {
    const GRADES: u8 = 2;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let lir = self.stack.iter().filter_map(|place| match occupant(place) {
            Occupant::Slot(slot) if self.is_lir(slot) => Some((slot, 1)),
            _ => None,
        });
        lir.chain(self.queue.iter().map(|slot| (slot, 0))).collect()
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        for (slot, _, grade) in graded {
            self.stack.push_back(place_of(slot));
            if grade == 0 {
                self.enqueue(slot);
            } else {
                self.lir += 1;
            }
        }
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Slot = 1;
    const B: Slot = 0;
    const D: Slot = 2;
    const E: Slot = 2;

    /// The paper's Table 1 at time 10: three blocks fit, A and B are LIR, E is HIR, and D has left.
    fn table() -> Lirs {
        let mut policy = Lirs::default();
        policy.reserve(3).expect("small");
        policy.restore([(B, 0xB, 1), (A, 0xA, 1), (D, 0xD, 0)].into_iter());
        policy.on_hit(A);
        assert_eq!(policy.victim(Some(0xE)), Some(D));
        policy.on_recycle(E, 0xD, 0xE);
        policy.check(3).expect("consistent");
        policy
    }

    #[test]
    fn a_block_with_a_shorter_interval_takes_the_place_of_a_lir_block() {
        let mut policy = table();
        assert_eq!(policy.victim(Some(0xD)), Some(E));
        policy.on_recycle(D, 0xE, 0xD);
        assert_eq!(policy.grades(), [(A, 1), (D, 1), (B, 0)]);
        assert_eq!(policy.victim(None), Some(B));
        policy.check(3).expect("consistent");
    }

    #[test]
    fn a_block_of_which_nothing_is_known_is_hir() {
        let mut policy = table();
        assert_eq!(policy.victim(Some(0xC)), Some(E));
        policy.on_recycle(E, 0xE, 0xC);
        assert_eq!(policy.grades(), [(B, 1), (A, 1), (E, 0)]);
        assert_eq!(policy.left.iter(0).collect::<Vec<_>>(), [0xD, 0xE]);
        policy.check(3).expect("consistent");
    }

    #[test]
    fn the_stack_ends_at_the_least_recent_lir_block() {
        let mut policy = table(); // B, D (left), A, E
        assert_eq!(policy.left.total(), 1);
        policy.on_hit(B);
        assert_eq!(policy.left.total(), 0); // A, E, B
        policy.on_hit(E);
        assert_eq!(policy.grades(), [(B, 1), (E, 1), (A, 0)]);
        policy.check(3).expect("consistent");
    }

    #[test]
    fn the_history_is_bounded() {
        let mut policy = table();
        for key in 0..100 {
            let slot = policy.victim(Some(key)).expect("full");
            policy.on_recycle(slot, if key == 0 { 0xE } else { key - 1 }, key);
            policy.check(3).expect("consistent");
            assert!(policy.left.total() <= 6);
        }
        assert_eq!(
            policy.grades(),
            [(B, 1), (A, 1), (E, 0)],
            "a scan passes by"
        );
    }

    #[test]
    fn after_shrinking_a_hundredth_is_hir() {
        let mut policy = Lirs::default();
        policy.reserve(1000).expect("memory");
        (0..1000).for_each(|slot| policy.on_insert(slot, slot.into()));
        assert_eq!((policy.lir, policy.hir), (990, 10));
        for _ in 0..800 {
            let slot = policy.victim(None).expect("some");
            policy.on_evict(slot, slot.into());
        }
        policy.victim(None);
        assert_eq!((policy.lir, policy.hir), (198, 2));
    }
}
