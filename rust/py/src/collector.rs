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
use pyo3::types::{PyList, PyType};

use crate::cache::Cache;
use crate::classes;
use crate::memory::MemoryCache;
use crate::tiered::TieredCache;

/// The functions that were there before, by family of classes.
static ORIGINALS: [AtomicPtr<c_void>; 3] = [const { AtomicPtr::new(null_mut()) }; 3];
const CACHES: usize = 0;
const MEMORY: usize = 1;
const TIERED: usize = 2;

unsafe extern "C" fn traverse<const FAMILY: usize>(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: CPython calls with the arguments of the slot; the pointer is that of the slot's
    // previous function.
    unsafe {
        let original = ORIGINALS[FAMILY].load(Ordering::Relaxed);
        let stopped = transmute::<*mut c_void, ffi::traverseproc>(original)(slf, visit, argument);
        if stopped != 0 {
            return stopped;
        }
        visit(ffi::Py_TYPE(slf).cast(), argument)
    }
}

/// Makes instances of `Cache`, `MemoryCache`, `TieredCache` and everything derived from them show their class, unless
/// they do: a reference shown twice would free what is in use.
pub fn install(py: Python<'_>) -> PyResult<()> {
    family::<CACHES>(&py.get_type::<Cache>(), &classes::all(py))?;
    let memory = py.get_type::<MemoryCache>();
    family::<MEMORY>(&memory, std::slice::from_ref(&memory))?;
    let tiered = py.get_type::<TieredCache>();
    family::<TIERED>(&tiered, std::slice::from_ref(&tiered))
}

fn family<const FAMILY: usize>(
    class: &Bound<'_, PyType>,
    derived: &[Bound<'_, PyType>],
) -> PyResult<()> {
    let sample = class.call_method1("__new__", (class,))?;
    let gc = class.py().import("gc")?;
    let shown = gc.call_method1("get_referents", (&sample,))?;
    let shown = shown.cast_into::<PyList>()?;
    if shown.iter().any(|referent| referent.is(class)) {
        return Ok(());
    }
    // SAFETY: the classes are complete and live as long as the process. A class that has the
    // function by inheritance needs the new one as well, for the old one looks for itself in the
    // slots of the instance's classes; one with a function of its own calls that of its base.
    unsafe {
        let Some(original) = (*class.as_type_ptr()).tp_traverse else {
            return Ok(());
        };
        ORIGINALS[FAMILY].store(original as *mut c_void, Ordering::Relaxed);
        for class in derived {
            let slot = &mut (*class.as_type_ptr()).tp_traverse;
            if slot.is_some_and(|function| function as usize == original as usize) {
                *slot = Some(traverse::<FAMILY>);
            }
        }
    }
    Ok(())
}
