//! The hashes of keys that were evicted, in the order in which they were.
//!
//! A ghost is a whole 64-bit hash: no key is kept alive or compared, and in practice no two keys
//! share a ghost. Ghosts are in one of several lists with a common bound. Twenty bytes a ghost, four
//! of them the link of its bucket's chain, and four for the bucket; pushing, finding, removing and
//! forgetting the oldest are O(1), and only `reserve` allocates.

use std::collections::TryReserveError;

use crate::spread;

/// More than these are not remembered, however large the cache: the upper bits of `chain` name the list.
const MOST: usize = 1 << 30;
const CHAIN: u32 = MOST as u32 - 1;
const LIST_SHIFT: u32 = 30;
/// Ends a chain.
const NONE: u32 = CHAIN;

#[derive(Clone, Copy, Debug)]
struct Node {
    // In halves, for an alignment of four.
    hash: [u32; 2],
    older: u32,
    newer: u32,
    /// The next node of the bucket or of the free ones, and the list in the upper two bits.
    chain: u32,
}

/// Remembered hashes in `LISTS` (at most four) lists, oldest to newest.
///
/// Nodes `0..LISTS` are the sentinels.
#[derive(Clone, Debug)]
pub struct Ghosts<const LISTS: usize> {
    nodes: Vec<Node>,
    buckets: Vec<u32>,
    free: u32,
    limit: u32,
    lens: [u32; LISTS],
}

impl<const LISTS: usize> Default for Ghosts<LISTS> {
    fn default() -> Self {
        const { assert!(LISTS <= 4) };
        Self {
            nodes: Vec::new(),
            buckets: Vec::new(),
            free: NONE,
            limit: 0,
            lens: [0; LISTS],
        }
    }
}

impl<const LISTS: usize> Ghosts<LISTS> {
    /// Makes room for `limit` ghosts in all lists together; on failure nothing has changed.
    pub fn reserve(&mut self, limit: usize) -> Result<(), TryReserveError> {
        let limit = limit.min(MOST - LISTS - 1);
        if limit <= self.limit as usize {
            return Ok(());
        }
        let nodes = limit + LISTS;
        self.nodes.try_reserve(nodes - self.nodes.len())?;
        if self.buckets.len() < limit {
            // As many buckets as nodes, so that both grow by doubling.
            let room = self.nodes.capacity().min(MOST) - self.buckets.len();
            self.buckets.try_reserve_exact(room)?;
            self.buckets.resize(self.buckets.len() + room, NONE);
            self.rehash();
        }
        if self.nodes.is_empty() {
            self.nodes.extend((0..LISTS as u32).map(|list| Node {
                hash: [0; 2],
                older: list,
                newer: list,
                chain: NONE,
            }));
        }
        self.limit = limit as u32;
        Ok(())
    }

    /// How many ghosts are in a list.
    #[inline]
    pub fn len(&self, list: usize) -> usize {
        self.lens[list] as usize
    }

    /// Whether another ghost would displace one.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.total() >= self.limit as usize
    }

    /// How many ghosts there are.
    #[inline]
    pub fn total(&self) -> usize {
        self.lens.iter().map(|&len| len as usize).sum()
    }

    /// The list that has this hash, and a number below the limit that is the ghost's alone.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<(usize, u32)> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.hash == halves(hash) {
                return Some(((node.chain >> LIST_SHIFT) as usize, at - LISTS as u32));
            }
            at = node.chain & CHAIN;
        }
        None
    }

    /// Remembers a hash as the newest of a list and returns its number; forgets the oldest of that
    /// list, or else of another, if there are as many as there may be.
    pub fn push(&mut self, list: usize, hash: u64) -> Option<u32> {
        self.remove(hash);
        if self.is_full() {
            let fullest = (0..LISTS).find(|&other| self.lens[other] > 0)?;
            self.pop_oldest(if self.lens[list] > 0 { list } else { fullest });
        }
        let at = if self.free == NONE {
            // Never reallocates: there is room for `limit` ghosts and the sentinels.
            let node = self.nodes[0];
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        } else {
            let at = self.free;
            self.free = self.nodes[at as usize].chain & CHAIN;
            at
        };
        let bucket = self.bucket(hash);
        let older = self.nodes[list].older;
        self.nodes[at as usize] = Node {
            hash: halves(hash),
            older,
            newer: list as u32,
            chain: self.buckets[bucket] | (list as u32) << LIST_SHIFT,
        };
        self.buckets[bucket] = at;
        self.nodes[older as usize].newer = at;
        self.nodes[list].older = at;
        self.lens[list] += 1;
        Some(at - LISTS as u32)
    }

    /// Forgets a hash; says which list had it and its number.
    pub fn remove(&mut self, hash: u64) -> Option<(usize, u32)> {
        if self.buckets.is_empty() {
            return None;
        }
        let bucket = self.bucket(hash);
        let mut before = NONE;
        let mut at = self.buckets[bucket];
        while at != NONE {
            let node = self.nodes[at as usize];
            if node.hash == halves(hash) {
                let rest = node.chain & CHAIN;
                if before == NONE {
                    self.buckets[bucket] = rest;
                } else {
                    let chain = &mut self.nodes[before as usize].chain;
                    *chain = *chain & !CHAIN | rest;
                }
                let list = (node.chain >> LIST_SHIFT) as usize;
                self.nodes[node.older as usize].newer = node.newer;
                self.nodes[node.newer as usize].older = node.older;
                self.nodes[at as usize].chain = self.free;
                self.free = at;
                self.lens[list] -= 1;
                return Some((list, at - LISTS as u32));
            }
            before = at;
            at = node.chain & CHAIN;
        }
        None
    }

    /// Forgets the oldest hash of a list; returns it and its number.
    pub fn pop_oldest(&mut self, list: usize) -> Option<(u64, u32)> {
        let oldest = self.nodes.get(list)?.newer as usize;
        if oldest < LISTS {
            return None;
        }
        let hash = whole(self.nodes[oldest].hash);
        self.remove(hash).map(|(_, number)| (hash, number))
    }

    /// The hashes of a list, oldest first.
    pub fn iter(&self, list: usize) -> impl Iterator<Item = u64> + '_ {
        let after = move |at: usize| {
            let newer = self.nodes.get(at)?.newer as usize;
            (newer >= LISTS).then_some(newer)
        };
        std::iter::successors(after(list), move |&at| after(at))
            .map(|at| whole(self.nodes[at].hash))
    }

    /// The hash of a ghost, by its number.
    pub fn hash(&self, number: u32) -> u64 {
        whole(self.nodes[number as usize + LISTS].hash)
    }

    /// Forgets everything and returns the memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.buckets.capacity() * size_of::<u32>()
    }

    /// Walks everything and says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        for list in 0..LISTS {
            let mut count = 0;
            for hash in self.iter(list) {
                count += 1;
                match self.find(hash) {
                    Some((found, _)) if found == list => {}
                    other => {
                        return Err(format!(
                            "ghosts: {hash:#x} of list {list} is found as {other:?}"
                        ));
                    }
                }
                if count > self.len(list) {
                    break;
                }
            }
            if count != self.len(list) {
                let says = self.len(list);
                return Err(format!(
                    "ghosts: list {list} has {count} hashes, says {says}"
                ));
            }
        }
        let chained: usize = self
            .buckets
            .iter()
            .map(|&first| self.chain(first).count())
            .sum();
        let free = self.chain(self.free).count();
        let total = self.total();
        if chained != total
            || self.nodes.len() != (total + free + LISTS) * usize::from(self.limit > 0)
        {
            let nodes = self.nodes.len();
            return Err(format!(
                "ghosts: {total} listed, {chained} chained, {free} free of {nodes} nodes"
            ));
        }
        if total > self.limit as usize {
            return Err(format!("ghosts: {total}, room for {}", self.limit));
        }
        Ok(())
    }

    fn chain(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let end = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(end(first), move |&at| {
            end(self.nodes[at as usize].chain & CHAIN)
        })
    }

    #[inline]
    fn bucket(&self, hash: u64) -> usize {
        // The upper half of the product scales the hash down to the number of buckets.
        ((u128::from(spread(hash)) * self.buckets.len() as u128) >> 64) as usize
    }

    fn rehash(&mut self) {
        self.buckets.fill(NONE);
        for list in 0..LISTS.min(self.nodes.len()) {
            let mut at = self.nodes[list].newer as usize;
            while at >= LISTS {
                let bucket = self.bucket(whole(self.nodes[at].hash));
                let node = &mut self.nodes[at];
                node.chain = node.chain & !CHAIN | self.buckets[bucket];
                self.buckets[bucket] = at as u32;
                at = node.newer as usize;
            }
        }
    }
}

#[inline(always)]
fn halves(hash: u64) -> [u32; 2] {
    [hash as u32, (hash >> 32) as u32]
}

#[inline(always)]
fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(ghosts: &Ghosts<2>) -> [Vec<u64>; 2] {
        [0, 1].map(|list| ghosts.iter(list).collect())
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ghosts = Ghosts::<2>::default();
        ghosts.reserve(8).expect("small");
        for hash in [3, 1, 2] {
            ghosts.push(0, hash);
        }
        ghosts.push(1, 9);
        assert_eq!(lists(&ghosts), [vec![3, 1, 2], vec![9]]);
        assert_eq!(ghosts.remove(1).map(|(list, _)| list), Some(0));
        assert_eq!(ghosts.pop_oldest(0).map(|(hash, _)| hash), Some(3));
        assert_eq!(ghosts.find(3), None);
        assert_eq!(lists(&ghosts), [vec![2], vec![9]]);
        ghosts.check().expect("consistent");
    }

    #[test]
    fn a_hash_is_remembered_once() {
        let mut ghosts = Ghosts::<2>::default();
        ghosts.reserve(8).expect("small");
        for list in [0, 1, 1] {
            ghosts.push(list, 7);
            ghosts.check().expect("consistent");
        }
        assert_eq!(lists(&ghosts), [vec![], vec![7]]);
    }

    #[test]
    fn at_the_limit_a_list_forgets_its_own_first() {
        let mut ghosts = Ghosts::<2>::default();
        ghosts.reserve(2).expect("small");
        for (list, hash) in [(0, 1), (1, 2), (1, 3)] {
            ghosts.push(list, hash);
        }
        assert_eq!(lists(&ghosts), [vec![1], vec![3]]);
        ghosts.pop_oldest(1);
        ghosts.push(0, 4);
        ghosts.push(1, 5);
        assert_eq!(lists(&ghosts), [vec![4], vec![5]]);
        ghosts.check().expect("consistent");
    }

    #[test]
    fn growing_keeps_everything() {
        let mut ghosts = Ghosts::<2>::default();
        for hash in 0..1000 {
            ghosts.reserve(hash as usize + 1).expect("small");
            ghosts.push(hash as usize % 2, hash << 40);
        }
        ghosts.check().expect("consistent");
        assert!((0..1000).all(|hash| ghosts.find(hash << 40).is_some()));
        assert_eq!(ghosts.total(), 1000);
        assert!(ghosts.memory() <= 24 * 1100);
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let mut ghosts = Ghosts::<2>::default();
        assert_eq!(ghosts.push(0, 1), None);
        assert_eq!((ghosts.find(1), ghosts.pop_oldest(0)), (None, None));
        ghosts.check().expect("consistent");
    }
}
