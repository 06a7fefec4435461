//! The modern cache: one class whose policy is an argument, and whose items may have lifetimes, weights,
//! bytes, tags and pins.
//!
//! - `class`: the methods of `MemoryCache`, and when user code runs.
//! - `fast`: short ways in front of the hot ones of them.
//! - `operations`: what they are made of.
//! - `contents`: what is inside its lock, on top of the `store` that all caches have.
//! - `lifetimes`: when items expire.
//! - `departures`: why items leave, how often, and telling listeners.
//! - `loads`: loads in progress, and what makes them outdated.
//! - `policies`: eviction policies by name.
//! - `watch`: estimates and recordings of a live cache.
//! - `records`: items with everything that belongs to them, for copies and snapshots.
//! - `sizes`: what items take of a limit in bytes.
//! - `arguments`: durations, tags and limits as users give them.

mod arguments;
mod class;
mod contents;
mod departures;
mod fast;
mod lifetimes;
mod loads;
mod operations;
mod policies;
mod records;
mod sizes;
mod watch;

pub use class::MemoryCache;
pub use fast::install;
