//! Eviction policies by name.

use overdrive_core::policy::{Fifo, Lfu, Lru, Random};

use crate::store::Eviction;

/// An empty policy of that name; `None` if there is no such policy.
pub fn by_name(name: &str) -> Option<Eviction> {
    Some(match name {
        "fifo" => Eviction::Fifo(Fifo::default()),
        "lru" => Eviction::Lru(Lru::default()),
        "lfu" => Eviction::Lfu(Lfu::default()),
        "rr" => Eviction::Random(Random::default()),
        _ => return None,
    })
}

/// The name of a policy.
pub fn name(policy: &Eviction) -> &'static str {
    match policy {
        Eviction::Insertion | Eviction::Fifo(_) => "fifo",
        Eviction::Lru(_) => "lru",
        Eviction::Lfu(_) => "lfu",
        Eviction::Random(_) => "rr",
    }
}

/// All names, for error messages.
pub const NAMES: &str = "'fifo', 'lru', 'lfu', 'rr'";
