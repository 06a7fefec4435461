//! The first tier of a cache with several: hits are answered here, everything else by Python code.
//!
//! - `class`: the base class, and when user code runs.
//! - `fast`: a short way to a hit.

mod class;
mod fast;

pub use class::TieredCache;
pub use fast::install;
