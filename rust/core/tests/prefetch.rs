//! Prefetching, replayed: what it gains, that it stops where there is nothing to gain, and that nothing that it
//! is told makes it grow or panic.

use overdrive_core::prefetch::replay::{Replay, Tally};
use overdrive_core::prefetch::{Config, Predictor};
use overdrive_core::sample::mix;
use overdrive_core::trace::Trace;
use proptest::prelude::*;

const CAPACITY: usize = 2500;

/// Numbers that look random, the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        mix(self.0) % limit
    }

    fn share(&mut self) -> f64 {
        self.0 += 1;
        mix(self.0) as f64 / u64::MAX as f64
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, limit: f64) -> u64 {
        limit.powf(self.share()) as u64
    }
}

/// What 24 requests at a time ask a cache for, each of them about a user, or for a few keys of no pattern; as
/// they arrive, with the number of the request that asks.
fn sessions(count: usize) -> (Trace, Vec<u64>) {
    let mut draw = Draw(4);
    let mut active: Vec<(u64, Vec<u64>)> = Vec::new();
    let (mut keys, mut contexts) = (Vec::new(), Vec::new());
    let mut started = 0;
    while keys.len() < count {
        while active.len() < 24 {
            started += 1;
            let asked = if draw.share() < 0.5 {
                let user = draw.below(3000);
                (0..5).rev().map(|part| user * 5 + part).collect()
            } else {
                let length = 1 + draw.below(5);
                (0..length)
                    .map(|_| 100_000 + draw.skewed(20_000.0))
                    .collect()
            };
            active.push((started, asked));
        }
        let at = draw.below(active.len() as u64) as usize;
        let (context, left) = &mut active[at];
        contexts.push(*context);
        keys.extend(left.pop());
        if left.is_empty() {
            active.swap_remove(at);
        }
    }
    (keys.into_iter().collect(), contexts)
}

fn replayed(
    trace: &Trace,
    contexts: Option<&[u64]>,
    delay: u64,
    config: Option<Config>,
) -> (Tally, Replay) {
    let mut replay = Replay::new(trace, CAPACITY, delay, config).expect("small");
    while replay.step(trace, contexts, 4096) {}
    (replay.tally(), replay)
}

fn ratio(tally: &Tally) -> f64 {
    tally.hits as f64 / tally.requests as f64
}

#[test]
fn contexts_find_what_the_global_order_hides() {
    let (trace, contexts) = sessions(200_000);
    let (none, _) = replayed(&trace, None, 1, None);
    let (global, _) = replayed(&trace, None, 1, Some(Config::default()));
    let (context, _) = replayed(&trace, Some(&contexts), 1, Some(Config::default()));

    assert!(ratio(&context) > ratio(&none) + 0.1, "{context:?} {none:?}");
    assert!(
        ratio(&context) > ratio(&global) + 0.1,
        "{context:?} {global:?}"
    );
    assert!(context.used * 10 >= context.issued * 8, "{context:?}");
    assert!(global.issued * 100 <= global.requests, "{global:?}");
}

#[test]
fn a_chain_gains_where_the_next_key_alone_comes_too_late() {
    let period = 6000;
    let trace: Trace = (0..120_000_u64).map(|at| at % period).collect();
    let far = Config::default();
    let near = Config { depth: 1, ..far };
    let (near, _) = replayed(&trace, None, 6, Some(near));
    let (far, replay) = replayed(&trace, None, 6, Some(far));

    assert!(ratio(&near) < 0.05, "{near:?}");
    assert!(ratio(&far) > 0.8, "{far:?}");
    let depth = replay.predictor().map(Predictor::depth);
    assert!(depth >= Some(6), "{depth:?}");
}

#[test]
fn noise_is_left_alone() {
    let mut draw = Draw(9);
    let trace: Trace = (0..200_000).map(|_| draw.skewed(50_000.0)).collect();
    let (none, _) = replayed(&trace, None, 1, None);
    let (tally, _) = replayed(&trace, None, 1, Some(Config::default()));

    assert!(ratio(&tally) > ratio(&none) - 0.002, "{tally:?} {none:?}");
    assert!(tally.issued * 50 <= tally.requests, "{tally:?}");
}

#[test]
fn the_same_seed_gives_the_same_replay() {
    let (trace, contexts) = sessions(50_000);
    let tallies = [3, 3].map(|seed| {
        let config = Config {
            seed,
            ..Config::default()
        };
        replayed(&trace, Some(&contexts), 4, Some(config)).0
    });
    assert_eq!(tallies[0], tallies[1]);
}

#[test]
fn the_budget_bounds_what_is_wasted() {
    let budget = 0.02;
    let mut predictor = Predictor::new(Config {
        budget,
        ..Config::default()
    })
    .expect("small");
    let (requests, length) = (100_000_u64, 50);
    let mut issued = 0;
    for at in 0..requests {
        // Each loop is learned until it is believed, then nothing that was predicted is ever asked for.
        let key = at / 20_000 * 1000 + at % length;
        for next in predictor.observe(0, key, false).to_vec() {
            predictor.issued(next);
            issued += 1;
        }
    }
    assert!(issued > 0);
    assert!(
        f64::from(issued) <= f64::from(budget) * requests as f64 + 64.0,
        "{issued}"
    );
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Observe(u64, u64, bool),
    Issued(u64),
    Used(u64),
    Wasted(u64),
    Late(u64),
    Failed(u64),
    IssueAll,
    Clear,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let key = || {
        prop_oneof![
            6 => 0..12_u64,
            1 => Just(u64::MAX),
            1 => any::<u64>(),
        ]
    };
    let call = prop_oneof![
        20 => (key(), key(), any::<bool>())
            .prop_map(|(context, key, hit)| Call::Observe(context, key, hit)),
        4 => Just(Call::IssueAll),
        2 => key().prop_map(Call::Issued),
        2 => key().prop_map(Call::Used),
        2 => key().prop_map(Call::Wasted),
        2 => key().prop_map(Call::Late),
        2 => key().prop_map(Call::Failed),
        1 => Just(Call::Clear),
    ];
    prop::collection::vec(call, 1..600)
}

proptest! {
    #[test]
    fn memory_is_fixed_and_nothing_panics(
        calls in calls(),
        rows in 0..64_usize,
        contexts in 0..16_usize,
        pending in 0..32_usize,
        depth in 0..=u8::MAX,
    ) {
        let config = Config { rows, contexts, pending, depth, ..Config::default() };
        let mut predictor = Predictor::new(config).expect("small");
        let memory = predictor.memory();
        let mut proposed = Vec::new();
        for call in calls {
            match call {
                Call::Observe(context, key, hit) => {
                    proposed = predictor.observe(context, key, hit).to_vec();
                    prop_assert!(!proposed.contains(&key));
                }
                Call::IssueAll => proposed.drain(..).for_each(|key| predictor.issued(key)),
                Call::Issued(key) => predictor.issued(key),
                Call::Used(key) => predictor.used(key),
                Call::Wasted(key) => predictor.wasted(key),
                Call::Late(key) => predictor.late(key),
                Call::Failed(key) => predictor.failed(key),
                Call::Clear => predictor.clear(),
            }
            prop_assert_eq!(predictor.memory(), memory);
            prop_assert!(predictor.len() <= predictor.rows().count());
        }
    }

    #[test]
    fn a_flood_of_keys_and_contexts_does_not_grow_it(seed in any::<u64>()) {
        let config = Config { rows: 256, contexts: 16, pending: 64, ..Config::default() };
        let mut predictor = Predictor::new(config).expect("small");
        let memory = predictor.memory();
        for at in 0..20_000_u64 {
            let key = mix(at ^ seed);
            for next in predictor.observe(key % 1000, key, false).to_vec() {
                predictor.issued(next);
            }
        }
        prop_assert_eq!(predictor.memory(), memory);
        prop_assert!(predictor.len() <= 256);
    }
}
