//! The exception that is set, taken and given back by hand.
//!
//! A `PyErr` may not be dropped here: PyO3 counts a thread that CPython calls directly as detached. A
//! `Bound` may.

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

/// Takes the exception that is set.
pub fn take(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: attached; the references are handed over.
    unsafe {
        #[cfg(Py_3_12)]
        let error = ffi::PyErr_GetRaisedException();
        #[cfg(not(Py_3_12))]
        let error = {
            let (mut kind, mut error, mut traceback) = (null_mut(), null_mut(), null_mut());
            ffi::PyErr_Fetch(&raw mut kind, &raw mut error, &raw mut traceback);
            if kind.is_null() {
                return None;
            }
            ffi::PyErr_NormalizeException(&raw mut kind, &raw mut error, &raw mut traceback);
            if !traceback.is_null() {
                ffi::PyException_SetTraceback(error, traceback);
            }
            ffi::Py_XDECREF(kind);
            ffi::Py_XDECREF(traceback);
            error
        };
        Bound::from_owned_ptr_or_opt(py, error)
    }
}

/// Sets an exception.
pub fn set(error: Bound<'_, PyAny>) {
    // SAFETY: attached; the references are handed over.
    unsafe {
        #[cfg(Py_3_12)]
        ffi::PyErr_SetRaisedException(error.into_ptr());
        #[cfg(not(Py_3_12))]
        {
            let kind = error.get_type().into_any().into_ptr();
            let error = error.into_ptr();
            ffi::PyErr_Restore(kind, error, ffi::PyException_GetTraceback(error));
        }
    }
}

/// Sets a `PyErr`.
///
/// One that has not been raised yet is made an exception first, with the thread counted as attached:
/// `restore` alone would drop its parts while it is not.
#[cold]
pub fn raise(py: Python<'_>, error: PyErr) {
    let _ = error.value(py);
    error.restore(py);
}
