//! The policies that are plain lists: FIFO, LRU, LFU and random.

use overdrive_core::Slot;
use overdrive_core::policy::{Fifo, Lfu, Lru, Policy, Random};
use overdrive_core::ring::Ring;
use proptest::prelude::*;

const SLOTS: u32 = 12;

#[derive(Clone, Copy, Debug)]
enum Op {
    Use(Slot),
    Replace(Slot),
    Remove(Slot),
    Recycle(Slot),
    Evict,
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let slot = 0..SLOTS;
    let op = prop_oneof![
        8 => slot.clone().prop_map(Op::Use),
        4 => slot.clone().prop_map(Op::Replace),
        2 => slot.clone().prop_map(Op::Remove),
        2 => slot.prop_map(Op::Recycle),
        2 => Just(Op::Evict),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 1..200)
}

/// A policy as a plain list, next victim first.
trait Model: Default {
    fn insert(&mut self, slot: Slot);
    fn hit(&mut self, slot: Slot);
    fn replace(&mut self, slot: Slot);
    fn remove(&mut self, slot: Slot);
    fn victim(&self) -> Option<Slot>;
    fn contains(&self, slot: Slot) -> bool;
    fn len(&self) -> usize;
}

/// Runs the operations on both and compares the victim after every step.
fn agree<P: Policy + Default, M: Model>(ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut policy, mut model) = (P::default(), M::default());
    for &op in ops {
        policy.reserve(SLOTS as usize).expect("small");
        match op {
            Op::Use(slot) | Op::Replace(slot) if !model.contains(slot) => {
                policy.on_insert(slot, u64::from(slot));
                model.insert(slot);
            }
            Op::Use(slot) => {
                policy.on_hit(slot);
                model.hit(slot);
            }
            Op::Replace(slot) => {
                policy.on_replace(slot);
                model.replace(slot);
            }
            Op::Remove(slot) if model.contains(slot) => {
                policy.on_remove(slot);
                model.remove(slot);
            }
            Op::Recycle(slot) if model.contains(slot) => {
                policy.on_recycle(slot, u64::from(slot), u64::from(slot));
                model.remove(slot);
                model.insert(slot);
            }
            Op::Remove(_) | Op::Recycle(_) => {}
            Op::Evict => {
                if let Some(slot) = model.victim() {
                    prop_assert_eq!(policy.victim(None), Some(slot));
                    policy.on_remove(slot);
                    model.remove(slot);
                }
            }
            Op::Clear => {
                policy.clear();
                model = M::default();
            }
        }
        prop_assert_eq!(policy.check(model.len()), Ok(()));
        prop_assert_eq!(policy.victim(None), model.victim());
    }
    Ok(())
}

#[derive(Default)]
struct FifoModel(Vec<Slot>);

impl Model for FifoModel {
    fn insert(&mut self, slot: Slot) {
        self.0.push(slot);
    }
    fn hit(&mut self, _slot: Slot) {}
    fn replace(&mut self, slot: Slot) {
        self.remove(slot);
        self.insert(slot);
    }
    fn remove(&mut self, slot: Slot) {
        self.0.retain(|&other| other != slot);
    }
    fn victim(&self) -> Option<Slot> {
        self.0.first().copied()
    }
    fn contains(&self, slot: Slot) -> bool {
        self.0.contains(&slot)
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[derive(Default)]
struct LruModel(FifoModel);

impl Model for LruModel {
    fn insert(&mut self, slot: Slot) {
        self.0.insert(slot);
    }
    fn hit(&mut self, slot: Slot) {
        self.0.replace(slot);
    }
    fn replace(&mut self, slot: Slot) {
        self.0.replace(slot);
    }
    fn remove(&mut self, slot: Slot) {
        self.0.remove(slot);
    }
    fn victim(&self) -> Option<Slot> {
        self.0.victim()
    }
    fn contains(&self, slot: Slot) -> bool {
        self.0.contains(slot)
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Slots with their use count and the time at which they reached it.
#[derive(Default)]
struct LfuModel {
    uses: Vec<(u64, u64, Slot)>,
    time: u64,
}

impl Model for LfuModel {
    fn insert(&mut self, slot: Slot) {
        self.time += 1;
        self.uses.push((1, self.time, slot));
    }
    fn hit(&mut self, slot: Slot) {
        self.time += 1;
        let time = self.time;
        for entry in self.uses.iter_mut().filter(|entry| entry.2 == slot) {
            *entry = (entry.0 + 1, time, slot);
        }
    }
    fn replace(&mut self, slot: Slot) {
        self.hit(slot);
    }
    fn remove(&mut self, slot: Slot) {
        self.uses.retain(|entry| entry.2 != slot);
    }
    fn victim(&self) -> Option<Slot> {
        self.uses.iter().min().map(|entry| entry.2)
    }
    fn contains(&self, slot: Slot) -> bool {
        self.uses.iter().any(|entry| entry.2 == slot)
    }
    fn len(&self) -> usize {
        self.uses.len()
    }
}

/// The drawing list: the last slot takes the place of a removed one. Nothing is ever the victim.
#[derive(Default)]
struct RandomModel(Vec<Slot>);

impl Model for RandomModel {
    fn insert(&mut self, slot: Slot) {
        self.0.push(slot);
    }
    fn hit(&mut self, _slot: Slot) {}
    fn replace(&mut self, _slot: Slot) {}
    fn remove(&mut self, slot: Slot) {
        let at = self.0.iter().position(|&other| other == slot);
        self.0
            .swap_remove(at.expect("only slots that are in are removed"));
    }
    fn victim(&self) -> Option<Slot> {
        None
    }
    fn contains(&self, slot: Slot) -> bool {
        self.0.contains(&slot)
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

proptest! {
    #[test]
    fn fifo_evicts_what_was_written_first(ops in ops()) {
        agree::<Fifo, FifoModel>(&ops)?;
    }

    #[test]
    fn lru_evicts_what_was_used_longest_ago(ops in ops()) {
        agree::<Lru, LruModel>(&ops)?;
    }

    #[test]
    fn lfu_evicts_what_was_used_least(ops in ops()) {
        agree::<Lfu, LfuModel>(&ops)?;
    }

    #[test]
    fn random_keeps_its_drawing_list(ops in ops()) {
        agree::<Random, RandomModel>(&ops)?;
        let (mut policy, mut model) = (Random::default(), RandomModel::default());
        policy.reserve(SLOTS as usize).expect("small");
        for op in ops {
            match op {
                Op::Use(slot) if !model.contains(slot) => {
                    policy.on_insert(slot, u64::from(slot));
                    model.insert(slot);
                }
                Op::Remove(slot) if model.contains(slot) => {
                    policy.on_remove(slot);
                    model.remove(slot);
                }
                _ => {}
            }
            prop_assert_eq!(policy.list(), &model.0[..]);
        }
    }

    #[test]
    fn a_ring_is_a_list(ops in ops()) {
        let (mut ring, mut list) = (Ring::<8>::new(), Vec::new());
        for op in ops {
            ring.reserve(SLOTS as usize).expect("small");
            match op {
                Op::Use(slot) | Op::Replace(slot) => {
                    if list.contains(&slot) {
                        ring.move_to_back(slot);
                        list.retain(|&other| other != slot);
                    } else {
                        ring.push_back(slot);
                    }
                    list.push(slot);
                }
                Op::Remove(slot) | Op::Recycle(slot) if list.contains(&slot) => {
                    ring.remove(slot);
                    list.retain(|&other| other != slot);
                }
                Op::Clear => {
                    ring.clear();
                    list.clear();
                }
                _ => {}
            }
            prop_assert_eq!(ring.iter().collect::<Vec<_>>(), &list[..]);
            prop_assert_eq!(ring.check(list.len()), Ok(()));
            prop_assert_eq!(ring.back(), list.last().copied());
        }
    }
}
