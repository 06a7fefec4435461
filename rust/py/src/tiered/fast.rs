//! The short ways to a hit, as `crate::fast` is for the other classes: what takes no Python code but the
//! key's hash, in a first tier without a clock of its own. Everything else takes the long way, with the same
//! arguments.

use std::ffi::c_void;
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::class::TieredCache;
use crate::expiry::Instant;
use crate::fast::{Method, Short, guarded, hash_of, install as methods, obj};
use crate::memo::Ready;
use crate::memory::MemoryCache;
use crate::obj::Obj;
use crate::store::Quick;

static GET: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static AGET: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static HIT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// A value that may be returned as it is, with a reference, counted as a hit.
///
/// # Safety
/// `slf` is a `TieredCache`, or of a subclass; both objects are alive.
#[inline(always)]
unsafe fn read(py: Python<'_>, slf: &*mut PyObject, key: *mut PyObject) -> Short<Obj> {
    // SAFETY: by contract; the first tier is a `MemoryCache` and held by the cache.
    unsafe {
        let Some(hash) = hash_of(key) else {
            return Short::Raised;
        };
        let cache = (*std::ptr::from_ref(slf).cast::<Py<TieredCache>>()).get();
        let Some(l1) = cache.l1.get() else {
            return Short::Pass;
        };
        let l1 = (*std::ptr::from_ref(l1.as_py()).cast::<Py<MemoryCache>>()).get();
        let contents = &mut *l1.contents.enter(py);
        let Quick::Slot(slot) = contents.store.find_now(hash, obj(key)) else {
            return Short::Pass;
        };
        if contents.clock.is_some() || contents.watch.is_some() {
            return Short::Pass;
        }
        match contents.read_quiet_at(slot, Instant::Native) {
            Some(value) => {
                cache.hits.add(1);
                Short::Done(value)
            }
            None => Short::Pass,
        }
    }
}

/// A method whose hits become what `answer` makes of them.
///
/// # Safety
/// The arguments are those of a method with `METH_FASTCALL | METH_KEYWORDS` of `TieredCache`; `original` is
/// one, too. `answer` takes over the reference and returns a new one, or null with an exception set.
#[inline(always)]
unsafe fn method(
    original: &AtomicPtr<c_void>,
    slf: *mut PyObject,
    (arguments, count, names): (*const *mut PyObject, ffi::Py_ssize_t, *mut PyObject),
    answer: impl FnOnce(Obj) -> *mut PyObject,
) -> *mut PyObject {
    let short = guarded(|py| {
        if !names.is_null() || !(1..=2).contains(&count) {
            return Short::Pass;
        }
        // SAFETY: by contract; there is one argument at least.
        unsafe { read(py, &slf, *arguments) }
    });
    match short {
        Short::Done(value) => answer(value),
        Short::Raised => null_mut(),
        // SAFETY: by contract.
        Short::Pass => unsafe {
            let original = original.load(Ordering::Relaxed);
            transmute::<*mut c_void, Method>(original)(slf, arguments, count, names)
        },
    }
}

unsafe extern "C" fn get(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method.
    unsafe { method(&GET, slf, (arguments, count, names), Obj::as_ptr) }
}

unsafe extern "C" fn hit(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method.
    unsafe { method(&HIT, slf, (arguments, count, names), Obj::as_ptr) }
}

unsafe extern "C" fn aget(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method, from an attached thread; the reference was taken in the region.
    unsafe {
        method(&AGET, slf, (arguments, count, names), |value| {
            Ready::answer(Python::assume_attached(), value)
        })
    }
}

/// Puts the short ways in front of the methods.
pub fn install(py: Python<'_>) -> PyResult<()> {
    if !cfg!(target_os = "linux") {
        return Ok(()); // where the clock is not read natively
    }
    let class = py.get_type::<TieredCache>();
    methods::replace_method(&class, "get", get, &GET)?;
    methods::replace_method(&class, "aget", aget, &AGET)?;
    methods::replace_method(&class, "_hit", hit, &HIT)
}
