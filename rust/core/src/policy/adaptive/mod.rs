//! ADAPTIVE: follows whichever of ARC and W-TinyLFU with several windows would hit most.
//!
//! Each expert is simulated on a sample of the keys ([`shadows`]); whoever is ahead by more than luck
//! leads ([`evidence`]). The real cache is one structure that obeys the rules of whoever leads: a
//! *window* of keys that came in lately, *probation*, and *protected* keys that were asked for again.
//! W-TinyLFU has these three; ARC's T1 is probation followed by the window, its T2 the protected ones.
//! So a change of leader changes rules and targets at once, and the contents move over by a few entries
//! per eviction.
//!
//! What makes it affordable: reads wait in a small ring and are applied together; only requests for
//! sampled keys reach the shadows; and a shadow's work is earned by misses, since a cache that hits
//! everything has nothing to learn.
//!
//! Sources: Megiddo, Modha, "ARC" (FAST 2003); Einziger, Friedman, Manes, "TinyLFU" (ACM TOS 2017);
//! Waldspurger and others, "Cache Modeling and Optimization using Miniature Simulations" (USENIX ATC '17).
//! Following a leader by simulation is what the last one proposes; to hold against a leader what the real
//! cache does not live up to is our own.

mod evidence;
mod experts;
mod frequencies;
mod remembered;
mod shadows;

use std::collections::TryReserveError;

use evidence::Evidence;
use experts::{ARC, Chance, EXPERTS, admits, protected, window};
use frequencies::Frequencies;
use remembered::{Left, Remembered};
use shadows::Shadows;

use super::{Graded, Policy, in_order_of_departure};
use crate::{Slot, spread};

/// Nodes below are the ends of lists: of list `n` node `n`.
const ENDS: usize = 4;
const WINDOW: u32 = 1;
const PROBATION: u32 = 2;
const PROTECTED: u32 = 3;
/// The bits of a node's print that hold its list.
const LIST: u32 = 3;

/// Reads that wait to be applied.
const WAITING: usize = 64;
/// Entries that move from list to list per eviction until they are as the leader wants them.
const MOVES: usize = 8;
/// Frequencies are halved after so many requests per entry, and at least so many.
const PERIOD: usize = 15;
const LEAST_PERIOD: usize = 2000;
/// Looks at the shadows that a miss earns, and how many are saved up at most.
const EARNED: u32 = 32;
const MOST_CREDIT: u32 = 1024;

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    prev: u32,
    next: u32,
    /// The fingerprint of the key in the upper 30 bits, the list in the lower two.
    print: u32,
}

/// What ADAPTIVE does, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Whose rules are followed.
    pub leader: &'static str,
    /// What each expert would have hit per request lately, 0 to 1, by a sample of the keys.
    pub hit_ratios: [(&'static str, f32); EXPERTS],
    /// Requests that these rest on, older ones counting less.
    pub sampled: f32,
    /// How often the leader has changed.
    pub switches: u64,
    /// The last change.
    pub last_switch: Option<Switch>,
    /// Requests so far.
    pub requests: u64,
}

/// A change of the leader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Switch {
    /// Which request it came with, from 1.
    pub request: u64,
    /// Who had led.
    pub from: &'static str,
    /// Who has led since.
    pub to: &'static str,
    /// By how many hits per request the new one was ahead.
    pub gain: f32,
}

/// The adaptive policy.
#[derive(Clone, Debug)]
pub struct Adaptive {
    nodes: Vec<Node>,
    lengths: [usize; ENDS],
    waiting: [u32; WAITING],
    waits: usize,
    /// The next victim, if it is known.
    chosen: Option<u32>,
    frequencies: Frequencies,
    remembered: Remembered,
    shadows: Shadows,
    evidence: Evidence,
    leader: usize,
    chance: Chance,
    /// Entries when it was last asked to evict, or the most since.
    capacity: usize,
    /// How many entries the leader wants in the window, and how many protected.
    window: usize,
    protected: usize,
    /// What ARC wants, by its shadow.
    arc_target: usize,
    arc_lengths: [usize; 2],
    period: usize,
    credit: u32,
    requests: u64,
    switches: u64,
    last_switch: Option<Switch>,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            lengths: [0; ENDS],
            waiting: [0; WAITING],
            waits: 0,
            chosen: None,
            frequencies: Frequencies::default(),
            remembered: Remembered::default(),
            shadows: Shadows::default(),
            evidence: Evidence::default(),
            leader: ARC,
            chance: Chance::default(),
            capacity: 0,
            window: 1,
            protected: 0,
            arc_target: 0,
            arc_lengths: [0; 2],
            period: LEAST_PERIOD,
            credit: MOST_CREDIT,
            requests: 0,
            switches: 0,
            last_switch: None,
        }
    }
}

/// The part of a hash that a node keeps, in its place.
#[inline(always)]
fn print_of(hash: u64) -> u32 {
    (spread(hash) >> 32) as u32 & !LIST
}

impl Adaptive {
    /// What it does, and why.
    pub fn report(&self) -> Report {
        let ratios = self.evidence.hit_ratios();
        Report {
            leader: experts::NAMES[self.leader],
            hit_ratios: std::array::from_fn(|expert| (experts::NAMES[expert], ratios[expert])),
            sampled: self.evidence.requests(),
            switches: self.switches,
            last_switch: self.last_switch,
            requests: self.requests,
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        let [_, window, probation, protected] = self.lengths;
        window + probation + protected
    }

    #[inline(always)]
    fn first(&self, list: u32) -> Option<u32> {
        (self.lengths[list as usize] > 0).then(|| self.nodes[list as usize].next)
    }

    #[inline(always)]
    fn unlink(&mut self, node: u32) {
        let Node { prev, next, print } = self.nodes[node as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        self.lengths[(print & LIST) as usize] -= 1;
    }

    #[inline(always)]
    fn push(&mut self, node: u32, list: u32) {
        let last = std::mem::replace(&mut self.nodes[list as usize].prev, node);
        self.nodes[last as usize].next = node;
        let entry = &mut self.nodes[node as usize];
        entry.prev = last;
        entry.next = list;
        entry.print = entry.print & !LIST | list;
        self.lengths[list as usize] += 1;
    }

    #[inline(always)]
    fn move_to(&mut self, node: u32, list: u32) {
        self.unlink(node);
        self.push(node, list);
    }

    /// Counts a request, and lets the shadows see it if its key is in the sample.
    #[inline(always)]
    fn learn(&mut self, print: u32, hit: bool) {
        let print = print >> LIST.count_ones();
        self.requests += 1;
        self.frequencies.count(print, self.period);
        if self.credit > 0 && self.shadows.samples(print) {
            self.look(print, hit);
        }
    }

    fn look(&mut self, print: u32, hit: bool) {
        self.credit -= 1;
        if let Some(hits) = self.shadows.request(print, &self.frequencies) {
            self.evidence.note(hits, self.leader, hit);
        }
        let best = self.evidence.verdict(self.leader, self.shadows.size());
        if best != self.leader {
            self.follow(best);
        }
        let (target, lengths) = self.shadows.arc_state();
        self.arc_lengths = lengths;
        // A sampled shadow is too coarse to say how long a short list should be: there the real cache
        // finds its own target while ARC leads.
        if self.leader != ARC || !self.shadows.are_sampled() {
            self.arc_target = target;
        }
    }

    fn follow(&mut self, expert: usize) {
        let ratios = self.evidence.hit_ratios();
        self.switches += 1;
        self.last_switch = Some(Switch {
            request: self.requests,
            from: experts::NAMES[self.leader],
            to: experts::NAMES[expert],
            gain: ratios[expert] - ratios[self.leader],
        });
        self.leader = expert;
        self.aim();
    }

    /// Sets what depends on the leader and on how many entries there are.
    fn aim(&mut self) {
        let entries = self.len();
        self.period = (PERIOD * entries).max(LEAST_PERIOD);
        self.window = window(self.leader, entries);
        self.protected = protected(self.window, entries);
    }

    /// Applies the reads that wait.
    #[inline]
    fn apply(&mut self) {
        let waits = std::mem::take(&mut self.waits);
        if waits == 0 {
            return;
        }
        self.chosen = None;
        for at in 0..waits {
            let node = self.waiting[at];
            let print = self.nodes[node as usize].print;
            let list = print & LIST;
            let stays = self.leader != ARC && list == WINDOW;
            self.move_to(node, if stays { WINDOW } else { PROTECTED });
            if self.leader != ARC && list == PROBATION {
                self.demote(1);
            }
            self.learn(print, true);
        }
    }

    /// Moves some of those that are protected beyond what the leader wants.
    #[inline]
    fn demote(&mut self, moves: usize) {
        for _ in 0..moves {
            match self.first(PROTECTED) {
                Some(oldest) if self.lengths[PROTECTED as usize] > self.protected => {
                    self.move_to(oldest, PROBATION);
                }
                _ => break,
            }
        }
    }

    fn choose(&mut self) -> Option<u32> {
        let entries = self.len();
        if entries == 0 {
            return None;
        }
        if entries != self.capacity {
            self.capacity = entries;
            self.shadows.resize(entries);
            self.aim();
        }
        if self.leader == ARC {
            return self.choose_as_arc();
        }
        self.demote(MOVES);
        for _ in 0..MOVES {
            match self.first(WINDOW) {
                Some(oldest) if self.lengths[WINDOW as usize] > self.window => {
                    self.move_to(oldest, PROBATION);
                }
                _ => break,
            }
        }
        let victim = self.first(PROBATION).or(self.first(PROTECTED));
        match (self.first(WINDOW), victim) {
            // The newcomer takes the place of the candidate, which has to ask for another one.
            (Some(candidate), Some(victim)) if self.lengths[WINDOW as usize] >= self.window => {
                let prints = [candidate, victim]
                    .map(|node| self.nodes[node as usize].print >> LIST.count_ones());
                if admits(&self.frequencies, prints[0], prints[1], &mut self.chance) {
                    self.move_to(candidate, PROBATION);
                    Some(victim)
                } else {
                    Some(candidate)
                }
            }
            (candidate, victim) => victim.or(candidate),
        }
    }

    fn choose_as_arc(&self) -> Option<u32> {
        let [_, window, probation, protected] = self.lengths;
        let once = window + probation;
        if once > 0 && (once > self.arc_target || protected == 0) {
            self.first(PROBATION).or(self.first(WINDOW))
        } else {
            self.first(PROTECTED)
        }
    }

    /// How many evicted keys ARC remembers, by list.
    ///
    /// A full ARC remembers of each list as many as the other one holds. A sampled shadow that holds
    /// what the real cache does not may remember far fewer: then the real cache would not take back
    /// what returns to it, and never catch up. So the larger number counts.
    fn remembered_lengths(&self) -> [usize; 2] {
        let [once, often] = self.arc_lengths;
        if self.shadows.are_sampled() {
            let protected = self.lengths[PROTECTED as usize];
            [once.max(protected), often.max(self.len() - protected)]
        } else {
            [once, often]
        }
    }

    /// A key has come back that had left one of ARC's lists.
    fn aim_as_arc(&mut self, left: Left) {
        if !self.shadows.are_sampled() {
            return;
        }
        let [once, often] = self.remembered_lengths().map(|length| length.max(1));
        self.arc_target = match left {
            Left::Once => (self.arc_target + (often / once).max(1)).min(self.len()),
            Left::Often => self.arc_target.saturating_sub((once / often).max(1)),
        };
    }

    #[inline]
    fn enter(&mut self, node: u32, hash: u64) {
        let print = print_of(hash);
        let mut list = WINDOW;
        if self.leader == ARC {
            let left = self
                .remembered
                .take(print >> LIST.count_ones(), self.remembered_lengths());
            if let Some(left) = left {
                list = PROTECTED;
                self.aim_as_arc(left);
            }
        }
        self.nodes[node as usize].print = print;
        self.push(node, list);
        self.credit = (self.credit + EARNED).min(MOST_CREDIT);
        self.learn(print, false);
    }

    /// Remembers what is about to be evicted.
    #[inline]
    fn remember(&mut self, node: u32) {
        let print = self.nodes[node as usize].print;
        let left = if print & LIST == PROTECTED {
            Left::Often
        } else {
            Left::Once
        };
        self.remembered.put(print >> LIST.count_ones(), left);
    }
}

impl Policy for Adaptive {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let present = self.nodes.len();
        if slots + ENDS <= present {
            return Ok(());
        }
        // By an eighth at a time, for callers that ask slot by slot.
        let slots = slots.max(present + present / 8);
        let nodes = slots + ENDS;
        self.nodes.try_reserve_exact(nodes - present)?;
        self.frequencies.reserve(slots)?;
        self.remembered.reserve(slots)?;
        self.shadows.reserve(slots)?;
        self.nodes.resize(nodes, Node::default());
        for end in present..ENDS {
            self.nodes[end] = Node {
                prev: end as u32,
                next: end as u32,
                print: 0,
            };
        }
        Ok(())
    }

    fn on_insert(&mut self, slot: Slot, hash: u64) {
        self.apply();
        self.chosen = None;
        let entries = self.len() + 1;
        let grows = entries > self.capacity;
        if grows {
            self.capacity = entries;
            self.shadows.resize(entries);
        }
        self.enter(slot + ENDS as u32, hash);
        if grows {
            self.aim();
        }
    }

    #[inline(always)]
    fn on_hit(&mut self, slot: Slot) {
        self.waiting[self.waits % WAITING] = slot + ENDS as u32;
        self.waits += 1;
        if self.waits == WAITING {
            self.apply();
        }
    }

    fn on_replace(&mut self, slot: Slot) {
        self.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot) {
        self.apply();
        self.chosen = None;
        let node = slot + ENDS as u32;
        self.unlink(node);
        self.nodes[node as usize].print = 0;
    }

    fn on_evict(&mut self, slot: Slot, _hash: u64) {
        self.apply();
        self.remember(slot + ENDS as u32);
        self.on_remove(slot);
    }

    #[inline]
    fn on_recycle(&mut self, slot: Slot, _old: u64, new: u64) {
        self.apply();
        self.chosen = None;
        let node = slot + ENDS as u32;
        self.remember(node);
        self.unlink(node);
        self.enter(node, new);
    }

    #[inline]
    fn victim(&mut self, _newcomer: Option<u64>) -> Option<Slot> {
        self.apply();
        if self.chosen.is_none() {
            self.chosen = self.choose();
        }
        self.chosen.map(|node| node - ENDS as u32)
    }

    fn ranking(&self) -> Vec<Slot> {
        in_order_of_departure(self)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.frequencies.memory()
            + self.remembered.memory()
            + self.shadows.memory()
    }

    fn check(&self, len: usize) -> Result<(), String> {
        if self.len() != len {
            return Err(format!("adaptive: {} slots, expected {len}", self.len()));
        }
        for list in 1..ENDS as u32 {
            let mut length = 0;
            let mut before = list;
            let mut node = self.nodes.get(list as usize).map_or(0, |end| end.next);
            while node >= ENDS as u32 {
                let entry = &self.nodes[node as usize];
                if entry.print & LIST != list || entry.prev != before {
                    return Err(format!("adaptive: list {list} is broken at node {node}"));
                }
                length += 1;
                before = node;
                node = entry.next;
                if length > len {
                    return Err(format!("adaptive: list {list} has no end"));
                }
            }
            if length != self.lengths[list as usize] {
                let told = self.lengths[list as usize];
                return Err(format!(
                    "adaptive: list {list} has {length} slots, not {told}"
                ));
            }
        }
        self.shadows.check()
    }
}

impl Graded for Adaptive {
    const GRADES: u8 = 3;

    fn grades(&self) -> Vec<(Slot, u8)> {
        let mut grades = Vec::new();
        for list in [PROBATION, WINDOW, PROTECTED] {
            let mut node = self.first(list);
            while let Some(at) = node {
                grades.push((at - ENDS as u32, list as u8 - 1));
                let next = self.nodes[at as usize].next;
                node = (next >= ENDS as u32).then_some(next);
            }
        }
        grades
    }

    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>) {
        for (slot, hash, grade) in graded {
            self.on_insert(slot, hash);
            self.move_to(slot + ENDS as u32, u32::from(grade) + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A full cache that is asked for keys.
    struct Cache {
        policy: Adaptive,
        slots: HashMap<u64, Slot>,
        keys: Vec<u64>,
        capacity: usize,
    }

    impl Cache {
        fn new(capacity: usize) -> Self {
            Self {
                policy: Adaptive::default(),
                slots: HashMap::new(),
                keys: Vec::new(),
                capacity,
            }
        }

        /// Hits per request.
        fn replay(&mut self, keys: impl Iterator<Item = u64>) -> f64 {
            let (mut hits, mut requests) = (0, 0);
            for key in keys {
                requests += 1;
                if let Some(&slot) = self.slots.get(&key) {
                    hits += 1;
                    self.policy.on_hit(slot);
                } else if self.keys.len() < self.capacity {
                    let slot = self.keys.len() as Slot;
                    self.policy.reserve(self.keys.len() + 1).expect("small");
                    self.policy.on_insert(slot, key);
                    self.keys.push(key);
                    self.slots.insert(key, slot);
                } else {
                    let slot = self.policy.victim(Some(key)).expect("it is full");
                    let old = std::mem::replace(&mut self.keys[slot as usize], key);
                    self.slots.remove(&old);
                    self.slots.insert(key, slot);
                    self.policy.on_recycle(slot, old, key);
                }
            }
            self.policy.check(self.keys.len()).expect("consistent");
            f64::from(hits) / f64::from(requests)
        }
    }

    fn looping(keys: u64, requests: u64) -> impl Iterator<Item = u64> {
        (0..requests).map(move |at| at % keys)
    }

    /// Each key twice, so many requests apart, and never again.
    fn recent(distance: u64, requests: u64, first: u64) -> impl Iterator<Item = u64> {
        (0..requests).map(move |at| first + at + if at % 2 == 0 { distance } else { 0 })
    }

    #[test]
    fn a_loop_makes_it_follow_a_small_window() {
        let mut cache = Cache::new(200);
        cache.replay(looping(300, 30_000));
        assert!(cache.replay(looping(300, 30_000)) > 0.5);
        let report = cache.policy.report();
        assert_eq!(report.leader, "wtinylfu-1");
        let switch = report.last_switch.expect("it began with ARC");
        assert!(switch.gain > 0.0 && switch.request <= report.requests);
    }

    #[test]
    fn it_leaves_a_leader_that_the_workload_has_left() {
        let mut cache = Cache::new(200);
        cache.replay(looping(300, 60_000));
        cache.replay(recent(61, 20_000, 1 << 40));
        assert!(cache.replay(recent(61, 20_000, 1 << 41)) > 0.49);
        assert_ne!(cache.policy.report().leader, "wtinylfu-1");
    }

    #[test]
    fn it_keeps_its_parts_small_beside_the_entries() {
        let mut cache = Cache::new(20_000);
        cache.replay(looping(30_000, 60_000));
        assert!(
            cache.policy.memory() < 38 * 20_000,
            "{}",
            cache.policy.memory()
        );
    }

    #[test]
    fn grades_restore_the_lists() {
        let mut cache = Cache::new(50);
        cache.replay(looping(70, 2000).chain(recent(21, 2000, 1000)));
        let grades = cache.policy.grades();
        let mut restored = Adaptive::default();
        restored.reserve(50).expect("small");
        let hashes = |slot: Slot| cache.keys[slot as usize];
        restored.restore(
            grades
                .iter()
                .map(|&(slot, grade)| (slot, hashes(slot), grade)),
        );
        restored.check(50).expect("consistent");
        assert_eq!(restored.grades(), grades);
    }
}
