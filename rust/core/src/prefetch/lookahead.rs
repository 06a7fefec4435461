//! Where a key leads, several steps ahead.
//!
//! A loader takes time, so naming only the next key is too late. A *chain* goes from each key to its likeliest
//! successor and names, on its way, the others that are likely too. It starts at the key itself and, if that is
//! too near, at each of the keys that were seen a fixed distance after it: those were counted directly, and do
//! not depend on that every step in between was guessed right. The confidence of a path is the product of the
//! shares along it.

use super::successors::{Row, Successors};

/// Steps ahead at most.
pub const MAX_DEPTH: u8 = 16;
/// The distance at which successors are counted besides those that come right after.
pub const LEAP: u8 = MAX_DEPTH / 2;
/// Keys that are named at most.
pub const MAX_STEPS: usize = 32;
/// The least share of a successor that is named.
const LEAST_SHARE: f32 = 0.2;
/// The least confidence of a path that is followed.
const FLOOR: f32 = 0.0005;

/// A key that is likely to be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// The key.
    pub key: u64,
    /// How likely it is, going by the counts on the path to it.
    pub confidence: f32,
    /// The fewest follow-ups that a count on the path is out of.
    pub support: u8,
    /// How many requests ahead, 1 for the next.
    pub depth: u8,
}

impl Step {
    fn origin(key: u64) -> Self {
        Self {
            key,
            confidence: 1.0,
            support: u8::MAX,
            depth: 0,
        }
    }
}

/// The keys named by the latest look ahead; kept so that nothing is allocated.
#[derive(Debug)]
pub struct Lookahead {
    steps: [Step; MAX_STEPS],
    len: usize,
    origin: u64,
    /// A bit for each key that was named, and its origin: most keys are seen to be new without a search.
    named: [u64; 4],
}

impl Default for Lookahead {
    fn default() -> Self {
        Self {
            steps: [Step::default(); MAX_STEPS],
            len: 0,
            origin: 0,
            named: [0; 4],
        }
    }
}

impl Lookahead {
    /// Looks ahead from a key, so many requests at most.
    pub fn near(&mut self, table: &Successors, key: u64, depth: u8) {
        self.len = 0;
        self.origin = key;
        self.named = [0; 4];
        self.mark(key);
        self.chain(table, Step::origin(key), depth.min(MAX_DEPTH));
    }

    /// Goes on with what was seen [`LEAP`] requests after the same key, and where that leads.
    pub fn far(&mut self, leaps: &Successors, table: &Successors, depth: u8) {
        let origin = Step::origin(self.origin);
        let Some(row) = leaps.get(self.origin) else {
            return;
        };
        for branch in likely(row) {
            let step = after(&origin, row, branch, LEAP);
            self.name(step);
            self.chain(table, step, depth.min(MAX_DEPTH));
        }
    }

    /// The keys that were named.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }

    fn chain(&mut self, table: &Successors, from: Step, depth: u8) {
        let mut at = from;
        while at.depth < depth && at.confidence >= FLOOR {
            let Some(row) = table.get(at.key) else {
                return;
            };
            let mut next = None;
            for branch in likely(row) {
                let step = after(&at, row, branch, 1);
                // A key that was named already was also followed already, or is about to be.
                if self.name(step) && next.is_none() {
                    next = Some(step);
                }
            }
            match next {
                Some(step) => at = step,
                None => return,
            }
        }
    }

    fn name(&mut self, step: Step) -> bool {
        let is_known =
            || step.key == self.origin || self.steps().iter().any(|old| old.key == step.key);
        if self.len == MAX_STEPS || (self.may_be_named(step.key) && is_known()) {
            return false;
        }
        self.mark(step.key);
        self.steps[self.len] = step;
        self.len += 1;
        true
    }

    fn mark(&mut self, key: u64) {
        self.named[(key >> 6 & 3) as usize] |= 1 << (key & 63);
    }

    fn may_be_named(&self, key: u64) -> bool {
        self.named[(key >> 6 & 3) as usize] & 1 << (key & 63) != 0
    }
}

fn likely(row: &Row) -> impl Iterator<Item = (u64, u8)> {
    let least = f32::from(row.total()) * LEAST_SHARE;
    row.branches()
        .take_while(move |&(_, count)| f32::from(count) >= least)
}

fn after(from: &Step, row: &Row, (key, count): (u64, u8), distance: u8) -> Step {
    Step {
        key,
        confidence: from.confidence * f32::from(count) / f32::from(row.total()),
        support: from.support.min(row.total()),
        depth: from.depth + distance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(pairs: &[(u64, u64)]) -> Successors {
        let mut table = Successors::new(256, 1).expect("small");
        for &(key, next) in pairs {
            table.learn(key, next);
        }
        table
    }

    fn keys(ahead: &Lookahead) -> Vec<u64> {
        ahead.steps().iter().map(|step| step.key).collect()
    }

    #[test]
    fn a_sure_chain_is_followed_as_far_as_asked() {
        let table = learned(&(0..30).map(|key| (key, key + 1)).collect::<Vec<_>>());
        let mut ahead = Lookahead::default();
        for depth in [1, 5, 16] {
            ahead.near(&table, 0, depth);
            assert_eq!(keys(&ahead), (1..=u64::from(depth)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn confidence_decays_along_a_path() {
        let table = learned(&[(1, 2), (1, 9), (2, 3), (2, 8)]);
        let mut ahead = Lookahead::default();
        ahead.near(&table, 1, 2);
        let three = ahead.steps().iter().find(|step| step.key == 3);
        let three = three.expect("named");
        assert_eq!((three.confidence, three.depth, three.support), (0.25, 2, 2));
    }

    #[test]
    fn a_cycle_ends() {
        let table = learned(&[(1, 2), (2, 3), (3, 1)]);
        let mut ahead = Lookahead::default();
        ahead.near(&table, 1, 16);
        assert_eq!(keys(&ahead), [2, 3]);
    }

    #[test]
    fn a_leap_passes_over_what_cannot_be_guessed() {
        let table = learned(&[(50, 51), (51, 52)]);
        let leaps = learned(&[(1, 50)]);
        let mut ahead = Lookahead::default();
        ahead.near(&table, 1, 10);
        ahead.far(&leaps, &table, 10);
        let found: Vec<_> = ahead
            .steps()
            .iter()
            .map(|step| (step.key, step.depth))
            .collect();
        assert_eq!(found, [(50, 8), (51, 9), (52, 10)]);
    }
}
