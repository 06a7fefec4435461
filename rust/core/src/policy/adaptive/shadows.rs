//! What each expert would hit: caches of keys alone, over a sample of the keys.
//!
//! A cache of `size` entries that sees a sample of the keys behaves much like one that is as many times
//! larger and sees all of them (Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and Optimization
//! using Miniature Simulations", USENIX ATC '17). All shadows share one directory: a node has the
//! fingerprint of a key, and for each expert the list that the key is in and its neighbours there. A
//! request is one search and a few links.
//!
//! Invariants: a node is in the directory as long as it is in a list of any expert; the keys in the
//! directory are in the sample; no expert but ARC, which remembers evicted keys, has more than `size`
//! nodes, and ARC not more than twice as many.

use std::collections::TryReserveError;

use super::experts::{ARC, Chance, EXPERTS, admits, protected, window};
use super::frequencies::Frequencies;

/// A shadow has at most so many entries; of larger caches a sample is looked at.
const LARGEST: usize = 384;

/// Nodes below are the ends of lists: of list `n` node `n`. Node 0 stands for none.
const ENDS: usize = 5;

/// The lists of ARC: T1, T2, B1, B2 of the paper.
const ONCE: u8 = 1;
const OFTEN: u8 = 2;
const GHOST_ONCE: u8 = 3;
const GHOST_OFTEN: u8 = 4;
/// The lists of W-TinyLFU.
const WINDOW: u8 = 1;
const PROBATION: u8 = 2;
const PROTECTED: u8 = 3;
/// In none.
const OUT: u8 = 0;

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The previous and the next one, by expert.
    links: [[u16; 2]; EXPERTS],
    print: u32,
    lists: [u8; EXPERTS],
    /// The next one in its bucket of the directory, or in the list of free ones.
    chain: u16,
}

impl Node {
    fn is_in_use(&self) -> bool {
        self.lists != [OUT; EXPERTS]
    }
}

/// The shadows of all experts.
#[derive(Clone, Debug, Default)]
pub struct Shadows {
    nodes: Vec<Node>,
    /// The first node of each bucket.
    buckets: Vec<u16>,
    /// The logarithm of their number.
    bits: u32,
    free: u16,
    used: usize,
    /// Lengths of lists, by expert.
    lengths: [[u16; ENDS]; EXPERTS],
    /// Entries of each shadow.
    size: usize,
    /// Keys whose fingerprints end in so many zeros are in the sample.
    zeros: u32,
    /// How many entries ARC would keep of those asked for once.
    target: f32,
    chance: Chance,
}

impl Shadows {
    /// Makes room for the shadows of a cache of so many slots.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        // Every expert's entries and what ARC remembers, if no key is in two of them.
        let wanted = (EXPERTS + 1) * slots.min(LARGEST) + ENDS + 8;
        let present = self.nodes.len();
        if wanted <= present {
            return Ok(());
        }
        let bits = wanted.next_power_of_two().trailing_zeros();
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(1 << bits)?;
        buckets.resize(1 << bits, 0);
        self.nodes.try_reserve_exact(wanted - present)?;
        self.nodes.resize(wanted, Node::default());
        for end in present..ENDS {
            self.nodes[end].links = [[end as u16; 2]; EXPERTS];
        }
        for node in (present.max(ENDS)..wanted).rev() {
            self.nodes[node].chain = self.free;
            self.free = node as u16;
        }
        self.buckets = buckets;
        self.bits = bits;
        for node in ENDS..present {
            if self.nodes[node].is_in_use() {
                let bucket = self.bucket(self.nodes[node].print);
                self.nodes[node].chain = std::mem::replace(&mut self.buckets[bucket], node as u16);
            }
        }
        Ok(())
    }

    /// The real cache has so many entries now.
    pub fn resize(&mut self, entries: usize) {
        while entries >> self.zeros > LARGEST {
            self.zeros += 1;
            self.target /= 2.0;
            self.prune();
        }
        while self.zeros > 0 && entries >> self.zeros < LARGEST / 4 {
            self.zeros -= 1;
            self.target *= 2.0;
        }
        self.size = (entries >> self.zeros).max(2);
    }

    /// Forgets the keys that are not in the sample any more.
    fn prune(&mut self) {
        for node in ENDS as u16..self.nodes.len() as u16 {
            let Node { print, lists, .. } = self.nodes[node as usize];
            if !self.samples(print) {
                for expert in (0..EXPERTS).filter(|&expert| lists[expert] != OUT) {
                    self.drop_from(expert, node);
                }
            }
        }
    }

    /// Entries of each shadow.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether a key is in the sample.
    #[inline(always)]
    pub fn samples(&self, print: u32) -> bool {
        print & ((1 << self.zeros) - 1) == 0
    }

    /// Whether they see some of the keys only.
    pub fn are_sampled(&self) -> bool {
        self.zeros > 0
    }

    /// A key of the sample was asked for. Says which experts hit, a bit each; `None` if there is no
    /// memory for it.
    #[inline]
    pub fn request(&mut self, print: u32, frequencies: &Frequencies) -> Option<usize> {
        let node = self.find_or_add(print)?;
        let mut hits = usize::from(self.arc(node));
        for expert in 1..EXPERTS {
            hits |= usize::from(self.tiny_lfu(expert, node, frequencies)) << expert;
        }
        Some(hits)
    }

    /// What ARC knows, in entries of the real cache: how many of those asked for once it would keep,
    /// and how many evicted ones it remembers, by list.
    #[inline]
    pub fn arc_state(&self) -> (usize, [usize; 2]) {
        let [.., once, often] = self.lengths[ARC];
        let scaled = |length: u16| usize::from(length) << self.zeros;
        let target = self.target * (1_u64 << self.zeros) as f32;
        (target as usize, [scaled(once), scaled(often)])
    }

    /// ARC (Megiddo, Modha, FAST 2003); says whether it hits.
    #[inline]
    fn arc(&mut self, node: u16) -> bool {
        let [_, once, often, ghosts_once, ghosts_often] = self.lengths[ARC];
        let ratio = |of: u16, to: u16| (f32::from(of) / f32::from(to)).max(1.0);
        let full = usize::from(once + often) >= self.size;
        match self.nodes[node as usize].lists[ARC] {
            ONCE | OFTEN => {
                self.move_to(ARC, node, OFTEN);
                return true;
            }
            GHOST_ONCE => {
                let target = self.target + ratio(ghosts_often, ghosts_once);
                self.target = target.min(self.size as f32);
                if full {
                    self.replace(false);
                }
                self.move_to(ARC, node, OFTEN);
            }
            GHOST_OFTEN => {
                self.target = (self.target - ratio(ghosts_once, ghosts_often)).max(0.0);
                if full {
                    self.replace(true);
                }
                self.move_to(ARC, node, OFTEN);
            }
            _ => {
                if usize::from(once + ghosts_once) >= self.size {
                    if usize::from(once) < self.size {
                        self.drop_first(ARC, GHOST_ONCE);
                        if full {
                            self.replace(false);
                        }
                    } else {
                        self.drop_first(ARC, ONCE);
                    }
                } else {
                    let all = once + often + ghosts_once + ghosts_often;
                    if usize::from(all) >= 2 * self.size {
                        self.drop_first(ARC, GHOST_OFTEN);
                    }
                    if full {
                        self.replace(false);
                    }
                }
                self.move_to(ARC, node, ONCE);
            }
        }
        self.shrink_arc();
        false
    }

    /// Makes room in ARC.
    fn replace(&mut self, asked_for_often: bool) {
        let [_, once, often, ..] = self.lengths[ARC];
        let at_target = asked_for_often && f32::from(once) == self.target;
        let above = f32::from(once) > self.target || at_target || often == 0;
        let (from, to) = if once > 0 && above {
            (ONCE, GHOST_ONCE)
        } else {
            (OFTEN, GHOST_OFTEN)
        };
        if let Some(victim) = self.first(ARC, from) {
            self.move_to(ARC, victim, to);
        }
    }

    /// Keeps ARC's limits after the real cache has lost entries.
    fn shrink_arc(&mut self) {
        loop {
            let [_, once, often, ghosts_once, ghosts_often] = self.lengths[ARC].map(usize::from);
            if once + often > self.size {
                self.replace(false);
            } else if once + ghosts_once > self.size && ghosts_once > 0 {
                self.drop_first(ARC, GHOST_ONCE);
            } else if once + often + ghosts_once + ghosts_often > 2 * self.size && ghosts_often > 0
            {
                self.drop_first(ARC, GHOST_OFTEN);
            } else {
                return;
            }
        }
    }

    /// W-TinyLFU (Einziger, Friedman, Manes, ACM TOS 2017); says whether it hits.
    #[inline]
    fn tiny_lfu(&mut self, expert: usize, node: u16, frequencies: &Frequencies) -> bool {
        let window = window(expert, self.size);
        match self.nodes[node as usize].lists[expert] {
            OUT => self.push(expert, node, WINDOW),
            PROBATION => {
                self.move_to(expert, node, PROTECTED);
                let most = protected(window, self.size);
                if usize::from(self.lengths[expert][PROTECTED as usize]) > most
                    && let Some(oldest) = self.first(expert, PROTECTED)
                {
                    self.move_to(expert, oldest, PROBATION);
                }
                return true;
            }
            list => {
                self.move_to(expert, node, list);
                return true;
            }
        }
        while usize::from(self.lengths[expert][WINDOW as usize]) > window
            && let Some(candidate) = self.first(expert, WINDOW)
        {
            let victim = self
                .first(expert, PROBATION)
                .or(self.first(expert, PROTECTED));
            self.move_to(expert, candidate, PROBATION);
            if self.held(expert) > self.size {
                let victim = victim.unwrap_or(candidate);
                let prints = [candidate, victim].map(|node| self.nodes[node as usize].print);
                let admitted = admits(frequencies, prints[0], prints[1], &mut self.chance);
                self.drop_from(expert, if admitted { victim } else { candidate });
            }
        }
        while self.held(expert) > self.size {
            let lists = [PROBATION, PROTECTED, WINDOW];
            match lists.into_iter().find_map(|list| self.first(expert, list)) {
                Some(coldest) => self.drop_from(expert, coldest),
                None => break,
            }
        }
        false
    }

    /// How many entries a W-TinyLFU expert has.
    #[inline(always)]
    fn held(&self, expert: usize) -> usize {
        let [_, window, probation, protected, _] = self.lengths[expert];
        usize::from(window) + usize::from(probation) + usize::from(protected)
    }

    // --- lists ---

    #[inline(always)]
    fn first(&self, expert: usize, list: u8) -> Option<u16> {
        let first = self.nodes[list as usize].links[expert][1];
        (first >= ENDS as u16).then_some(first)
    }

    #[inline(always)]
    fn push(&mut self, expert: usize, node: u16, list: u8) {
        let end = u16::from(list);
        let last = self.nodes[end as usize].links[expert][0];
        self.nodes[end as usize].links[expert][0] = node;
        self.nodes[last as usize].links[expert][1] = node;
        let entry = &mut self.nodes[node as usize];
        entry.links[expert] = [last, end];
        entry.lists[expert] = list;
        self.lengths[expert][list as usize] += 1;
    }

    #[inline(always)]
    fn unlink(&mut self, expert: usize, node: u16) {
        let entry = &mut self.nodes[node as usize];
        let [previous, next] = entry.links[expert];
        let list = std::mem::replace(&mut entry.lists[expert], OUT);
        self.nodes[previous as usize].links[expert][1] = next;
        self.nodes[next as usize].links[expert][0] = previous;
        self.lengths[expert][list as usize] -= 1;
    }

    #[inline(always)]
    fn move_to(&mut self, expert: usize, node: u16, list: u8) {
        if self.nodes[node as usize].lists[expert] != OUT {
            self.unlink(expert, node);
        }
        self.push(expert, node, list);
    }

    fn drop_first(&mut self, expert: usize, list: u8) {
        if let Some(first) = self.first(expert, list) {
            self.drop_from(expert, first);
        }
    }

    /// Takes a node from an expert, and out of the directory if it was the last that had it.
    fn drop_from(&mut self, expert: usize, node: u16) {
        self.unlink(expert, node);
        if !self.nodes[node as usize].is_in_use() {
            self.release(node);
        }
    }

    // --- the directory ---

    #[inline(always)]
    fn bucket(&self, print: u32) -> usize {
        (print.wrapping_mul(0x9E37_79B1) >> (32 - self.bits)) as usize
    }

    #[inline]
    fn find_or_add(&mut self, print: u32) -> Option<u16> {
        let free = self.free;
        if self.buckets.is_empty() {
            return None;
        }
        let bucket = self.bucket(print);
        let first = self.buckets[bucket];
        let mut node = first;
        while node != 0 {
            let entry = &self.nodes[node as usize];
            if entry.print == print {
                return Some(node);
            }
            node = entry.chain;
        }
        if free == 0 {
            return None;
        }
        let entry = &mut self.nodes[free as usize];
        self.free = entry.chain;
        entry.print = print;
        entry.chain = first;
        self.buckets[bucket] = free;
        self.used += 1;
        Some(free)
    }

    fn release(&mut self, node: u16) {
        let Node { print, chain, .. } = self.nodes[node as usize];
        let bucket = self.bucket(print);
        let mut at = self.buckets[bucket];
        if at == node {
            self.buckets[bucket] = chain;
        } else {
            while at != 0 {
                let next = self.nodes[at as usize].chain;
                if next == node {
                    self.nodes[at as usize].chain = chain;
                    break;
                }
                at = next;
            }
        }
        self.nodes[node as usize].chain = self.free;
        self.free = node;
        self.used -= 1;
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.buckets.capacity() * size_of::<u16>()
    }

    /// Says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        for expert in 0..EXPERTS {
            for list in 1..ENDS as u8 {
                self.check_list(expert, list)?;
            }
        }
        let mut used = 0;
        for (bucket, &first) in self.buckets.iter().enumerate() {
            let mut node = first;
            while node != 0 {
                let entry = &self.nodes[node as usize];
                if self.bucket(entry.print) != bucket || !entry.is_in_use() {
                    return Err(format!(
                        "adaptive: node {node} does not belong to its bucket"
                    ));
                }
                used += 1;
                node = entry.chain;
                if used > self.nodes.len() {
                    return Err(format!("adaptive: bucket {bucket} has no end"));
                }
            }
        }
        if used == self.used {
            Ok(())
        } else {
            Err(format!(
                "adaptive: {used} nodes in the directory, not {}",
                self.used
            ))
        }
    }

    fn check_list(&self, expert: usize, list: u8) -> Result<(), String> {
        let what = || format!("adaptive: list {list} of shadow {expert}");
        let mut length = 0;
        let mut before = u16::from(list);
        let mut node = self
            .nodes
            .get(list as usize)
            .map_or(0, |end| end.links[expert][1]);
        while node >= ENDS as u16 {
            let entry = &self.nodes[node as usize];
            if entry.lists[expert] != list || entry.links[expert][0] != before {
                return Err(format!("{} is broken at node {node}", what()));
            }
            length += 1;
            before = node;
            node = entry.links[expert][1];
            if length > self.nodes.len() {
                return Err(format!("{} has no end", what()));
            }
        }
        let told = usize::from(self.lengths[expert][list as usize]);
        if length == told {
            Ok(())
        } else {
            Err(format!("{} has {length} nodes, not {told}", what()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadows(entries: usize) -> Shadows {
        let mut shadows = Shadows::default();
        shadows.reserve(entries).expect("small");
        shadows.resize(entries);
        shadows
    }

    fn counted(shadows: &mut Shadows, prints: impl Iterator<Item = u32>) -> [u32; EXPERTS] {
        let mut frequencies = Frequencies::default();
        frequencies.reserve(shadows.size()).expect("small");
        let mut counts = [0; EXPERTS];
        for print in prints {
            frequencies.count(print, 10 * shadows.size().max(64));
            let hits = shadows.request(print, &frequencies).expect("memory");
            for (expert, count) in counts.iter_mut().enumerate() {
                *count += (hits >> expert & 1) as u32;
            }
        }
        shadows.check().expect("consistent");
        counts
    }

    #[test]
    fn a_loop_is_hit_by_small_windows_only() {
        let requests = (0..20_000_u32).map(|at| crate::spread((at % 150).into()) as u32);
        let [arc, small, _, large] = counted(&mut shadows(100), requests);
        assert!(
            small > 10_000 && large < small && arc < 1000,
            "{arc} {small} {large}"
        );
    }

    #[test]
    fn keys_that_come_back_soon_and_never_again_are_hit_by_large_windows_only() {
        let requests = (0..20_000_u32).map(|at| {
            let key = if at % 2 == 0 { at + 41 } else { at };
            crate::spread(key.into()) as u32
        });
        let [arc, small, _, large] = counted(&mut shadows(100), requests);
        assert!(
            arc > 9000 && large > 9000 && small < 1000,
            "{arc} {small} {large}"
        );
    }

    #[test]
    fn large_caches_are_sampled() {
        let mut shadows = shadows(1000);
        assert!(shadows.size() <= LARGEST);
        assert!(shadows.samples(4) && !shadows.samples(1));
        counted(&mut shadows, (0..4000_u32).map(|at| at * 4));
        shadows.resize(10_000);
        shadows
            .check()
            .expect("consistent after the sample was thinned out");
        assert!(shadows.memory() < 100_000);
    }
}
