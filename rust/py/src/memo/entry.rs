//! A result that knows its times.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, ffi};

use super::field::Field;
use crate::clock;
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
}

/// The time now, as an entry is judged by.
#[derive(Clone, Copy)]
pub enum Now {
    Native,
    At(f64),
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
        }
    }

    /// The value, borrowed, if it may be returned without further ado; counts as a use.
    #[inline(always)]
    pub fn quiet_value(&self, now: Now) -> Option<Obj> {
        if !now.is_before(self.quiet_until) {
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
        !now.is_before(self.expires) || (self.idle < f64::INFINITY && !now.is_before(idle_until))
    }
}

#[pymethods]
impl Entry {
    #[new]
    #[pyo3(signature = (value, *, error = None, quiet_until, fresh_until, expires, load_seconds = 0.0, idle = f64::INFINITY, now = 0.0))]
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
    ) -> Self {
        Self {
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
        }
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
        self.error.visit(&visit)
    }

    fn __clear__(&self) {
        let mut gone = Gone::default();
        [&self.value, &self.error]
            .into_iter()
            .filter_map(Field::take)
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
