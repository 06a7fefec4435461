//! A result that knows its times.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit, ffi};

use super::field::Field;
use super::provenance::{CURRENT, Provenance};
use crate::clock;
use crate::coherence::Coherence;
use crate::expiry::Instant;
use crate::obj::{Gone, Obj};

/// What a memoized function with time options keeps in its cache: a result, or the exception that
/// was raised instead, and when it is due.
///
/// Times are those of the function's clock, in seconds. Read-only and thread-safe.
///
/// Attributes:
///     value: the result; `None` if `error` is set.
///     error: the exception to raise, or `None`.
///     fresh_until: from then on it is computed anew before, or while, it is returned again.
///     expires: from then on it is never returned.
///     load_seconds: how long the function ran.
///     quiet_until: from then on a lookup asks whether to compute it anew, early if need be.
///     stamp: the time of its `Coherence` before the function began; `None` without one.
///     names: what it is invalidated by; empty without a `Coherence`.
///     extra: whatever its maker wanted to keep with it, or `None`.
///     standing: "current"; or "invalid" if one of its names was invalidated since the function began, "suspect"
///         if that may have been missed, "untrusted" if it may be missed now. It is returned natively
///         only while it is current.
#[pyclass(frozen, module = "overdrive", name = "Entry")]
pub struct Entry {
    value: Field,
    error: Field,
    /// Until then a hit asks nothing further: no refresh is due, not even an early one.
    quiet_until: f64,
    fresh_until: f64,
    expires: f64,
    load_seconds: f64,
    /// Seconds without a use after which it expires; infinite for never.
    idle: f64,
    /// The bits of the time at which it expires unless used.
    idle_until: AtomicU64,
    /// What else may be held against it.
    provenance: Option<Box<Provenance>>,
}

/// The time now, as an entry is judged by.
#[derive(Clone, Copy)]
pub enum Now {
    Native,
    At(f64),
}

impl From<Instant> for Now {
    #[inline(always)]
    fn from(instant: Instant) -> Self {
        match instant {
            Instant::At(now) => Now::At(now),
            _ => Now::Native,
        }
    }
}

impl Now {
    #[inline(always)]
    fn is_before(self, deadline: f64) -> bool {
        match self {
            Now::Native => clock::is_before(deadline),
            Now::At(now) => now < deadline,
        }
    }

    fn roughly(self) -> f64 {
        match self {
            Now::Native => clock::coarse(),
            Now::At(now) => now,
        }
    }
}

impl Entry {
    /// An entry for a value that lives for `ttl` seconds from `now` on, and `idle` after each use.
    pub fn living(value: &Bound<'_, PyAny>, now: f64, ttl: f64, idle: f64) -> Self {
        let expires = now + ttl;
        Self {
            value: Field::holding(value),
            error: Field::empty(),
            quiet_until: expires,
            fresh_until: expires,
            expires,
            load_seconds: 0.0,
            idle,
            idle_until: AtomicU64::new((now + idle).to_bits()),
            provenance: None,
        }
    }

    /// The value, borrowed, if it may be returned without further ado; counts as a use.
    #[inline(always)]
    pub fn quiet_value(&self, now: Now) -> Option<Obj> {
        self.quiet_value_before(f64::INFINITY, now)
    }

    /// The same for a value that has another deadline as well: the clock is read once for all of them.
    #[inline(always)]
    pub fn quiet_value_before(&self, deadline: f64, now: Now) -> Option<Obj> {
        let mut deadline = if self.quiet_until < deadline {
            self.quiet_until
        } else {
            deadline
        };
        if let Some(provenance) = &self.provenance {
            deadline = provenance.limit(deadline)?;
        }
        if !now.is_before(deadline) {
            return None;
        }
        if self.idle < f64::INFINITY && !self.use_before_idle(now) {
            return None;
        }
        self.value.get()
    }

    fn use_before_idle(&self, now: Now) -> bool {
        let used = now.is_before(f64::from_bits(self.idle_until.load(Ordering::Relaxed)));
        if used {
            let until = now.roughly() + self.idle;
            self.idle_until.store(until.to_bits(), Ordering::Relaxed);
        }
        used
    }

    /// Whether it will never be returned again.
    pub fn is_gone(&self, now: Now) -> bool {
        let idle_until = f64::from_bits(self.idle_until.load(Ordering::Relaxed));
        !now.is_before(self.expires)
            || (self.idle < f64::INFINITY && !now.is_before(idle_until))
            || self
                .provenance
                .as_ref()
                .is_some_and(|provenance| provenance.is_invalid())
    }
}

#[pymethods]
impl Entry {
    #[new]
    #[pyo3(signature = (value, *, error = None, quiet_until, fresh_until, expires, load_seconds = 0.0, idle = f64::INFINITY, now = 0.0, coherence = None, stamp = None, names = None, needs_trust = false, extra = None))]
    #[expect(clippy::too_many_arguments, reason = "named arguments in Python")]
    fn new(
        value: &Bound<'_, PyAny>,
        error: Option<&Bound<'_, PyAny>>,
        quiet_until: f64,
        fresh_until: f64,
        expires: f64,
        load_seconds: f64,
        idle: f64,
        now: f64,
        coherence: Option<&Bound<'_, Coherence>>,
        stamp: Option<u64>,
        names: Option<&Bound<'_, PyTuple>>,
        needs_trust: bool,
        extra: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            value: if error.is_none() {
                Field::holding(value)
            } else {
                Field::empty()
            },
            error: error.map_or(Field::empty(), Field::holding),
            quiet_until,
            fresh_until,
            expires,
            load_seconds,
            idle,
            idle_until: AtomicU64::new((now + idle).to_bits()),
            provenance: Provenance::new(coherence, stamp, names, needs_trust, extra)?,
        })
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.bound(py)
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.error.bound(py)
    }

    #[getter]
    fn fresh_until(&self) -> f64 {
        self.fresh_until
    }

    /// Moves ahead with each use if there is an idle limit.
    #[getter]
    fn expires(&self) -> f64 {
        self.expires
            .min(f64::from_bits(self.idle_until.load(Ordering::Relaxed)))
    }

    #[getter]
    fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    #[getter]
    fn quiet_until(&self) -> f64 {
        self.quiet_until
    }

    #[getter]
    fn stamp(&self) -> Option<u64> {
        self.provenance.as_ref()?.stamp()
    }

    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.provenance
            .as_ref()
            .and_then(|provenance| provenance.names(py))
            .unwrap_or_else(|| PyTuple::empty(py).into_any())
    }

    #[getter]
    fn extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.provenance.as_ref()?.extra(py)
    }

    #[getter]
    fn standing(&self, py: Python<'_>) -> PyResult<&'static str> {
        match &self.provenance {
            Some(provenance) => Ok(provenance.standing(clock::present(py)?)),
            None => Ok(CURRENT),
        }
    }

    /// The standing at a time of another clock.
    fn _standing(&self, now: f64) -> &'static str {
        self.provenance
            .as_ref()
            .map_or(CURRENT, |provenance| provenance.standing(now))
    }

    /// Return the same entry, current as of `stamp`: its origin was found to be unchanged since.
    fn _restamped(&self, py: Python<'_>, stamp: u64) -> Self {
        let held = |field: &Field| {
            field
                .bound(py)
                .map_or(Field::empty(), |object| Field::holding(&object))
        };
        Self {
            value: held(&self.value),
            error: held(&self.error),
            quiet_until: self.quiet_until,
            fresh_until: self.fresh_until,
            expires: self.expires,
            load_seconds: self.load_seconds,
            idle: self.idle,
            idle_until: AtomicU64::new(self.idle_until.load(Ordering::Relaxed)),
            provenance: self
                .provenance
                .as_ref()
                .map(|provenance| provenance.restamped(py, stamp)),
        }
    }

    /// Notes a use at a time.
    fn _use(&self, now: f64) {
        self.idle_until
            .store((now + self.idle).to_bits(), Ordering::Relaxed);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = match self.error.bound(py) {
            Some(error) => format!("error={}", error.repr()?),
            None => match self.value.bound(py) {
                Some(value) => value.repr()?.to_string(),
                None => "None".to_owned(),
            },
        };
        Ok(format!(
            "Entry({shown}, fresh_until={}, expires={})",
            self.fresh_until,
            self.expires()
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.value.visit(&visit)?;
        self.error.visit(&visit)?;
        match &self.provenance {
            Some(provenance) => provenance.visit(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let mut gone = Gone::default();
        [&self.value, &self.error]
            .into_iter()
            .filter_map(Field::take)
            .chain(self.provenance.iter().flat_map(|known| known.clear()))
            .for_each(|object| gone.push(object));
    }
}

/// The entry behind an object of exactly that class.
///
/// # Safety
/// The object outlives the result's use.
#[inline(always)]
pub unsafe fn entry_of<'a>(object: &'a Obj, class: *mut ffi::PyTypeObject) -> Option<&'a Entry> {
    // SAFETY: the type is compared first; the class is final and frozen.
    unsafe {
        if ffi::Py_TYPE(object.as_ptr()) != class {
            return None;
        }
        let entry: &'a Py<Entry> = &*std::ptr::from_ref(object.as_py()).cast::<Py<Entry>>();
        Some(entry.get())
    }
}
