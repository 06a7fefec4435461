//! What a live cache would have hit with another policy or another size.
//!
//! Source: Waldspurger, Saemundson, Ahmad, Park, "Cache Modeling and Optimization using Miniature
//! Simulations" (ATC '17): small caches that see a sample of the keys. All see the same sample, and one
//! of them does what the live cache does. Hence the estimate is the live cache's own hit ratio plus the
//! difference between two of the small caches, in which the luck of the sample mostly cancels.
//!
//! The error is estimated by random groups (Wolter, "Introduction to Variance Estimation", ch. 2): keys
//! are divided into groups by their hash, and the differences of the groups are compared.

use std::collections::TryReserveError;
use std::fmt;

mod miniature;

use miniature::{Build, Shadow};

use crate::replay::Name;
use crate::sample::{Filter, NotARate};

/// The most keys that a miniature holds: the rate follows from the largest size asked for.
pub const MINIATURE: usize = 4096;
/// Groups of keys whose differences are compared.
const GROUPS: usize = 32;
/// Below so many sampled requests, or so many keys held, an estimate says little.
const LITTLE: (u64, usize) = (1000, 64);
/// Policies whose hit ratio depends on the number of keys that they hold, not only on the share: one
/// burst of requests for a key keeps it in for as long as it takes to go through all others.
const UNSCALED: [Name; 2] = [Name::Lfu, Name::Sieve];
/// The most policies and sizes to be watched at once.
pub const MAX_ROWS: usize = 64;

/// Why nothing can be estimated.
#[derive(Debug)]
pub enum Refused {
    /// A size of 0.
    Empty,
    /// More policies and sizes than [`MAX_ROWS`].
    Many(usize),
    /// The rate that would follow is none.
    Rate(NotARate),
    /// No memory for the miniatures.
    Memory(TryReserveError),
}

impl fmt::Display for Refused {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Empty => to.write_str("size 0 is below the limit of 1"),
            Refused::Many(rows) => {
                write!(
                    to,
                    "{rows} combinations of policy and size exceed the limit of {MAX_ROWS}"
                )
            }
            Refused::Rate(wrong) => wrong.fmt(to),
            Refused::Memory(error) => error.fmt(to),
        }
    }
}

impl From<TryReserveError> for Refused {
    fn from(error: TryReserveError) -> Self {
        Refused::Memory(error)
    }
}

/// An estimate for one policy at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The policy.
    pub policy: Name,
    /// How many keys the cache would hold.
    pub size: usize,
    /// Hits per request, from 0 to 1.
    pub hit_ratio: f64,
    /// The standard error of the difference to the live cache.
    pub standard_error: f64,
    /// Sampled requests that it is based on.
    pub sampled: u64,
    /// Whether it is based on too little to be relied on: few requests, a miniature of few
    /// keys, or a sample for a policy that behaves otherwise in a small cache (LFU, SIEVE).
    pub rough: bool,
    /// Whether the miniature is full, as the live cache presumably is: until then larger sizes look
    /// like smaller ones.
    pub full: bool,
}

/// What the live cache did meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Lookups.
    pub requests: u64,
    /// Those that found their key.
    pub hits: u64,
    /// Lookups of sampled keys.
    pub sampled: u64,
}

/// A number of sampled miniature caches beside a live one. A lookup of a key that is not sampled costs
/// a multiplication chain and a comparison, one that is sampled a lookup in each miniature.
pub struct WhatIf {
    filter: Filter,
    /// The first does what the live cache does.
    shadows: Vec<Box<dyn Shadow>>,
    rows: Vec<(Name, usize)>,
    seen: Seen,
}

impl fmt::Debug for WhatIf {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            filter, rows, seen, ..
        } = self;
        to.debug_struct("WhatIf")
            .field("filter", filter)
            .field("rows", rows)
            .field("seen", seen)
            .finish_non_exhaustive()
    }
}

impl WhatIf {
    /// Miniatures of every policy at every size, beside a cache that holds `size` keys under `policy`. The
    /// seed chooses the keys that are sampled.
    pub fn new(
        policy: Name,
        size: usize,
        policies: &[Name],
        sizes: &[usize],
        seed: u64,
    ) -> Result<Self, Refused> {
        let largest = sizes.iter().copied().fold(size, usize::max);
        let rate = (MINIATURE as f64 / largest as f64).min(1.0);
        Self::with_rate(policy, size, policies, sizes, rate, seed)
    }

    /// The same with a rate of one's own.
    pub fn with_rate(
        policy: Name,
        size: usize,
        policies: &[Name],
        sizes: &[usize],
        rate: f64,
        seed: u64,
    ) -> Result<Self, Refused> {
        let combined = policies.len() * sizes.len();
        if combined > MAX_ROWS {
            return Err(Refused::Many(combined));
        }
        if size == 0 || sizes.contains(&0) {
            return Err(Refused::Empty);
        }
        let mut rows = vec![(policy, size)];
        for &policy in policies {
            rows.extend(sizes.iter().map(|&size| (policy, size)));
        }
        let mut shadows = Vec::new();
        for &(policy, size) in &rows {
            let size = ((size as f64 * rate).round() as usize).max(1);
            shadows.push(policy.visit(seed, Build { size })?);
        }
        Ok(Self {
            filter: Filter::new(rate, seed).map_err(Refused::Rate)?,
            shadows,
            rows,
            seen: Seen::default(),
        })
    }

    /// A key of this hash was looked up in the live cache, and was or was not found. A key that was not
    /// is taken to be stored then.
    #[inline(always)]
    pub fn observe(&mut self, hash: u64, hit: bool) {
        self.seen.requests += 1;
        self.seen.hits += u64::from(hit);
        if let Some(mixed) = self.filter.passes(hash) {
            self.lookup(hash, mixed);
        }
    }

    #[inline(never)]
    fn lookup(&mut self, hash: u64, mixed: u64) {
        self.seen.sampled += 1;
        let group = mixed as usize % GROUPS;
        for shadow in &mut self.shadows {
            shadow.lookup(hash, group);
        }
    }

    /// A key of this hash was deleted from the live cache, or has expired there: no other cache would
    /// have it either.
    #[inline(always)]
    pub fn forget(&mut self, hash: u64) {
        if self.filter.passes(hash).is_some() {
            self.shadows
                .iter_mut()
                .for_each(|shadow| shadow.forget(hash));
        }
    }

    /// What the live cache did since the beginning.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// The share of keys that is sampled.
    pub fn rate(&self) -> f64 {
        self.filter.rate()
    }

    /// The estimates, by policy and then by size in the order asked for; the first is the live cache
    /// itself, of which the hit ratio is known.
    pub fn rows(&self) -> Vec<Row> {
        let live = self.shadows[0].hits();
        let requests = (self.seen.requests as f64).max(1.0);
        let ratio = self.seen.hits as f64 / requests;
        // Requests that the sample would have, were all keys requested equally often.
        let expected = requests * self.rate();
        let row = |(shadow, &(policy, size)): (&dyn Shadow, &(Name, usize))| {
            let hits = shadow.hits();
            let gains: Vec<f64> = hits
                .iter()
                .zip(live)
                .map(|(&hits, &live)| hits as f64 - live as f64)
                .collect();
            Row {
                policy,
                size,
                hit_ratio: (ratio + gains.iter().sum::<f64>() / expected).clamp(0.0, 1.0),
                standard_error: deviation_of_sum(&gains) * (1.0 - self.rate()).sqrt() / expected,
                sampled: self.seen.sampled,
                rough: self.is_rough(policy, shadow.size()),
                full: shadow.is_full(),
            }
        };
        let shadows = self.shadows.iter().map(AsRef::as_ref);
        shadows.zip(&self.rows).map(row).collect()
    }

    fn is_rough(&self, policy: Name, miniature: usize) -> bool {
        let sampled = self.rate() < 1.0;
        self.seen.sampled < LITTLE.0
            || sampled && (miniature < LITTLE.1 || UNSCALED.contains(&policy))
    }

    /// Bytes allocated, bounded by the number of rows and [`MINIATURE`].
    pub fn memory(&self) -> usize {
        self.shadows.iter().map(|shadow| shadow.memory()).sum()
    }

    /// Says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        self.shadows.iter().try_for_each(|shadow| shadow.check())
    }
}

/// The standard deviation of the sum of numbers that are equally distributed.
fn deviation_of_sum(numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    (squares * count / (count - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Lru;
    use crate::replay::Engine;
    use crate::sample::mix;
    use crate::trace::Trace;

    /// Requests whose keys become rarer with their number, and a loop in between.
    fn requests(count: u64, keys: u64) -> Trace {
        let draw = |at: u64| {
            let share = mix(at) as f64 / u64::MAX as f64;
            if at % 40_000 < 4000 {
                keys + at % 4000
            } else {
                (keys as f64).powf(share) as u64
            }
        };
        (0..count).map(draw).collect()
    }

    fn watched(trace: &Trace, mut watch: WhatIf, size: usize) -> WhatIf {
        let mut live = Engine::new(Lru::default(), trace.keys(), size).expect("small");
        for &id in trace.ids() {
            let hit = live.replay(&[id]) == 1;
            watch.observe(u64::from(id), hit);
        }
        watch.check().expect("consistent");
        watch
    }

    fn exact(trace: &Trace, policy: Name, size: usize) -> f64 {
        let mut replay = crate::replay::Contestant::Policy(policy)
            .start(trace, size, 0)
            .expect("small");
        while replay.step(trace, usize::MAX) {}
        replay.tally().hits as f64 / trace.len() as f64
    }

    #[test]
    fn unsampled_estimates_are_exact() {
        let trace = requests(60_000, 3000);
        let policies = [Name::Fifo, Name::Lru, Name::Lfu];
        let watch = WhatIf::new(Name::Lru, 200, &policies, &[100, 200, 800], 1).expect("small");
        assert_eq!(watch.rate(), 1.0);
        let rows = watched(&trace, watch, 200).rows();
        assert_eq!(rows.len(), 10);
        for row in rows {
            let exact = exact(&trace, row.policy, row.size);
            assert!(
                (row.hit_ratio - exact).abs() < 1e-9,
                "{row:?}, exact {exact}"
            );
            assert_eq!(row.standard_error, 0.0);
            assert!(!row.rough);
        }
    }

    #[test]
    fn sampled_estimates_are_near_and_know_how_near() {
        let trace = requests(400_000, 200_000);
        let policies = [Name::Fifo, Name::Lru, Name::Lfu];
        let watch =
            WhatIf::new(Name::Lru, 10_000, &policies, &[5000, 20_000, 40_000], 1).expect("small");
        assert!((watch.rate() - 0.1024).abs() < 1e-9);
        let watch = watched(&trace, watch, 10_000);
        for row in watch.rows() {
            let exact = exact(&trace, row.policy, row.size);
            assert!(
                (row.hit_ratio - exact).abs() < 0.015,
                "{row:?}, exact {exact}"
            );
            assert!(row.standard_error < 0.02, "{row:?}");
        }
        assert!(watch.rows()[1].standard_error > 0.0);
        assert!(watch.seen().sampled < 100_000);
    }

    #[test]
    fn the_live_cache_is_the_first_row_and_known() {
        let trace = requests(20_000, 3000);
        let watch =
            WhatIf::with_rate(Name::Lru, 200, &[Name::Lfu], &[200], 0.01, 1).expect("small");
        let watch = watched(&trace, watch, 200);
        let live = watch.rows()[0];
        assert_eq!((live.policy, live.size), (Name::Lru, 200));
        assert_eq!(live.hit_ratio, watch.seen().hits as f64 / 20_000.0);
        assert_eq!(live.standard_error, 0.0);
        assert!(live.rough, "a miniature of two keys");
    }

    #[test]
    fn what_was_deleted_is_missed_by_all() {
        let mut watch = WhatIf::new(Name::Lru, 10, &[Name::Lfu], &[10], 1).expect("small");
        for _ in 0..100 {
            watch.observe(7, false);
            watch.forget(7);
            watch.forget(8);
        }
        watch.check().expect("consistent");
        assert!(watch.rows().iter().all(|row| row.hit_ratio == 0.0));
    }

    #[test]
    fn memory_does_not_grow_with_the_requests() {
        let all = Name::ALL;
        let mut watch =
            WhatIf::new(Name::Lru, 100_000, &all[..4], &[50_000, 1_000_000], 1).expect("small");
        let before = watch.memory();
        (0..3_000_000_u64).for_each(|at| watch.observe(at, false));
        assert!(
            watch.memory() <= before * 2,
            "{} after {before}",
            watch.memory()
        );
        assert!(watch.memory() < 9 * MINIATURE * 200);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused =
            |sizes: &[usize]| WhatIf::new(Name::Lru, 10, &[Name::Lru], sizes, 1).map(drop);
        assert!(matches!(refused(&[1, 0]), Err(Refused::Empty)));
        assert!(matches!(refused(&[1; 65]), Err(Refused::Many(65))));
    }
}
