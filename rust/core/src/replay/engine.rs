//! Any policy, replayed at the speed of its own bookkeeping: where a key is, an array says.

use std::collections::TryReserveError;
use std::time::Instant;

use super::{Replay, Tally};
use crate::Slot;
use crate::policy::Policy;
use crate::trace::Trace;

const OUT: Slot = Slot::MAX;

/// A cache of keys that are numbers, and its tally.
#[derive(Debug)]
pub struct Engine<P> {
    policy: P,
    /// By key: its slot, or `OUT`.
    slots: Vec<Slot>,
    /// By slot: its key.
    keys: Vec<u32>,
    size: usize,
    tally: Tally,
}

impl<P: Policy> Engine<P> {
    /// An empty cache of `size` keys, 1 at least, for `keys` different ones.
    pub fn new(mut policy: P, keys: usize, size: usize) -> Result<Self, TryReserveError> {
        let size = size.max(1);
        let used = size.min(keys);
        let mut slots = Vec::new();
        slots.try_reserve_exact(keys)?;
        slots.resize(keys, OUT);
        let mut held = Vec::new();
        held.try_reserve_exact(used)?;
        policy.reserve(used)?;
        Ok(Self {
            policy,
            slots,
            keys: held,
            size,
            tally: Tally::default(),
        })
    }

    /// Replays some requests and returns how many of them were hits.
    pub fn replay(&mut self, ids: &[u32]) -> u64 {
        let mut hits = 0;
        for &id in ids {
            let slot = self.slots[id as usize];
            if slot == OUT {
                self.miss(id);
            } else {
                hits += 1;
                self.policy.on_hit(slot);
            }
        }
        hits
    }

    #[inline(always)]
    fn miss(&mut self, id: u32) {
        // The hash of a number is the number itself, as in Python: policies mix what they are given.
        let hash = u64::from(id);
        if self.keys.len() < self.size {
            let slot = self.keys.len() as Slot;
            self.keys.push(id);
            self.slots[id as usize] = slot;
            self.policy.on_insert(slot, hash);
            return;
        }
        let slot = self
            .policy
            .victim(Some(hash))
            .expect("a full cache has a victim");
        let old = std::mem::replace(&mut self.keys[slot as usize], id);
        self.slots[old as usize] = OUT;
        self.slots[id as usize] = slot;
        self.tally.evictions += 1;
        self.policy.on_recycle(slot, u64::from(old), hash);
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        &self.policy
    }
}

impl<P: Policy + Send> Replay for Engine<P> {
    fn step(&mut self, trace: &Trace, requests: usize) -> bool {
        let from = self.tally.requests as usize;
        let to = trace.len().min(from.saturating_add(requests));
        let began = Instant::now();
        self.tally.hits += self.replay(&trace.ids()[from..to]);
        self.tally.nanoseconds += began.elapsed().as_nanos() as u64;
        self.tally.requests = to as u64;
        to < trace.len()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Fifo, Lfu, Lru};

    fn hits<P: Policy + Default>(keys: &str, size: usize) -> (u64, u64) {
        let trace: Trace = keys.bytes().map(u64::from).collect();
        let mut engine = Engine::new(P::default(), trace.keys(), size).expect("small");
        let hits = engine.replay(trace.ids());
        engine
            .policy()
            .check(size.min(trace.keys()))
            .expect("consistent");
        (hits, engine.tally.evictions)
    }

    #[test]
    fn replays_are_those_done_by_hand() {
        // lru: a- b- c- a+ d-(b) b-(c) a+   fifo: a- b- c- a+ d-(a) b+ a-(b)
        assert_eq!(hits::<Lru>("abcadba", 3), (2, 2));
        assert_eq!(hits::<Fifo>("abcadba", 3), (2, 2));
        // fifo: a- b- a+ c-(a) a-(b) b-(c)   lru: a- b- a+ c-(b) a+ b-(c)   lfu: the same
        assert_eq!(hits::<Fifo>("abacab", 2), (1, 3));
        assert_eq!(hits::<Lru>("abacab", 2), (2, 2));
        assert_eq!(hits::<Lfu>("abacab", 2), (2, 2));
    }

    #[test]
    fn a_cache_that_holds_all_keys_evicts_none() {
        assert_eq!(hits::<Lru>("abcabc", 3), (3, 0));
        assert_eq!(hits::<Lru>("abcabc", 1000), (3, 0));
    }

    #[test]
    fn steps_add_up() {
        let trace: Trace = (0..1000_u64).map(|at| at * at % 97).collect();
        let whole = Engine::new(Lru::default(), trace.keys(), 20)
            .expect("small")
            .replay(trace.ids());
        let mut engine = Engine::new(Lru::default(), trace.keys(), 20).expect("small");
        let mut steps = 1;
        while engine.step(&trace, 64) {
            steps += 1;
        }
        assert_eq!(
            (engine.tally().hits, engine.tally().requests, steps),
            (whole, 1000, 16)
        );
    }
}
