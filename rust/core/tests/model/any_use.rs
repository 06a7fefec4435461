//! What holds for every policy whatever is done with it: also where no paper says what should.

use std::collections::HashMap;

use overdrive_core::Slot;
use overdrive_core::policy::{Adaptive, Arc, Graded, Lirs, S3Fifo, Sieve, TwoQ, WTinyLfu};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Request(u64),
    Replace(u64),
    Delete(u64),
    PopItem,
    /// Room for so many, from now on.
    Resize(usize),
    /// The newcomer takes the room of several.
    Heavy(u64),
    /// A victim is asked for and stays.
    Ask(Option<u64>),
    Clear,
    Restore,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0..40_u64;
    let op = prop_oneof![
        20 => key.clone().prop_map(Op::Request),
        3 => key.clone().prop_map(Op::Replace),
        2 => key.clone().prop_map(Op::Delete),
        2 => Just(Op::PopItem),
        1 => (1..20_usize).prop_map(Op::Resize),
        1 => key.clone().prop_map(Op::Heavy),
        2 => prop::option::of(key).prop_map(Op::Ask),
        1 => Just(Op::Restore),
    ];
    let rarely = prop_oneof![60 => op, 1 => Just(Op::Clear)];
    prop::collection::vec(rarely, 1..300)
}

/// What a cache does with a policy.
struct Cache<P> {
    policy: P,
    slots: HashMap<u64, Slot>,
    keys: HashMap<Slot, u64>,
    capacity: usize,
}

impl<P: Graded + Clone> Cache<P> {
    fn evict(&mut self, newcomer: Option<u64>) {
        let victim = self.policy.victim(newcomer);
        assert_eq!(self.policy.victim(newcomer), victim, "asked again");
        let slot = victim.expect("there is always one to evict");
        let key = self.keys.remove(&slot).expect("victims are in");
        self.slots.remove(&key);
        self.policy.on_evict(slot, key);
        self.policy
            .check(self.keys.len())
            .expect("after an eviction");
    }

    fn insert(&mut self, key: u64, room: usize) {
        while self.slots.len() + room > self.capacity && !self.slots.is_empty() {
            self.evict(Some(key));
        }
        let slot = (0..)
            .find(|slot| !self.keys.contains_key(slot))
            .expect("slots are few");
        self.policy.reserve(slot as usize + 1).expect("small");
        self.policy.on_insert(slot, key);
        self.slots.insert(key, slot);
        self.keys.insert(slot, key);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Request(key) | Op::Replace(key) | Op::Heavy(key)
                if !self.slots.contains_key(&key) =>
            {
                self.insert(key, if matches!(op, Op::Heavy(_)) { 4 } else { 1 });
            }
            Op::Request(key) | Op::Heavy(key) => self.policy.on_hit(self.slots[&key]),
            Op::Replace(key) => self.policy.on_replace(self.slots[&key]),
            Op::Delete(key) => {
                if let Some(slot) = self.slots.remove(&key) {
                    self.keys.remove(&slot);
                    self.policy.on_remove(slot);
                }
            }
            Op::PopItem => {
                if !self.slots.is_empty() {
                    self.evict(None);
                }
            }
            Op::Resize(capacity) => {
                self.capacity = capacity;
                while self.slots.len() > capacity {
                    self.evict(None);
                }
            }
            Op::Ask(newcomer) => {
                self.policy.victim(newcomer);
            }
            Op::Clear => {
                self.policy.clear();
                self.slots.clear();
                self.keys.clear();
                assert_eq!(self.policy.victim(None), None);
            }
            Op::Restore => self.restore(),
        }
    }

    /// Goes on with a policy that was made anew from the grades of the old one.
    fn restore(&mut self) {
        let grades = self.policy.grades();
        let mut restored = P::default();
        let top = self.keys.keys().max().map_or(0, |&slot| slot as usize + 1);
        restored.reserve(top).expect("small");
        assert!(grades.iter().all(|&(_, grade)| grade < P::GRADES));
        restored.restore(
            grades
                .iter()
                .map(|&(slot, grade)| (slot, self.keys[&slot], grade)),
        );
        restored.check(self.keys.len()).expect("after restoring");
        self.policy = restored;
    }

    fn check(&self) {
        self.policy.check(self.keys.len()).expect("consistent");
        let ranking = self.policy.ranking();
        assert_eq!(ranking.first().copied(), self.policy.clone().victim(None));
        let mut sorted = ranking;
        sorted.sort_unstable();
        let mut slots: Vec<Slot> = self.keys.keys().copied().collect();
        slots.sort_unstable();
        assert_eq!(sorted, slots, "every slot is ranked once");
    }
}

fn run<P: Graded + Clone>(ops: &[Op]) {
    let mut cache = Cache {
        policy: P::default(),
        slots: HashMap::new(),
        keys: HashMap::new(),
        capacity: 10,
    };
    assert_eq!(cache.policy.victim(None), None);
    for &op in ops {
        cache.run(op);
        cache.check();
    }
}

proptest! {
    #[test]
    fn arc(ops in ops()) { run::<Arc>(&ops); }

    #[test]
    fn two_q(ops in ops()) { run::<TwoQ>(&ops); }

    #[test]
    fn s3_fifo(ops in ops()) { run::<S3Fifo>(&ops); }

    #[test]
    fn sieve(ops in ops()) { run::<Sieve>(&ops); }

    #[test]
    fn lirs(ops in ops()) { run::<Lirs>(&ops); }

    #[test]
    fn w_tiny_lfu(ops in ops()) { run::<WTinyLfu>(&ops); }

    #[test]
    fn adaptive(ops in ops()) { run::<Adaptive>(&ops); }
}
