//! A result that brings its time-to-live along.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use super::field::Field;
use crate::obj::{Gone, Obj};

static CLASS: AtomicPtr<PyObject> = AtomicPtr::new(null_mut());

/// Returned by a memoized function to say how long its result is to be used.
///
/// The caller gets the value alone. The function must have been decorated with a time option, such as
/// `ttl=math.inf`.
///
/// Args:
///     value: the result.
///     ttl: seconds, or a `timedelta`; 0 to return the value without keeping it.
#[pyclass(frozen, module = "overdrive", name = "WithTTL")]
pub struct WithTtl {
    value: Field,
    ttl: Field,
}

#[pymethods]
impl WithTtl {
    #[new]
    fn new(value: &Bound<'_, PyAny>, ttl: &Bound<'_, PyAny>) -> Self {
        Self {
            value: Field::holding(value),
            ttl: Field::holding(ttl),
        }
    }

    /// The result.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.bound(py)
    }

    /// As given.
    #[getter]
    fn ttl<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.ttl.bound(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.value.visit(&visit)?;
        self.ttl.visit(&visit)
    }

    fn __clear__(&self) {
        let mut gone = Gone::default();
        [&self.value, &self.ttl]
            .into_iter()
            .filter_map(Field::take)
            .for_each(|object| gone.push(object));
    }
}

/// Makes the class known; it lives as long as the process.
pub fn install(py: Python<'_>) {
    CLASS.store(py.get_type::<WithTtl>().into_ptr(), Ordering::Relaxed);
}

/// Whether a result is one of these.
#[inline(always)]
pub fn is_marker(result: Obj) -> bool {
    // SAFETY: the object is alive.
    let class = unsafe { ffi::Py_TYPE(result.as_ptr()) };
    class.cast() == CLASS.load(Ordering::Relaxed)
}
