//! Items with everything that belongs to them, for copies, pickles and snapshots.

use overdrive_core::Slot;
use overdrive_core::size::{Size, Total};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyTuple};

use super::contents::Contents;
use crate::expiry::Instant;
use crate::number;
use crate::obj::Obj;

/// An item outside of the lock, with references.
pub struct Record {
    key: Obj,
    value: Obj,
    /// Seconds; infinite for ever.
    remaining: f64,
    tags: Vec<Box<str>>,
    pinned: bool,
    weight: Option<Size>,
}

/// All live items from the coldest to the hottest, pinned ones last.
pub fn records(contents: &Contents, now: f64) -> Vec<Record> {
    let record = |slot: Slot| Record {
        key: contents.store.key(slot).incref(),
        value: contents.store.value(slot).incref(),
        remaining: contents
            .lifetimes
            .as_ref()
            .map_or(f64::INFINITY, |lifetimes| lifetimes.deadlines(slot).1 - now),
        tags: contents.tags.names(slot).map(Into::into).collect(),
        pinned: contents.pins.contains(slot),
        weight: contents
            .store
            .budget
            .sizes()
            .map(|sizes| sizes[slot as usize]),
    };
    contents
        .ranking(Instant::At(now))
        .into_iter()
        .map(record)
        .collect()
}

impl Record {
    /// `(key, value, remaining ttl or None, tags or None, pinned, weight or None)`.
    pub fn into_tuple(self, py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        // SAFETY: the references were taken in the region and are given up here.
        let (key, value) = unsafe { (self.key.into_bound(py), self.value.into_bound(py)) };
        let remaining = (self.remaining < f64::INFINITY).then(|| PyFloat::new(py, self.remaining));
        let tags: Vec<&str> = self.tags.iter().map(|tag| &**tag).collect();
        let tags = if tags.is_empty() {
            None
        } else {
            Some(PyTuple::new(py, tags)?)
        };
        let weight = self
            .weight
            .map(|weight| number::total(py, Total::from(weight)))
            .transpose()?;
        (key, value, remaining, tags, self.pinned, weight).into_pyobject(py)
    }
}
