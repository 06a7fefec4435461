//! A call by CPython's vectorcall protocol, and passing it on.

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use smallvec::SmallVec;

use super::key::Arguments;
use super::shape::Shape;
use crate::fast::obj;
use crate::obj::Obj;

/// A call as it came.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub slf: *mut PyObject,
    /// Positional arguments, then the values of keywords.
    pub all: &'a [Obj],
    pub positional: usize,
    pub names: *mut PyObject,
}

/// An exception is set.
pub struct Raised;

/// A new reference, or null with an exception set.
pub type Answer = *mut PyObject;

impl<'a> Call<'a> {
    /// # Safety
    /// The arguments of a vectorcall.
    #[inline(always)]
    pub unsafe fn new(
        slf: *mut PyObject,
        arguments: *const *mut PyObject,
        count: usize,
        names: *mut PyObject,
    ) -> Self {
        // SAFETY: by contract; no argument is null, and `Obj` is a transparent wrapper.
        unsafe {
            let positional = ffi::PyVectorcall_NARGS(count) as usize;
            let named = if names.is_null() {
                0
            } else {
                ffi::PyTuple_GET_SIZE(names) as usize
            };
            let len = positional + named;
            let all = if len == 0 {
                &[]
            } else {
                std::slice::from_raw_parts(arguments.cast::<Obj>(), len)
            };
            Self {
                slf,
                all,
                positional,
                names,
            }
        }
    }

    /// The arguments that are part of the key.
    #[inline(always)]
    pub fn keyed(&self, shape: Shape) -> Arguments<'a> {
        let skipped = usize::from(shape.any(Shape::SKIP_FIRST) && self.positional > 0);
        Arguments {
            values: &self.all[skipped..],
            positional: self.positional - skipped,
            names: self.names,
        }
    }

    /// Calls `function` with the arguments.
    pub unsafe fn pass_to(&self, function: Obj) -> Answer {
        // SAFETY: the arguments are those of a vectorcall.
        unsafe {
            ffi::PyObject_Vectorcall(
                function.as_ptr(),
                self.all.as_ptr().cast(),
                self.positional,
                self.names,
            )
        }
    }

    /// Calls `function` with the memo and the arguments.
    pub unsafe fn forward_to(&self, function: Obj) -> Answer {
        let mut all: SmallVec<[*mut PyObject; 8]> = SmallVec::with_capacity(self.all.len() + 1);
        all.push(self.slf);
        all.extend(self.all.iter().map(|object| object.as_ptr()));
        // SAFETY: as above.
        unsafe {
            ffi::PyObject_Vectorcall(
                function.as_ptr(),
                all.as_ptr(),
                self.positional + 1,
                self.names,
            )
        }
    }

    /// The arguments as a tuple, and those given by name as a dict or `None`.
    pub fn packed<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let (positional, values) = self.all.split_at(self.positional);
        let args = PyTuple::new(py, positional.iter().map(|object| object.to_bound(py)))?;
        if self.names.is_null() {
            return Ok((args, None));
        }
        let kwargs = PyDict::new(py);
        for (at, value) in values.iter().enumerate() {
            // SAFETY: the tuple has a name for each value.
            let name = unsafe { obj(ffi::PyTuple_GET_ITEM(self.names, at as ffi::Py_ssize_t)) };
            kwargs.set_item(name.to_bound(py), value.to_bound(py))?;
        }
        Ok((args, Some(kwargs)))
    }
}
