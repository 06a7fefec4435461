//! Attributes of Python modules, looked up when they are first needed.
//!
//! The lookup runs Python code, which may need the same attribute or, on another thread, hold the
//! import lock that it waits for. So it is made outside of the cell, and whoever is first sets it;
//! `PyOnceLock::import` makes the others wait instead, for ever if they are the same thread.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// `module.name`.
pub struct Imported {
    module: &'static str,
    name: &'static str,
    value: PyOnceLock<Py<PyAny>>,
}

impl Imported {
    pub const fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            module,
            name,
            value: PyOnceLock::new(),
        }
    }

    pub fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        once(&self.value, py, || {
            py.import(self.module)?.getattr(self.name)
        })
    }
}

/// What `cell` holds, or else what `compute` finds, which it then holds unless another call was first.
pub fn once<'py>(
    cell: &PyOnceLock<Py<PyAny>>,
    py: Python<'py>,
    compute: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = cell.get(py) {
        return Ok(value.bind(py).clone());
    }
    let value = compute()?;
    if let Err(second) = cell.set(py, value.clone().unbind()) {
        // Given up by hand: the thread may be detached as far as PyO3 knows.
        drop(second.into_bound(py));
    }
    Ok(value)
}
