//! `update` from a `dict`.

use std::ptr::null_mut;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::methods::set_now;
use super::{Short, guarded};
use crate::cache::Cache;
use crate::mapping::setitem;

/// Sets every item of a `dict` in a cache whose class does not override `__setitem__`.
///
/// Whatever setting an item runs may change the dict: it is then as if it had changed while a `for`
/// loop ran over it.
pub fn update(slf: &Bound<'_, Cache>, items: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = slf.py();
    let size = items.len();
    let mut position = 0;
    let (mut key, mut value) = (null_mut(), null_mut());
    loop {
        // SAFETY: the dict outlives the loop; with the GIL the borrowed references hold until other
        // code runs, and they are made strong before that. `PyDict_Next` checks the position.
        let (key, value) = unsafe {
            if ffi::PyDict_Next(
                items.as_ptr(),
                &raw mut position,
                &raw mut key,
                &raw mut value,
            ) == 0
            {
                return Ok(());
            }
            (
                Bound::from_borrowed_ptr(py, key),
                Bound::from_borrowed_ptr(py, value),
            )
        };
        // SAFETY: the objects are alive.
        let short =
            guarded(|py| unsafe { set_now(py, slf.get(), key.as_ptr(), value.as_ptr(), false) });
        match short {
            Short::Done(_) => {}
            Short::Raised => return Err(PyErr::fetch(py)),
            Short::Pass => setitem(slf, &key, &value)?,
        }
        if items.len() != size {
            return Err(PyRuntimeError::new_err(
                "dictionary changed size during iteration",
            ));
        }
    }
}
