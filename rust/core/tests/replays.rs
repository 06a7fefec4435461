//! Every policy in a replay: consistent after each request, never above the optimum, and the same
//! hits as a cache that is too simple to be wrong.

use overdrive_core::policy::Policy;
use overdrive_core::replay::{Contestant, Engine, Name, Visitor};
use overdrive_core::sample::mix;
use overdrive_core::trace::Trace;

/// Hot keys, a scan now and then, and a loop.
fn requests(count: u64, seed: u64) -> Trace {
    let draw = |at: u64| {
        let bits = mix(at ^ seed << 32);
        let share = bits as f64 / u64::MAX as f64;
        match at % 3000 {
            0..600 => 10_000 + at,
            600..1200 => 2000 + at % 120,
            _ => 800_f64.powf(share) as u64,
        }
    };
    (0..count).map(draw).collect()
}

struct Checked<'a> {
    trace: &'a Trace,
    size: usize,
}

impl Visitor for Checked<'_> {
    type Output = Result<u64, String>;

    fn with<P: Policy + Send + Sync + 'static>(self, policy: P) -> Self::Output {
        let mut engine = Engine::new(policy, self.trace.keys(), self.size).expect("small");
        let mut hits = 0;
        let mut held = 0;
        for (at, &id) in self.trace.ids().iter().enumerate() {
            let hit = engine.replay(&[id]);
            hits += hit;
            held = (held + 1 - hit as usize).min(self.size);
            engine
                .policy()
                .check(held)
                .map_err(|wrong| format!("request {at}: {wrong}"))?;
        }
        Ok(hits)
    }
}

fn hits(contestant: Contestant, trace: &Trace, size: usize) -> u64 {
    let mut replay = contestant.start(trace, size, 3).expect("small");
    while replay.step(trace, 1000) {}
    replay.tally().hits
}

#[test]
fn every_policy_is_consistent_after_each_request() {
    let trace = requests(9000, 1);
    for &name in Name::ALL {
        for size in [1, 2, 3, 10, 150] {
            let checked = name.visit(
                3,
                Checked {
                    trace: &trace,
                    size,
                },
            );
            let checked =
                checked.unwrap_or_else(|wrong| panic!("{} of {size}: {wrong}", name.text()));
            assert_eq!(
                checked,
                hits(Contestant::Policy(name), &trace, size),
                "{} of {size}",
                name.text()
            );
        }
    }
}

#[test]
fn no_policy_beats_the_optimum() {
    let trace = requests(60_000, 2);
    for size in [1, 7, 60, 500, 3000] {
        let most = hits(Contestant::Optimal, &trace, size);
        for &name in Name::ALL {
            let some = hits(Contestant::Policy(name), &trace, size);
            assert!(
                some <= most,
                "{} of {size}: {some} hits, at most {most} are possible",
                name.text()
            );
        }
    }
}

#[test]
fn a_cache_for_all_keys_misses_each_once() {
    let trace = requests(20_000, 3);
    for name in Contestant::names() {
        let contestant = Contestant::named(name).expect("listed");
        assert_eq!(
            hits(contestant, &trace, trace.keys()),
            (trace.len() - trace.keys()) as u64,
            "{name}"
        );
    }
}

#[test]
fn lru_hits_are_those_of_a_list() {
    let trace = requests(20_000, 4);
    for size in [1, 5, 64] {
        let mut list: Vec<u32> = Vec::new();
        let mut expected = 0;
        for &id in trace.ids() {
            match list.iter().position(|&other| other == id) {
                Some(at) => {
                    expected += 1;
                    list.remove(at);
                }
                None if list.len() == size => drop(list.remove(0)),
                None => {}
            }
            list.push(id);
        }
        assert_eq!(hits(Contestant::Policy(Name::Lru), &trace, size), expected);
    }
}
