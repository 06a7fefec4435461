//! A cache of items of size one that never shrinks: what papers describe.

use overdrive_core::Slot;
use overdrive_core::policy::Policy;
use proptest::prelude::*;

/// A policy as its paper has it: a cache of keys that is told of requests.
pub trait Paper {
    /// A cache of that many keys.
    fn new(capacity: usize) -> Self;
    /// Asks for a key; says whether it was there.
    fn request(&mut self, key: u64) -> bool;
}

/// Requests with some locality, so that there are hits of every kind.
pub fn requests() -> impl Strategy<Value = Vec<u64>> {
    let burst = prop_oneof![
        3 => prop::collection::vec(0..8_u64, 1..12),
        3 => prop::collection::vec(0..40_u64, 1..12),
        1 => (0..40_u64, 1..30_u64).prop_map(|(first, count)| (first..first + count).collect()),
        1 => (0..30_u64, 2..9_u64).prop_map(|(first, count)| {
            (0..3 * count).map(|at| first + at % count).collect()
        }),
    ];
    prop::collection::vec(burst, 1..25).prop_map(|bursts| bursts.concat())
}

/// Capacities of interest: tiny ones, and some at which shares are more than one slot.
pub fn capacities() -> impl Strategy<Value = usize> {
    prop_oneof![1..12_usize, Just(20), Just(31)]
}

/// Replays requests on both and compares every answer.
pub fn agree<M: Paper, P: Policy + Default>(
    requests: &[u64],
    capacity: usize,
    in_one_step: bool,
) -> Result<(), TestCaseError> {
    let mut paper = M::new(capacity);
    let mut policy = P::default();
    let mut keys: Vec<u64> = Vec::new();
    for (at, &key) in requests.iter().enumerate() {
        let found = keys.iter().position(|&other| other == key);
        prop_assert_eq!(
            paper.request(key),
            found.is_some(),
            "request {} for {}",
            at,
            key
        );
        if let Some(slot) = found {
            policy.on_hit(slot as Slot);
        } else if keys.len() < capacity {
            policy.reserve(keys.len() + 1).expect("small");
            policy.on_insert(keys.len() as Slot, key);
            keys.push(key);
        } else {
            let victim = policy.victim(Some(key));
            prop_assert_eq!(policy.victim(Some(key)), victim, "asked again");
            let victim = victim.expect("a full cache has a victim");
            let old = std::mem::replace(&mut keys[victim as usize], key);
            if in_one_step {
                policy.on_recycle(victim, old, key);
            } else {
                policy.on_evict(victim, old);
                prop_assert_eq!(policy.check(capacity - 1), Ok(()));
                policy.on_insert(victim, key);
            }
        }
        prop_assert_eq!(policy.check(keys.len()), Ok(()));
    }
    Ok(())
}
