//! Calls by CPython's vectorcall protocol (PEP 590) for PyO3 classes, which PyO3 does not offer.
//!
//! The protocol needs a function pointer at a known offset in the instance, and a flag in the type.
//! Safety argument: the offset is measured on an instance, for the layout is PyO3's own affair; both
//! are set before Python code can reach the class, and in subclasses before they have an instance;
//! `__call__` and the native function run the same code. A probe checks that calling works and agrees
//! with `__call__`; if not, the flags are taken back, and CPython calls `__call__`.

use std::ffi::c_ulong;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PySystemError;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use smallvec::SmallVec;

/// How instances of a class are called; nothing until it was installed.
pub struct Slots {
    offset: AtomicUsize,
    flags: AtomicUsize,
}

impl Slots {
    pub const fn new() -> Self {
        Self {
            offset: AtomicUsize::new(0),
            flags: AtomicUsize::new(0),
        }
    }

    /// Makes calls of a class's instances native. A `method` is found on a class and called with the
    /// instance first, without an object that binds them.
    pub fn install(&self, class: &Bound<'_, PyType>, offset: usize, method: bool) {
        let mut flags = ffi::Py_TPFLAGS_HAVE_VECTORCALL;
        if method {
            flags |= ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;
        }
        self.offset.store(offset, Ordering::Relaxed);
        self.flags.store(flags as usize, Ordering::Relaxed);
        adopt(class, self);
    }

    /// Takes it back.
    pub fn uninstall(&self, class: &Bound<'_, PyType>) {
        let flags = self.flags.swap(0, Ordering::Relaxed) as c_ulong;
        // SAFETY: the type is alive; without the flags CPython does not look at the offset.
        unsafe {
            let class = class.as_type_ptr();
            (*class).tp_flags &= !flags;
            ffi::PyType_Modified(class);
        }
    }
}

/// Gives a class, or a subclass of it, its slots.
pub fn adopt(class: &Bound<'_, PyType>, slots: &Slots) {
    let flags = slots.flags.load(Ordering::Relaxed) as c_ulong;
    if flags != 0 {
        // SAFETY: the type is alive and has no instances yet; instances of a subclass begin with
        // those of its base, so the offset is the same.
        unsafe {
            let class = class.as_type_ptr();
            (*class).tp_vectorcall_offset = slots.offset.load(Ordering::Relaxed) as ffi::Py_ssize_t;
            (*class).tp_flags |= flags;
            ffi::PyType_Modified(class);
        }
    }
}

/// Calls a vectorcall function with a tuple and a dict: what `__call__` does.
pub fn by_tuple<'py>(
    callable: &Bound<'py, PyAny>,
    function: ffi::vectorcallfunc,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let named: SmallVec<[(Bound<'py, PyAny>, Bound<'py, PyAny>); 4]> = kwargs
        .map(|kwargs| kwargs.iter().collect())
        .unwrap_or_default();
    let mut values: SmallVec<[*mut PyObject; 8]> =
        SmallVec::with_capacity(args.len() + named.len());
    let positional: SmallVec<[Bound<'py, PyAny>; 8]> = args.iter().collect();
    values.extend(positional.iter().map(|value| value.as_ptr()));
    values.extend(named.iter().map(|(_, value)| value.as_ptr()));
    let names = if named.is_empty() {
        None
    } else {
        Some(PyTuple::new(py, named.iter().map(|(name, _)| name))?)
    };
    let names = names.as_ref().map_or(null_mut(), |names| names.as_ptr());
    // SAFETY: the objects are held by `positional` and `named` during the call, whose result is a new
    // reference, or null with an exception set.
    unsafe {
        let result = function(callable.as_ptr(), values.as_ptr(), positional.len(), names);
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// Whether calling an object by the protocol gives what `__call__` gives.
pub fn agrees(probe: &Bound<'_, PyAny>, argument: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = probe.py();
    let by_call = probe.call_method1("__call__", (argument,))?;
    let arguments = [argument.as_ptr()];
    // SAFETY: the objects are alive; the result is a new reference, or null with an exception set.
    let by_vectorcall = unsafe {
        let result = ffi::PyObject_Vectorcall(probe.as_ptr(), arguments.as_ptr(), 1, null_mut());
        Bound::from_owned_ptr_or_err(py, result)
    }?;
    if by_call.is(&by_vectorcall) {
        Ok(true)
    } else {
        Err(PySystemError::new_err(
            "a call by vectorcall returned something else than __call__",
        ))
    }
}
