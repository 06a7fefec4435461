//! A reference to a Python object in an object that is shared between threads.

use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::obj::{Gone, Obj};

/// An owned reference that is set at the start of an object's life and taken away at its end: by
/// `__clear__`, or when the object goes. So what was read stays alive while the object is in use.
pub struct Field(AtomicPtr<PyObject>);

impl Field {
    /// Nothing yet.
    pub const fn empty() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// With a reference of its own to `object`.
    pub fn holding(object: &Bound<'_, PyAny>) -> Self {
        Self(AtomicPtr::new(Obj::owned(object).as_ptr()))
    }

    /// What it refers to, borrowed.
    #[inline(always)]
    pub fn get(&self) -> Option<Obj> {
        NonNull::new(self.0.load(Ordering::Relaxed)).map(Obj::from_non_null)
    }

    /// The same with a reference.
    pub fn bound<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.get().map(|object| object.to_bound(py))
    }

    /// Refers to something else; the old reference goes to `gone`.
    pub fn set(&self, object: Option<&Bound<'_, PyAny>>, gone: &mut Gone) {
        let new = object.map_or(null_mut(), |object| Obj::owned(object).as_ptr());
        if let Some(old) = NonNull::new(self.0.swap(new, Ordering::AcqRel)) {
            gone.push(Obj::from_non_null(old));
        }
    }

    /// Refers to something for the first time; returns whether it was.
    pub fn begin(&self, object: &Bound<'_, PyAny>) -> bool {
        let new = Obj::owned(object);
        let empty = null_mut();
        let began =
            self.0
                .compare_exchange(empty, new.as_ptr(), Ordering::AcqRel, Ordering::Relaxed);
        if began.is_err() {
            let mut gone = Gone::default();
            gone.push(new);
        }
        began.is_ok()
    }

    /// Takes the reference away.
    pub fn take(&self) -> Option<Obj> {
        NonNull::new(self.0.swap(null_mut(), Ordering::AcqRel)).map(Obj::from_non_null)
    }

    /// Shows the garbage collector what it refers to.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.get() {
            Some(object) => visit.call(object.as_py()),
            None => Ok(()),
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if let Some(object) = self.take() {
            let mut gone = Gone::default();
            gone.push(object);
        }
    }
}
