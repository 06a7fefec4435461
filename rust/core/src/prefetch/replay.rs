//! What prefetching would have done to a cache: LRU, items of size one, a cold start, every miss is stored.

use std::collections::{TryReserveError, VecDeque};

use super::{Config, Predictor};
use crate::Slot;
use crate::policy::{Lru, Policy};
use crate::trace::Trace;

const OUT: Slot = Slot::MAX;

/// What came of the requests replayed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests replayed.
    pub requests: u64,
    /// Those for a key that was in.
    pub hits: u64,
    /// Keys fetched before they were asked for.
    pub issued: u64,
    /// Of these, those that were asked for while they were in.
    pub used: u64,
    /// Of these, those that left before.
    pub wasted: u64,
    /// Of these, those that were asked for before they had come.
    pub late: u64,
}

/// A replay that is under way.
#[derive(Debug)]
pub struct Replay {
    predictor: Option<Predictor>,
    policy: Lru,
    /// By key: its slot, or `OUT`.
    slots: Vec<Slot>,
    /// By slot: its key, and whether it was fetched and not asked for since.
    held: Vec<(u32, bool)>,
    /// Whether a key is being fetched, by key.
    fetching: Vec<bool>,
    /// When what is being fetched is there, the next first.
    arrivals: VecDeque<(u64, u32)>,
    proposals: Vec<u64>,
    size: usize,
    delay: u64,
    tally: Tally,
}

impl Replay {
    /// An empty cache of `size` keys, 1 at least, where what was fetched at a request is there `delay`
    /// requests later, 1 at least. Without a predictor nothing is fetched ahead.
    pub fn new(
        trace: &Trace,
        size: usize,
        delay: u64,
        config: Option<Config>,
    ) -> Result<Self, TryReserveError> {
        let size = size.max(1);
        let used = size.min(trace.keys());
        let mut policy = Lru::default();
        policy.reserve(used)?;
        let mut slots = Vec::new();
        slots.try_reserve_exact(trace.keys())?;
        slots.resize(trace.keys(), OUT);
        let mut fetching = Vec::new();
        fetching.try_reserve_exact(trace.keys())?;
        fetching.resize(trace.keys(), false);
        let mut held = Vec::new();
        held.try_reserve_exact(used)?;
        Ok(Self {
            predictor: config.map(Predictor::new).transpose()?,
            policy,
            slots,
            held,
            fetching,
            arrivals: VecDeque::new(),
            proposals: Vec::new(),
            size,
            delay: delay.max(1),
            tally: Tally::default(),
        })
    }

    /// Replays the next requests, a number of them at most, each made by the context in `contexts` at the same
    /// place (or all by one); `false` when there are no more. Always to be given the same trace.
    pub fn step(&mut self, trace: &Trace, contexts: Option<&[u64]>, requests: usize) -> bool {
        let from = self.tally.requests as usize;
        let to = trace.len().min(from.saturating_add(requests));
        for at in from..to {
            let context = contexts.and_then(|contexts| contexts.get(at));
            self.request(context.copied().unwrap_or(0), trace.ids()[at]);
        }
        to < trace.len()
    }

    /// What came of it so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The predictor, as it is now.
    pub fn predictor(&self) -> Option<&Predictor> {
        self.predictor.as_ref()
    }

    fn request(&mut self, context: u64, id: u32) {
        let now = self.tally.requests;
        self.tally.requests += 1;
        self.arrive(now);
        let slot = self.slots[id as usize];
        let hit = slot != OUT;
        if hit {
            self.hit(slot);
        } else {
            self.miss(id);
        }
        let Some(predictor) = &mut self.predictor else {
            return;
        };
        self.proposals.clear();
        let proposals = predictor.observe(context, u64::from(id), hit);
        self.proposals.extend_from_slice(proposals);
        for at in 0..self.proposals.len() {
            let hash = self.proposals[at];
            let next = hash as usize;
            if self.slots[next] == OUT && !self.fetching[next] {
                self.tally.issued += 1;
                self.fetching[next] = true;
                self.arrivals.push_back((now + self.delay, hash as u32));
                self.tell(|predictor| predictor.issued(hash));
            }
        }
    }

    fn hit(&mut self, slot: Slot) {
        self.tally.hits += 1;
        self.policy.on_hit(slot);
        let (id, fetched) = &mut self.held[slot as usize];
        if std::mem::take(fetched) {
            let hash = u64::from(*id);
            self.tally.used += 1;
            self.tell(|predictor| predictor.used(hash));
        }
    }

    fn miss(&mut self, id: u32) {
        // Whoever asks does not wait for what is on its way, which then finds the key in the cache.
        if std::mem::take(&mut self.fetching[id as usize]) {
            self.tally.late += 1;
            self.tell(|predictor| predictor.late(u64::from(id)));
        }
        self.store(id, false);
    }

    fn arrive(&mut self, now: u64) {
        while let Some(&(at, id)) = self.arrivals.front()
            && at <= now
        {
            self.arrivals.pop_front();
            if std::mem::take(&mut self.fetching[id as usize]) {
                self.store(id, true);
            }
        }
    }

    fn store(&mut self, id: u32, fetched: bool) {
        let hash = u64::from(id);
        if self.held.len() < self.size {
            let slot = self.held.len() as Slot;
            self.held.push((id, fetched));
            self.slots[id as usize] = slot;
            self.policy.on_insert(slot, hash);
            return;
        }
        let slot = self
            .policy
            .victim(Some(hash))
            .expect("a full cache has a victim");
        let (old, unused) = std::mem::replace(&mut self.held[slot as usize], (id, fetched));
        self.slots[old as usize] = OUT;
        self.slots[id as usize] = slot;
        self.policy.on_recycle(slot, u64::from(old), hash);
        if unused {
            self.tally.wasted += 1;
            self.tell(|predictor| predictor.wasted(u64::from(old)));
        }
    }

    fn tell(&mut self, what: impl FnOnce(&mut Predictor)) {
        if let Some(predictor) = &mut self.predictor {
            what(predictor);
        }
    }
}
