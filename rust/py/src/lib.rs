//! The extension module `overdrive._core`: the only place with Python objects, the lock and unsafe
//! code. The data structures are in `overdrive-core`.
//!
//! - `obj`: references counted by hand, and giving them up outside of regions.
//! - `lock`: critical regions and their law.
//! - `key`, `deadline`: comparing without, and if need be with, Python code.
//! - `store`, `expiry`: what is inside the lock.
//! - `cache`, `mapping`, `timed`, `choice`, `iter`, `views`, `state`: what is done with it.
//! - `construct`, `config`, `hooks`, `number`, `timer`, `clock`, `import`: arguments and what they mean.
//! - `memory`: the cache with lifetimes, weights, tags, pins and listeners.
//! - `report`: what the adaptive policy does, and why.
//! - `sizing`: how much memory an object keeps alive.
//! - `snapshot`: records of a cache in files.
//! - `envelope`: values outside of memory.
//! - `memo`: functions whose results are kept.
//! - `coherence`: which of them were invalidated meanwhile.
//! - `tiered`: the first tier of a cache with several; `disk`: rows of its last one.
//! - `simulate`: traces, and replays of them.
//! - `prefetch`: what will be asked for next.
//! - `thread_exit`: letting CPython end threads that are inside of a callback.
//! - `collector`: what the garbage collector has to see.
//! - `classes`: the public classes; `fast`: short ways in front of their hot methods.

#![deny(clippy::undocumented_unsafe_blocks)]

mod cache;
mod choice;
mod classes;
mod clock;
mod coherence;
mod collector;
mod config;
mod construct;
mod deadline;
mod disk;
mod envelope;
mod expiry;
mod fast;
mod hooks;
mod import;
mod iter;
mod key;
mod lock;
mod mapping;
mod memo;
mod memory;
mod number;
mod obj;
mod prefetch;
mod report;
mod simulate;
mod sizing;
mod snapshot;
mod state;
mod store;
#[cfg(thread_exit_stubs)]
mod thread_exit;
mod tiered;
mod timed;
mod timer;
mod views;

/// Caches in Rust. Use them through the `overdrive` package.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::cache::Cache;
    #[pymodule_export]
    use crate::choice::RandomKeys;
    #[pymodule_export]
    use crate::classes::{
        ARCCache, AdaptiveCache, FIFOCache, LFUCache, LIRSCache, LRUCache, RRCache, S3FIFOCache,
        SieveCache, TLRUCache, TTLCache, TimedCache, TwoQCache, WTinyLFUCache,
    };
    #[pymodule_export]
    use crate::coherence::Coherence;
    #[pymodule_export]
    use crate::disk::DiskTier;
    #[pymodule_export]
    use crate::disk::Session as DiskSession;
    #[pymodule_export]
    use crate::envelope::exact::{decode_value, encode_value, plainness};
    #[pymodule_export]
    use crate::envelope::{Header, Opened, Sealer, xxh3_64};
    #[pymodule_export]
    use crate::iter::CacheIterator;
    #[pymodule_export]
    use crate::memo::{BoundMemo, Entry, Keywords, Memo, Ready, WithTtl};
    #[pymodule_export]
    use crate::memory::MemoryCache;
    #[pymodule_export]
    use crate::prefetch::Predictor;
    #[pymodule_export]
    use crate::simulate::{RequestTrace, TraceBuilder, policies};
    #[pymodule_export]
    use crate::sizing::sizeof;
    #[pymodule_export]
    use crate::snapshot::read::read;
    #[pymodule_export]
    use crate::snapshot::write::write;
    #[pymodule_export]
    use crate::tiered::TieredCache;
    #[pymodule_export]
    use crate::timer::Timer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let abc = py.import("collections.abc")?;
        let mapping = abc.getattr("MutableMapping")?;
        mapping.call_method1("register", (py.get_type::<Cache>(),))?;
        mapping.call_method1("register", (py.get_type::<MemoryCache>(),))?;
        abc.getattr("Sequence")?
            .call_method1("register", (py.get_type::<RandomKeys>(),))?;
        crate::classes::shorten_names(py);
        crate::collector::install(py)?;
        crate::memo::install(py)?;
        crate::fast::install::install(py)?;
        crate::memory::install(py)?;
        crate::tiered::install(py)
    }
}
