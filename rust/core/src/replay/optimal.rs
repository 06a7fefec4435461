//! The optimal replacement: the key that is requested again last leaves. No policy hits more often.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer" (IBM Systems
//! Journal, 1966). Every miss is stored, as in the caches it is compared with.
//!
//! Each key that is in is marked at the time of its next request. Times are different for different
//! keys, so the largest mark is the victim; keys that are never requested again leave before all
//! others.

use std::collections::TryReserveError;
use std::time::Instant;

use super::marks::Marks;
use super::{Replay, Tally};
use crate::trace::Trace;

const NEVER: u32 = u32::MAX;

/// A replay that knows the future.
#[derive(Debug)]
pub struct Optimal {
    /// By time: when the key requested then is requested next.
    next: Vec<u32>,
    /// By key: before the replay, the next request known of; then, whether the key is in.
    keys: Vec<u32>,
    /// Times not looked at yet: `next` is made from the end.
    unknown: usize,
    marks: Marks,
    /// Keys that are in and not requested again.
    dead: Vec<u32>,
    held: usize,
    size: usize,
    tally: Tally,
}

const OUT: u32 = 0;
const IN: u32 = 1;

impl Optimal {
    /// An empty cache of `size` keys, 1 at least.
    pub fn new(trace: &Trace, size: usize) -> Result<Self, TryReserveError> {
        let size = size.max(1);
        let mut next = Vec::new();
        next.try_reserve_exact(trace.len())?;
        next.resize(trace.len(), NEVER);
        let mut keys = Vec::new();
        keys.try_reserve_exact(trace.keys())?;
        keys.resize(trace.keys(), NEVER);
        let mut dead = Vec::new();
        dead.try_reserve_exact(size.min(trace.keys()))?;
        Ok(Self {
            next,
            keys,
            unknown: trace.len(),
            marks: Marks::new(trace.len())?,
            dead,
            held: 0,
            size,
            tally: Tally::default(),
        })
    }

    /// Learns of the future, a number of requests at most; `false` when all is known.
    fn foresee(&mut self, trace: &Trace, requests: usize) -> bool {
        let from = self.unknown.saturating_sub(requests);
        for time in (from..self.unknown).rev() {
            let key = &mut self.keys[trace.ids()[time] as usize];
            self.next[time] = std::mem::replace(key, time as u32);
        }
        self.unknown = from;
        if from == 0 {
            self.keys.fill(OUT);
        }
        from > 0
    }

    fn request(&mut self, trace: &Trace, time: usize) {
        let key = trace.ids()[time];
        if self.keys[key as usize] == IN {
            self.tally.hits += 1;
            self.marks.clear(time);
        } else {
            if self.held == self.size {
                self.evict(trace);
            } else {
                self.held += 1;
            }
            self.keys[key as usize] = IN;
        }
        match self.next[time] {
            NEVER => self.dead.push(key),
            next => self.marks.set(next as usize),
        }
    }

    fn evict(&mut self, trace: &Trace) {
        let key = self.dead.pop().unwrap_or_else(|| {
            let last = self.marks.largest().expect("a full cache has a key");
            self.marks.clear(last);
            trace.ids()[last]
        });
        self.keys[key as usize] = OUT;
        self.tally.evictions += 1;
    }
}

impl Replay for Optimal {
    fn step(&mut self, trace: &Trace, requests: usize) -> bool {
        let began = Instant::now();
        if self.unknown > 0 {
            self.foresee(trace, requests);
        } else {
            let from = self.tally.requests as usize;
            let to = trace.len().min(from.saturating_add(requests));
            for time in from..to {
                self.request(trace, time);
            }
            self.tally.requests = to as u64;
        }
        self.tally.nanoseconds += began.elapsed().as_nanos() as u64;
        self.unknown > 0 || (self.tally.requests as usize) < trace.len()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::mix;

    fn hits(trace: &Trace, size: usize, step: usize) -> u64 {
        let mut replay = Optimal::new(trace, size).expect("small");
        while replay.step(trace, step) {}
        replay.tally().hits
    }

    /// The key that is in and whose next request is farthest, looked for one by one.
    fn by_definition(ids: &[u32], size: usize) -> u64 {
        let mut held: Vec<u32> = Vec::new();
        let mut hits = 0;
        for (time, &id) in ids.iter().enumerate() {
            if held.contains(&id) {
                hits += 1;
                continue;
            }
            if held.len() == size {
                let again = |key| {
                    ids[time..]
                        .iter()
                        .position(|&id| id == key)
                        .unwrap_or(usize::MAX)
                };
                let farthest = (0..size).max_by_key(|&at| again(held[at]));
                held.swap_remove(farthest.expect("a key is in"));
            }
            held.push(id);
        }
        hits
    }

    #[test]
    fn the_example_of_the_textbooks() {
        let keys = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
        let trace: Trace = keys.into_iter().collect();
        assert_eq!(hits(&trace, 3, usize::MAX), 11); // 9 faults
    }

    #[test]
    fn hits_are_those_of_the_definition() {
        for seed in 0..30 {
            let trace: Trace = (0..400)
                .map(|at| mix(seed * 1000 + at) % (5 + seed))
                .collect();
            for size in [1, 2, 5, 9] {
                assert_eq!(
                    hits(&trace, size, 64),
                    by_definition(trace.ids(), size),
                    "{seed} {size}"
                );
            }
        }
    }

    #[test]
    fn an_empty_trace_has_no_hits() {
        assert_eq!(hits(&Trace::default(), 3, 10), 0);
    }
}
