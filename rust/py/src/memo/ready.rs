//! What a memoized coroutine function returns on a hit: an awaitable whose result is already there.
//!
//! It stands for a coroutine that is finished at its first step: it may be awaited once, be made a
//! task, or be dropped without a warning, for there is nothing left to run. CPython reaches it through
//! `am_await`, `am_send` and `tp_iternext`; PyO3 has no way to define the second, and its trampolines
//! would be most of the cost of the others, so `install` puts bare functions into these slots.

use std::ptr::null_mut;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use super::field::Field;
use super::raised;
use crate::obj::{Gone, Obj};

/// An awaitable result.
#[pyclass(frozen, freelist = 64, module = "overdrive._core", name = "Ready")]
pub struct Ready {
    value: Field,
}

impl Ready {
    /// An awaitable for a value, whose reference is taken over.
    ///
    /// # Safety
    /// The reference is owned.
    #[inline]
    pub unsafe fn answer(py: Python<'_>, value: Obj) -> *mut PyObject {
        // SAFETY: by contract.
        let value = unsafe { value.into_bound(py) };
        match Bound::new(py, Self::holding(&value)) {
            Ok(ready) => ready.into_ptr(),
            Err(error) => {
                raised::raise(py, error);
                null_mut()
            }
        }
    }

    /// The same for a value that stays with the caller, too.
    pub fn holding(value: &Bound<'_, PyAny>) -> Self {
        Self {
            value: Field::holding(value),
        }
    }

    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.value.take() {
            // SAFETY: the reference was the field's.
            Some(value) => Ok(unsafe { value.into_bound(py) }),
            None => Err(PyRuntimeError::new_err(
                "cannot reuse already awaited coroutine",
            )),
        }
    }
}

#[pymethods]
impl Ready {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Err(PyStopIteration::new_err((self.finish(py)?.unbind(),)))
    }

    /// Finish, whatever is sent.
    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !value.is_none() {
            return Err(PyTypeError::new_err(
                "can't send non-None value to a just-started coroutine",
            ));
        }
        self.__next__(py)
    }

    /// Finish with an exception.
    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: &Bound<'py, PyAny>,
        value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        drop(self.finish(py)?);
        let error = if kind.is_instance_of::<pyo3::exceptions::PyBaseException>() {
            kind.clone()
        } else {
            match value.filter(|value| !value.is_none()) {
                Some(value) if value.is_instance_of::<pyo3::exceptions::PyBaseException>() => {
                    value.clone()
                }
                Some(value) if value.is_instance_of::<PyTuple>() => {
                    kind.call1(value.cast::<PyTuple>()?.clone())?
                }
                Some(value) => kind.call1((value,))?,
                None => kind.call0()?,
            }
        };
        if let Some(traceback) = traceback.filter(|traceback| !traceback.is_none()) {
            error.setattr("__traceback__", traceback)?;
        }
        Err(PyErr::from_value(error))
    }

    /// Finish without a result.
    fn close(&self) {
        let mut gone = Gone::default();
        self.value
            .take()
            .into_iter()
            .for_each(|value| gone.push(value));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.value.visit(&visit)
    }

    fn __clear__(&self) {
        self.close();
    }
}

/// The value, taken from an instance of the class.
///
/// # Safety
/// `slf` is alive and an instance of `Ready`.
#[inline(always)]
unsafe fn taken(slf: *mut PyObject) -> Option<Obj> {
    // SAFETY: by contract.
    unsafe {
        let ready: &Py<Ready> = &*std::ptr::from_ref(&slf).cast::<Py<Ready>>();
        let value = ready.get().value.take();
        if value.is_none() {
            ffi::PyErr_SetString(
                ffi::PyExc_RuntimeError,
                c"cannot reuse already awaited coroutine".as_ptr(),
            );
        }
        value
    }
}

unsafe extern "C" fn am_await(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: the argument of the slot is alive.
    unsafe { ffi::Py_NewRef(slf) }
}

unsafe extern "C" fn am_send(
    slf: *mut PyObject,
    sent: *mut PyObject,
    result: *mut *mut PyObject,
) -> ffi::PySendResult {
    // SAFETY: the arguments of the slot: an instance, what is sent, and where the result goes.
    unsafe {
        *result = null_mut();
        if sent != ffi::Py_None() && !sent.is_null() {
            ffi::PyErr_SetString(
                ffi::PyExc_TypeError,
                c"can't send non-None value to a just-started coroutine".as_ptr(),
            );
            return ffi::PySendResult::PYGEN_ERROR;
        }
        match taken(slf) {
            Some(value) => {
                *result = value.as_ptr();
                ffi::PySendResult::PYGEN_RETURN
            }
            None => ffi::PySendResult::PYGEN_ERROR,
        }
    }
}

unsafe extern "C" fn tp_iternext(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: the argument of the slot is alive and an instance; the value's reference is ours.
    unsafe {
        let Some(value) = taken(slf).map(Obj::as_ptr) else {
            return null_mut();
        };
        // The end without an exception is a result of None.
        if value != ffi::Py_None() {
            stop(value);
        }
        ffi::Py_DECREF(value);
        null_mut()
    }
}

/// Raises `StopIteration(value)`.
///
/// # Safety
/// Attached, and `value` is alive.
#[cfg(Py_3_12)]
unsafe fn stop(value: *mut PyObject) {
    // The interpreter asks for this exception at each `await`, to take the value out of it. So it is
    // made without the detour through the call of its class, which would parse the arguments.
    // SAFETY: by contract; a new tuple's item is set once; `tp_new` of the built-in exception keeps the
    // arguments and leaves the value, which its `__init__` would set, empty or None.
    unsafe {
        let arguments = ffi::PyTuple_New(1);
        if arguments.is_null() {
            return;
        }
        ffi::PyTuple_SET_ITEM(arguments, 0, ffi::Py_NewRef(value));
        let class = ffi::PyExc_StopIteration.cast::<ffi::PyTypeObject>();
        let error = match (*class).tp_new {
            Some(new) => new(class, arguments, null_mut()),
            None => null_mut(),
        };
        ffi::Py_DECREF(arguments);
        if !error.is_null() {
            let place = &raw mut (*error.cast::<ffi::PyStopIterationObject>()).value;
            let empty = std::mem::replace(&mut *place, ffi::Py_NewRef(value));
            ffi::Py_XDECREF(empty);
            ffi::PyErr_SetRaisedException(error);
        }
    }
}

/// Raises `StopIteration(value)`.
///
/// # Safety
/// Attached, and `value` is alive.
#[cfg(not(Py_3_12))]
unsafe fn stop(value: *mut PyObject) {
    // SAFETY: by contract.
    unsafe {
        // CPython would take a tuple for the arguments of the exception, and an exception for itself.
        let plain = ffi::PyTuple_Check(value) == 0 && ffi::PyExceptionInstance_Check(value) == 0;
        if plain {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, value);
            return;
        }
        let mut arguments = [value];
        let error = ffi::PyObject_Vectorcall(
            ffi::PyExc_StopIteration,
            arguments.as_mut_ptr(),
            1,
            null_mut(),
        );
        if !error.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, error);
            ffi::Py_DECREF(error);
        }
    }
}

/// Puts the bare functions into the slots of the class.
pub fn install(py: Python<'_>) {
    let class = py.get_type::<Ready>();
    // SAFETY: the class is complete and final, no instance exists yet, and its slots are its own.
    unsafe {
        let class = class.as_type_ptr();
        if let Some(slots) = (*class).tp_as_async.as_mut() {
            slots.am_await = Some(am_await);
            slots.am_send = Some(am_send);
            (*class).tp_iternext = Some(tp_iternext);
            ffi::PyType_Modified(class);
        }
    }
}
