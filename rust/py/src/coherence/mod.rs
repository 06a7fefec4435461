//! What says which loaded values were invalidated: `overdrive_core::coherence`, on the heap or in a file
//! that the processes of a host share.
//!
//! - `class`: the class `Coherence`.
//! - `memory`: the words of a table, wherever they are.
//! - `file`: opening a table in a file, or making one.
//!
//! Everything is done with atomic words: no method takes a lock, but opening a file.

mod class;
#[cfg(unix)]
mod file;
mod memory;

use std::sync::atomic::{AtomicU64, Ordering};

use overdrive_core::coherence::Table;

pub use class::{Coherence, slots_of};
use memory::Memory;

/// A table, and until when this process knows of every invalidation that concerns it.
pub struct Shared {
    memory: Memory,
    /// The bits of a time in seconds. Not in the table: each process listens for itself.
    trusted_until: AtomicU64,
}

impl Shared {
    fn new(memory: Memory) -> Self {
        Self {
            memory,
            trusted_until: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
        }
    }

    /// The table.
    #[inline(always)]
    pub fn table(&self) -> Table<'_> {
        self.memory.table()
    }

    /// Seconds of the clock by which entries are judged.
    #[inline(always)]
    pub fn trusted_until(&self) -> f64 {
        f64::from_bits(self.trusted_until.load(Ordering::Acquire))
    }

    fn trust(&self, until: f64) {
        self.trusted_until.store(until.to_bits(), Ordering::Release);
    }
}
