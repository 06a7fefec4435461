//! The short way for the common case of the hot operations.
//!
//! PyO3's generated methods keep books on each call (attachment, argument extraction, unwinding).
//! Here are bare C functions that answer what takes no Python code but the key's hash: a key of a
//! built-in type that is found or is absent, in a cache whose class overrides nothing. In every other
//! case they call the PyO3 method that they stand in front of, with the same arguments. So they are
//! an addition to speed and none to behaviour: without `install` every operation works alike.
//!
//! Safety of the functions: CPython calls them with the argument types of their slot, on an object
//! of the class that they were installed on, from an attached thread. They drop no `Py<T>` (PyO3
//! counts this thread as detached here and would put it off), catch panics, and set an exception
//! whenever they return the error value.
//!
//! - `methods`: the functions behind operators and methods.
//! - `constructors`: the functions behind calls of the classes.
//! - `update`: many items at once.
//! - `small_int`: the hash of most ints, without a call.
//! - `install`: puts them in front of PyO3's.

mod constructors;
pub mod install;
mod methods;
mod small_int;
mod update;

pub use install::adopt;
pub use methods::set_hashed;
pub use update::update;

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use crate::cache::Cache;
use crate::obj::Obj;

/// The methods that the functions here stand in front of, by class where classes differ.
struct Originals {
    getitem: [AtomicPtr<c_void>; CLASSES],
    contains: [AtomicPtr<c_void>; CLASSES],
    ass_subscript: AtomicPtr<c_void>,
    get: AtomicPtr<c_void>,
    pop: AtomicPtr<c_void>,
    setdefault: AtomicPtr<c_void>,
    iternext: AtomicPtr<c_void>,
}

/// Classes that differ in how they read.
const CLASSES: usize = 13;
const PLAIN: usize = 0;
const TIMED: usize = 12;

const fn unset() -> AtomicPtr<c_void> {
    AtomicPtr::new(null_mut())
}

static ORIGINALS: Originals = Originals {
    getitem: [const { unset() }; CLASSES],
    contains: [const { unset() }; CLASSES],
    ass_subscript: unset(),
    get: unset(),
    pop: unset(),
    setdefault: unset(),
    iternext: unset(),
};

pub type Binary = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject;
type Test = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> c_int;
pub type Assign = unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> c_int;
type Unary = unsafe extern "C" fn(*mut PyObject) -> *mut PyObject;
pub type Method = unsafe extern "C" fn(
    *mut PyObject,
    *const *mut PyObject,
    ffi::Py_ssize_t,
    *mut PyObject,
) -> *mut PyObject;

/// What a short way came to.
pub enum Short<T> {
    Done(T),
    /// Python raised; the exception is set.
    Raised,
    /// Take the long way.
    Pass,
}

/// Runs a short way; a panic becomes an exception.
#[inline(always)]
pub fn guarded<T>(short: impl FnOnce(Python<'_>) -> Short<T>) -> Short<T> {
    // SAFETY: CPython calls from an attached thread.
    let py = unsafe { Python::assume_attached() };
    catch_unwind(AssertUnwindSafe(|| short(py))).unwrap_or_else(|_| {
        // SAFETY: attached, and the message is a C string.
        unsafe {
            ffi::PyErr_SetString(
                ffi::PyExc_RuntimeError,
                c"overdrive: internal error (a bug)".as_ptr(),
            );
        }
        Short::Raised
    })
}

/// The cache behind an argument of its class.
///
/// # Safety
/// `slf` is an instance of `Cache` or a subclass and outlives the result's use.
#[inline(always)]
pub unsafe fn cache_of<'a>(py: Python<'_>, slf: &'a *mut PyObject) -> &'a Cache {
    // SAFETY: by contract.
    unsafe {
        let slf: &'a Py<Cache> = &*std::ptr::from_ref(slf).cast::<Py<Cache>>();
        let _ = py;
        slf.get()
    }
}

/// The hash of a key; `None` with an exception set.
///
/// # Safety
/// `key` is alive.
#[inline(always)]
pub unsafe fn hash_of(key: *mut PyObject) -> Option<u64> {
    // SAFETY: by contract; an exact `str` has its hash in the place named, -1 if not yet known.
    unsafe {
        // Without the GIL another thread may be writing it.
        if cfg!(not(Py_GIL_DISABLED)) && ffi::Py_TYPE(key) == &raw mut ffi::PyUnicode_Type {
            let hash = (*key.cast::<ffi::PyASCIIObject>()).hash;
            if hash != -1 {
                return Some(hash as u64);
            }
        }
        let kind = ffi::Py_TYPE(key);
        if kind == &raw mut ffi::PyLong_Type
            && let Some(hash) = small_int::hash(key)
        {
            return Some(hash);
        }
        let hash = ffi::PyObject_Hash(key);
        (hash != -1).then_some(hash as u64)
    }
}

/// # Safety
/// `object` is not null.
#[inline(always)]
pub unsafe fn obj(object: *mut PyObject) -> Obj {
    // SAFETY: by contract.
    Obj::from_non_null(unsafe { std::ptr::NonNull::new_unchecked(object) })
}
