//! Whether a lock is held, asked without Python code.

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::prelude::*;

/// The C function behind `lock.locked()`, for the locks of the interpreter itself: calling it runs no
/// Python code. With the GIL a lock that is free stays free until we let go of the GIL, so that a
/// lookup under it need not take it.
pub fn probe_of(lock: &Bound<'_, PyAny>) -> Option<*mut c_void> {
    if cfg!(Py_GIL_DISABLED) {
        return None;
    }
    let class = lock.get_type();
    if class.getattr("__module__").ok()?.extract::<String>().ok()? != "_thread" {
        return None;
    }
    let method = class.getattr("locked").ok()?;
    // SAFETY: the type of the method is checked before its fields are read.
    unsafe {
        if ffi::Py_TYPE(method.as_ptr()) != &raw mut ffi::PyMethodDescr_Type {
            return None;
        }
        let definition = (*method.as_ptr().cast::<ffi::PyMethodDescrObject>()).d_method;
        if (*definition).ml_flags != ffi::METH_NOARGS {
            return None;
        }
        Some((*definition).ml_meth.PyCFunction as *mut c_void)
    }
}
