//! Eviction policies by name.

use overdrive_core::policy::{
    Adaptive, Arc, Fifo, Lfu, Lirs, Lru, Random, S3Fifo, Sieve, TwoQ, WTinyLfu,
};

use crate::store::Eviction;

/// An empty policy of that name; `None` if there is no such policy.
pub fn by_name(name: &str) -> Option<Eviction> {
    Some(match name {
        "fifo" => Eviction::Fifo(Fifo::default()),
        "rr" => Eviction::Random(Random::default()),
        "lru" => Eviction::Lru(Lru::default()),
        "lfu" => Eviction::Lfu(Lfu::default()),
        "sieve" => Eviction::Sieve(Box::<Sieve>::default()),
        "2q" => Eviction::TwoQ(Box::<TwoQ>::default()),
        "s3fifo" => Eviction::S3Fifo(Box::<S3Fifo>::default()),
        "arc" => Eviction::Arc(Box::<Arc>::default()),
        "lirs" => Eviction::Lirs(Box::<Lirs>::default()),
        "wtinylfu" => Eviction::WTinyLfu(Box::<WTinyLfu>::default()),
        "adaptive" => Eviction::Adaptive(Box::<Adaptive>::default()),
        _ => return None,
    })
}

/// The name of a policy.
pub fn name(policy: &Eviction) -> &'static str {
    match policy {
        Eviction::Insertion | Eviction::Fifo(_) => "fifo",
        Eviction::Random(_) => "rr",
        Eviction::Lru(_) => "lru",
        Eviction::Lfu(_) => "lfu",
        Eviction::Sieve(_) => "sieve",
        Eviction::TwoQ(_) => "2q",
        Eviction::S3Fifo(_) => "s3fifo",
        Eviction::Arc(_) => "arc",
        Eviction::Lirs(_) => "lirs",
        Eviction::WTinyLfu(_) => "wtinylfu",
        Eviction::Adaptive(_) => "adaptive",
    }
}

/// All names, for error messages.
pub const NAMES: &str =
    "'fifo', 'rr', 'lru', 'lfu', 'sieve', '2q', 's3fifo', 'arc', 'lirs', 'wtinylfu', 'adaptive'";
