//! The short way for the hot operations of a `MemoryCache`, as `crate::fast` is for the other classes:
//! what takes no Python code but the key's hash, in a cache without a clock of its own. Everything
//! else takes the long way, with the same arguments.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use overdrive_core::size::Size;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::class::MemoryCache;
use super::contents::{Contents, New};
use crate::clock;
use crate::expiry::Instant;
use crate::fast::{Assign, Binary, Method, Short, guarded, hash_of, install, obj};
use crate::obj::{Gone, Obj};
use crate::store::{Item, Put, Quick};

static GETITEM: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static SETITEM: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static GET: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// # Safety
/// `slf` is an instance of `MemoryCache` or a subclass and outlives the result's use.
#[inline(always)]
unsafe fn cache_of(slf: &*mut PyObject) -> &MemoryCache {
    // SAFETY: by contract.
    unsafe { (*std::ptr::from_ref(slf).cast::<Py<MemoryCache>>()).get() }
}

/// A live value with a reference, counted as a hit; `None` takes the long way, also for a miss.
///
/// # Safety
/// The objects are alive.
#[inline(always)]
unsafe fn read(py: Python<'_>, slf: &*mut PyObject, key: *mut PyObject) -> Short<Obj> {
    // SAFETY: by contract.
    unsafe {
        let Some(hash) = hash_of(key) else {
            return Short::Raised;
        };
        let contents = &mut *cache_of(slf).contents.enter(py);
        let Quick::Slot(slot) = contents.store.find_now(hash, obj(key)) else {
            return Short::Pass;
        };
        if contents.clock.is_some() || !contents.is_live(slot, Instant::Native) {
            return Short::Pass;
        }
        if contents.watch.is_some() {
            return Short::Pass;
        }
        match contents.read_live(slot, Instant::Native) {
            Some(value) => Short::Done(value),
            None => Short::Pass,
        }
    }
}

unsafe extern "C" fn getitem(slf: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    // SAFETY: the arguments of the slot.
    match guarded(|py| unsafe { read(py, &slf, key) }) {
        Short::Done(value) => value.as_ptr(),
        Short::Raised => null_mut(),
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Pass => unsafe {
            transmute::<*mut c_void, Binary>(GETITEM.load(Ordering::Relaxed))(slf, key)
        },
    }
}

unsafe extern "C" fn get(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    let short = guarded(|py| {
        if !names.is_null() || !(1..=2).contains(&count) {
            return Short::Pass;
        }
        // SAFETY: the arguments of the method, of which there is one.
        unsafe { read(py, &slf, *arguments) }
    });
    match short {
        Short::Done(value) => value.as_ptr(),
        Short::Raised => null_mut(),
        // SAFETY: the pointer is that of the method's previous function.
        Short::Pass => unsafe {
            let original = GET.load(Ordering::Relaxed);
            transmute::<*mut c_void, Method>(original)(slf, arguments, count, names)
        },
    }
}

/// Whether setting an item calls nobody and weighs nothing.
#[inline(always)]
fn sets_silently(contents: &Contents) -> bool {
    contents.weigher.is_none()
        && contents.clock.is_none()
        && contents.bytes.is_none()
        && contents.departures.listener.is_none()
}

unsafe extern "C" fn ass_subscript(
    slf: *mut PyObject,
    key: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    let short = guarded(|py| {
        if value.is_null() {
            return Short::Pass;
        }
        // SAFETY: the arguments of the slot.
        unsafe {
            let Some(hash) = hash_of(key) else {
                return Short::Raised;
            };
            let mut gone = Gone::default();
            let contents = &mut *cache_of(&slf).contents.enter(py);
            if !sets_silently(contents) {
                return Short::Pass;
            }
            let at = match contents.store.find_now(hash, obj(key)) {
                Quick::Ask => return Short::Pass,
                Quick::Absent => None,
                Quick::Slot(slot) => Some(slot),
            };
            // A deadline wants the time to the tick; an age does not.
            let timed = contents.lifetimes.is_some() || contents.is_mortal();
            let new = New {
                item: Item {
                    hash,
                    key: obj(key),
                    value: obj(value),
                    size: Size::Int(1),
                    deadline: None,
                },
                bytes: 0,
                ttl: None,
                exact: false,
                tags: &[],
                now: if timed {
                    clock::monotonic()
                } else {
                    clock::coarse()
                },
            };
            contents.loads.forget(hash);
            match contents.put(at, &new, &mut gone) {
                Put::Done => Short::Done(()),
                _ => Short::Pass, // nothing has changed: the long way says what is wrong
            }
        }
    });
    match short {
        Short::Done(()) => 0,
        Short::Raised => -1,
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Pass => unsafe {
            let original = SETITEM.load(Ordering::Relaxed);
            transmute::<*mut c_void, Assign>(original)(slf, key, value)
        },
    }
}

/// Puts the short ways in front of the methods.
pub fn install(py: Python<'_>) -> PyResult<()> {
    if !cfg!(target_os = "linux") {
        return Ok(()); // where the clock is not read natively
    }
    let class = py.get_type::<MemoryCache>();
    install::replace_slot(&class, "__getitem__", getitem as *mut c_void, &GETITEM)?;
    for name in ["__setitem__", "__delitem__"] {
        install::replace_slot(&class, name, ass_subscript as *mut c_void, &SETITEM)?;
    }
    install::replace_method(&class, "get", get, &GET)
}
