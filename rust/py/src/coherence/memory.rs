//! The words of a table, wherever they are.

use std::collections::TryReserveError;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use overdrive_core::coherence::{Table, words};

#[cfg(unix)]
use super::file::Mapping;

/// Memory for a table; the table in it has been looked at once, so there is one.
pub enum Memory {
    Heap(Box<[AtomicU64]>),
    #[cfg(unix)]
    File(Mapping),
}

impl Memory {
    /// A new table on the heap.
    pub fn on_heap(slots: usize) -> Result<Self, TryReserveError> {
        let mut zeros = Vec::new();
        zeros.try_reserve_exact(words(slots))?;
        zeros.resize_with(words(slots), AtomicU64::default);
        Ok(Self::Heap(zeros.into_boxed_slice()))
    }

    /// Whether those who open a table at `path` now open this one; true without a file.
    pub fn is_at(&self, path: Option<&Path>) -> bool {
        match (self, path) {
            #[cfg(unix)]
            (Self::File(mapping), Some(path)) => mapping.is_at(path),
            _ => true,
        }
    }

    /// The table.
    #[inline(always)]
    pub fn table(&self) -> Table<'_> {
        let words = match self {
            Self::Heap(words) => words,
            #[cfg(unix)]
            Self::File(mapping) => mapping.words(),
        };
        Table::new(words).expect("made with as many words as a table has")
    }
}
