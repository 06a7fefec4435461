//! Showing the garbage collector what class an instance is of.
//!
//! An instance of a class made at run time owns a reference to its class, and has to say so when it
//! is traversed: otherwise a class that refers to one of its own instances is never freed. PyO3's
//! instances do not, and CPython leaves it to them for instances of their subclasses in Python.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::cache::Cache;
use crate::classes;

static ORIGINAL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: CPython calls with the arguments of the slot; the pointer is that of the slot's
    // previous function.
    unsafe {
        let original = ORIGINAL.load(Ordering::Relaxed);
        let stopped = transmute::<*mut c_void, ffi::traverseproc>(original)(slf, visit, argument);
        if stopped != 0 {
            return stopped;
        }
        visit(ffi::Py_TYPE(slf).cast(), argument)
    }
}

/// Makes instances of `Cache` and everything derived from it show their class, unless they do:
/// a reference shown twice would free what is in use.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<Cache>();
    let sample = class.call_method1("__new__", (&class,))?;
    let shown = py.import("gc")?.call_method1("get_referents", (&sample,))?;
    let shown = shown.cast_into::<PyList>()?;
    if shown.iter().any(|referent| referent.is(&class)) {
        return Ok(());
    }
    // SAFETY: the classes are complete and live as long as the process. A class that has the
    // function by inheritance needs the new one as well, for the old one looks for itself in the
    // slots of the instance's classes; one with a function of its own calls that of its base.
    unsafe {
        let Some(original) = (*class.as_type_ptr()).tp_traverse else {
            return Ok(());
        };
        ORIGINAL.store(original as *mut c_void, Ordering::Relaxed);
        for class in classes::all(py) {
            let slot = &mut (*class.as_type_ptr()).tp_traverse;
            if slot.is_some_and(|function| function as usize == original as usize) {
                *slot = Some(traverse);
            }
        }
    }
    Ok(())
}
