//! A memoized method of an instance, detached from it: `m = obj.m; m(1)`.

use std::mem::offset_of;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use smallvec::SmallVec;

use super::field::Field;
use super::vectorcall::{self, Slots};
use crate::obj::{Gone, Obj};

/// Calls a function with an object put before the arguments.
#[pyclass(
    frozen,
    subclass,
    dict,
    weakref,
    module = "overdrive._core",
    name = "BoundMemo"
)]
pub struct BoundMemo {
    vectorcall: AtomicPtr<std::ffi::c_void>,
    function: Field,
    object: Field,
}

#[pymethods]
impl BoundMemo {
    #[new]
    fn new(function: &Bound<'_, PyAny>, instance: &Bound<'_, PyAny>) -> Self {
        Self {
            vectorcall: AtomicPtr::new(call as *mut std::ffi::c_void),
            function: Field::holding(function),
            object: Field::holding(instance),
        }
    }

    /// The function that is called.
    #[getter]
    fn __func__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.function.bound(py)
    }

    /// The object that is passed first.
    #[getter]
    fn __self__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.object.bound(py)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::by_tuple(slf.as_any(), call, args, kwargs)
    }

    /// Prepares a subclass for native calls.
    #[classmethod]
    fn __init_subclass__(cls: &Bound<'_, PyType>) {
        vectorcall::adopt(cls, &SLOTS);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.function.visit(&visit)?;
        self.object.visit(&visit)
    }

    fn __clear__(&self) {
        let mut gone = Gone::default();
        [&self.function, &self.object]
            .into_iter()
            .filter_map(Field::take)
            .for_each(|object| gone.push(object));
    }
}

static SLOTS: Slots = Slots::new();

/// Makes calls of instances native.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<BoundMemo>();
    let nothing = py.None().into_bound(py);
    let sample = Bound::new(py, BoundMemo::new(&nothing, &nothing))?;
    let inside = std::ptr::from_ref(sample.get()).addr() - sample.as_ptr().addr();
    SLOTS.install(&class, inside + offset_of!(BoundMemo, vectorcall), false);
    Ok(())
}

unsafe extern "C" fn call(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        let bound: &Py<BoundMemo> = &*std::ptr::from_ref(&slf).cast::<Py<BoundMemo>>();
        let bound = bound.get();
        let (Some(function), Some(object)) = (bound.function.get(), bound.object.get()) else {
            ffi::PyErr_SetString(
                ffi::PyExc_ReferenceError,
                c"the method's function is gone".as_ptr(),
            );
            return null_mut();
        };
        let positional = ffi::PyVectorcall_NARGS(count) as usize;
        let named = if names.is_null() {
            0
        } else {
            ffi::PyTuple_GET_SIZE(names) as usize
        };
        let given = std::slice::from_raw_parts(arguments, positional + named);
        let mut all: SmallVec<[*mut PyObject; 8]> = SmallVec::with_capacity(given.len() + 1);
        all.push(object.as_ptr());
        all.extend_from_slice(given);
        // Both outlive the call, even if it drops this object.
        let (function, object): (Obj, Obj) = (function.incref(), object.incref());
        let result =
            ffi::PyObject_Vectorcall(function.as_ptr(), all.as_ptr(), positional + 1, names);
        ffi::Py_DECREF(function.as_ptr());
        ffi::Py_DECREF(object.as_ptr());
        result
    }
}
