//! What an entry knows of where its value came from, and how that tells whether it is still current.

use std::sync::Arc;

use overdrive_core::coherence::{Proof, Standing};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use super::field::Field;
use crate::coherence::{Coherence, Shared, slots_of};
use crate::obj::Obj;

/// What most entries do without.
pub struct Provenance {
    /// Where invalidations are noted, and since when and under which names they concern the value.
    proof: Option<(Arc<Shared>, Proof)>,
    /// Whether it may be returned only while all invalidations are heard of.
    needs_trust: bool,
    names: Field,
    /// Whatever its maker wants to know about it later.
    extra: Field,
}

impl Provenance {
    /// From the arguments of the constructor of an entry; `None` if there are none.
    pub fn new(
        coherence: Option<&Bound<'_, Coherence>>,
        stamp: Option<u64>,
        names: Option<&Bound<'_, PyTuple>>,
        needs_trust: bool,
        extra: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Box<Self>>> {
        let proof = match (coherence, stamp) {
            (Some(coherence), Some(stamp)) => {
                let shared = &coherence.get().shared;
                let names = names.into_iter().flat_map(|names| names.iter().map(Ok));
                let slots = slots_of(shared.table(), names)?;
                Some((Arc::clone(shared), Proof::new(stamp, slots)))
            }
            (None, None) if names.is_none() && !needs_trust => None,
            _ => {
                return Err(PyTypeError::new_err(
                    "coherence and stamp belong together, and names and needs_trust to both",
                ));
            }
        };
        if proof.is_none() && extra.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            proof,
            needs_trust,
            names: names.map_or(Field::empty(), |names| Field::holding(names)),
            extra: extra.map_or(Field::empty(), Field::holding),
        })))
    }

    /// The same with another stamp.
    pub fn restamped(&self, py: Python<'_>, stamp: u64) -> Box<Self> {
        let renewed = |field: &Field| {
            field
                .bound(py)
                .map_or(Field::empty(), |object| Field::holding(&object))
        };
        Box::new(Self {
            proof: self
                .proof
                .as_ref()
                .map(|(shared, proof)| (Arc::clone(shared), proof.restamped(stamp))),
            needs_trust: self.needs_trust,
            names: renewed(&self.names),
            extra: renewed(&self.extra),
        })
    }

    /// Until when the value may be returned, if that is `limit` for its age; `None` if it is not current.
    #[inline(always)]
    pub fn limit(&self, limit: f64) -> Option<f64> {
        let Some((shared, proof)) = &self.proof else {
            return Some(limit);
        };
        if !proof.is_current(shared.table()) {
            return None;
        }
        if self.needs_trust {
            let trusted_until = shared.trusted_until();
            if trusted_until < limit {
                return Some(trusted_until);
            }
        }
        Some(limit)
    }

    /// Whether it was invalidated.
    pub fn is_invalid(&self) -> bool {
        self.proof
            .as_ref()
            .is_some_and(|(shared, proof)| proof.standing(shared.table()) == Standing::Invalid)
    }

    /// In a word what is to be made of it at a time.
    pub fn standing(&self, now: f64) -> &'static str {
        let Some((shared, proof)) = &self.proof else {
            return CURRENT;
        };
        match proof.standing(shared.table()) {
            Standing::Invalid => "invalid",
            Standing::Suspect => "suspect",
            Standing::Current if self.needs_trust && now >= shared.trusted_until() => "untrusted",
            Standing::Current => CURRENT,
        }
    }

    /// The clock before its load began.
    pub fn stamp(&self) -> Option<u64> {
        self.proof.as_ref().map(|(_, proof)| proof.stamp())
    }

    /// The names under which it is invalidated.
    pub fn names<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.names.bound(py)
    }

    /// What its maker wanted to know.
    pub fn extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.extra.bound(py)
    }

    /// Shows the garbage collector what it refers to.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.names.visit(visit)?;
        self.extra.visit(visit)
    }

    /// Gives up what may be part of a cycle.
    pub fn clear(&self) -> impl Iterator<Item = Obj> {
        [self.names.take(), self.extra.take()].into_iter().flatten()
    }
}

/// The standing of what nothing is known against.
pub const CURRENT: &str = "current";
