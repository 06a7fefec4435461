//! Least frequently used, counting only while an item is cached.
//!
//! Source: Shah, Mitra, Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme"
//! (2010): a list of buckets, one per use count, each a list of slots. Among slots of one count the
//! one that reached it first leaves first.
//! Invariants: buckets ascend strictly by count; none is empty; inserting, reading and replacing
//! each count as one use.

use std::collections::TryReserveError;

use super::Policy;
use crate::Slot;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Item {
    prev: Slot,
    next: Slot,
    bucket: u32,
}

const OUT: Item = Item {
    prev: NONE,
    next: NONE,
    bucket: NONE,
};

#[derive(Clone, Copy, Debug)]
struct Bucket {
    count: u64,
    first: Slot,
    last: Slot,
    prev: u32,
    next: u32,
}

/// LFU order. Bucket 0 is the sentinel with count 0; freed buckets are chained through `next`.
#[derive(Clone, Debug, Default)]
pub struct Lfu {
    items: Vec<Item>,
    buckets: Vec<Bucket>,
    free: u32,
}

impl Lfu {
    /// The buckets in ascending order of use count, each with its slots, oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, Vec<Slot>)> + '_ {
        let first = self.buckets.first().map_or(0, |sentinel| sentinel.next);
        std::iter::successors((first != 0).then_some(first), |&at| {
            let next = self.buckets[at as usize].next;
            (next != 0).then_some(next)
        })
        .map(|at| {
            let bucket = self.buckets[at as usize];
            let slots = std::iter::successors(Some(bucket.first), |&slot| {
                let next = self.items[slot as usize].next;
                (next != NONE).then_some(next)
            });
            (bucket.count, slots.collect())
        })
    }

    /// Fills a slot with a use count of its own; slots must come in ascending order of count.
    pub fn restore(&mut self, slot: Slot, count: u64) {
        let last = self.buckets[0].prev;
        let bucket = if self.buckets[last as usize].count == count && last != 0 {
            last
        } else {
            self.new_bucket(count, last)
        };
        self.append(slot, bucket);
    }

    fn new_bucket(&mut self, count: u64, after: u32) -> u32 {
        let next = self.buckets[after as usize].next;
        let bucket = Bucket {
            count,
            first: NONE,
            last: NONE,
            prev: after,
            next,
        };
        let at = if self.free == 0 {
            // Never reallocates: `reserve` keeps one bucket per slot and the sentinel.
            self.buckets.push(bucket);
            self.buckets.len() as u32 - 1
        } else {
            let at = self.free;
            self.free = self.buckets[at as usize].next;
            self.buckets[at as usize] = bucket;
            at
        };
        self.buckets[after as usize].next = at;
        self.buckets[next as usize].prev = at;
        at
    }

    fn append(&mut self, slot: Slot, bucket: u32) {
        let last = self.buckets[bucket as usize].last;
        self.items[slot as usize] = Item {
            prev: last,
            next: NONE,
            bucket,
        };
        if last == NONE {
            self.buckets[bucket as usize].first = slot;
        } else {
            self.items[last as usize].next = slot;
        }
        self.buckets[bucket as usize].last = slot;
    }

    /// Takes a slot out of its bucket, and the bucket out of the list if that empties it.
    fn detach(&mut self, slot: Slot) {
        let Item { prev, next, bucket } = self.items[slot as usize];
        match prev {
            NONE => self.buckets[bucket as usize].first = next,
            _ => self.items[prev as usize].next = next,
        }
        match next {
            NONE => self.buckets[bucket as usize].last = prev,
            _ => self.items[next as usize].prev = prev,
        }
        if prev == NONE && next == NONE {
            let Bucket {
                prev: before,
                next: after,
                ..
            } = self.buckets[bucket as usize];
            self.buckets[before as usize].next = after;
            self.buckets[after as usize].prev = before;
            self.buckets[bucket as usize].next = self.free;
            self.free = bucket;
        }
    }
}

impl Policy for Lfu {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.items.len() < slots {
            self.items.try_reserve(slots - self.items.len())?;
            // One more than slots and sentinel: a slot that moves up needs its new bucket before
            // the old one is freed.
            let buckets = slots + 2;
            self.buckets.try_reserve(buckets - self.buckets.len())?;
            self.items.resize(slots, OUT);
            if self.buckets.is_empty() {
                self.buckets.push(Bucket {
                    count: 0,
                    first: NONE,
                    last: NONE,
                    prev: 0,
                    next: 0,
                });
            }
        }
        Ok(())
    }

    fn on_insert(&mut self, slot: Slot, _hash: u64) {
        let first = self.buckets[0].next;
        let bucket = if first != 0 && self.buckets[first as usize].count == 1 {
            first
        } else {
            self.new_bucket(1, 0)
        };
        self.append(slot, bucket);
    }

    #[inline]
    fn on_hit(&mut self, slot: Slot) {
        let at = self.items[slot as usize].bucket;
        let Bucket {
            count,
            first,
            last,
            next,
            ..
        } = self.buckets[at as usize];
        if next != 0 && self.buckets[next as usize].count == count + 1 {
            self.detach(slot);
            self.append(slot, next);
        } else if first == last {
            self.buckets[at as usize].count = count + 1;
        } else {
            let bucket = self.new_bucket(count + 1, at);
            self.detach(slot);
            self.append(slot, bucket);
        }
    }

    #[inline]
    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.detach(slot);
        self.items[slot as usize] = OUT;
    }

    #[inline]
    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        let first = self.buckets.first()?.next;
        (first != 0).then(|| self.buckets[first as usize].first)
    }

    fn ranking(&self) -> Vec<Slot> {
        self.buckets().flat_map(|(_, slots)| slots).collect()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.items.capacity() * size_of::<Item>() + self.buckets.capacity() * size_of::<Bucket>()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        let mut previous = 0;
        let mut seen = 0;
        for (count, slots) in self.buckets() {
            if count <= previous {
                return Err(format!("lfu: count {count} follows {previous}"));
            }
            previous = count;
            let mut before = NONE;
            for slot in slots {
                if self.items[slot as usize].prev != before {
                    return Err(format!("lfu: slot {slot} does not point back to {before}"));
                }
                before = slot;
                seen += 1;
            }
        }
        if seen == len {
            Ok(())
        } else {
            Err(format!("lfu: {seen} slots, expected {len}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(slots: u32) -> Lfu {
        let mut policy = Lfu::default();
        policy.reserve(slots as usize).expect("small");
        for slot in 0..slots {
            policy.on_insert(slot, 0);
        }
        policy
    }

    fn dump(policy: &Lfu) -> Vec<(u64, Vec<Slot>)> {
        policy.buckets().collect()
    }

    #[test]
    fn a_hit_moves_a_slot_to_the_next_count() {
        let mut policy = filled(3);
        policy.on_hit(1);
        assert_eq!(dump(&policy), [(1, vec![0, 2]), (2, vec![1])]);
        policy.on_hit(2);
        assert_eq!(dump(&policy), [(1, vec![0]), (2, vec![1, 2])]);
        policy.on_hit(0);
        assert_eq!(dump(&policy), [(2, vec![1, 2, 0])]);
        policy.check(3).expect("consistent");
    }

    #[test]
    fn ties_leave_in_the_order_in_which_they_reached_the_count() {
        let mut policy = filled(3);
        for slot in [2, 1, 0] {
            policy.on_hit(slot);
        }
        assert_eq!(policy.victim(None), Some(2));
        policy.on_remove(2);
        assert_eq!(policy.victim(None), Some(1));
        policy.check(2).expect("consistent");
    }

    #[test]
    fn a_lone_slot_keeps_its_bucket() {
        let mut policy = filled(1);
        for _ in 0..1000 {
            policy.on_hit(0);
        }
        assert_eq!(dump(&policy), [(1001, vec![0])]);
        assert!(policy.buckets.len() <= 3);
    }
}
