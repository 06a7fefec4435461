//! Operators and methods: reading, storing, deleting, iterating.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use overdrive_core::size::Size;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::{
    Assign, Binary, CLASSES, Method, ORIGINALS, PLAIN, Short, TIMED, Test, Unary, cache_of,
    guarded, hash_of, obj,
};
use crate::cache::{Cache, Kind};
use crate::deadline::{Deadline, Memo};
use crate::expiry::{Due, Expiry, Instant, Verdict};
use crate::hooks::Hooks;
use crate::iter::{CacheIterator, Step, What};
use crate::obj::{Gone, Obj};
use crate::store::{Item, Put, Quick, Store};

impl Store {
    /// Whether an item is live, where that takes no Python code.
    #[inline(always)]
    pub fn judge_now(&self, py: Python<'_>, slot: overdrive_core::Slot) -> Option<bool> {
        if matches!(self.expiry, Expiry::Never) {
            return Some(true);
        }
        if !self.config.is_native(py) {
            return None;
        }
        match self.expiry.judge(slot, Instant::Native) {
            Verdict::Live => Some(true),
            Verdict::Expired => Some(false),
            Verdict::Ask(_) => None,
        }
    }

    /// A live value with a reference, counted as used; `Done(None)` if there is none.
    #[inline(always)]
    fn read_now(&mut self, py: Python<'_>, hash: u64, key: Obj) -> Short<Option<Obj>> {
        match self.find_now(hash, key) {
            Quick::Ask => Short::Pass,
            // A user's timer is called even then.
            Quick::Absent if self.config.timer.is_some() && !self.config.is_native(py) => {
                Short::Pass
            }
            Quick::Absent => Short::Done(None),
            Quick::Slot(slot) => match self.judge_now(py, slot) {
                None => Short::Pass,
                Some(false) => Short::Done(None),
                Some(true) => {
                    self.touch(slot);
                    Short::Done(Some(self.value(slot).incref()))
                }
            },
        }
    }
}

pub(super) unsafe extern "C" fn getitem<const CLASS: usize>(
    slf: *mut PyObject,
    key: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the slot; see the module.
    let short = guarded(|py| unsafe {
        let Some(hash) = hash_of(key) else {
            return Short::Raised;
        };
        cache_of(py, &slf).store.with(py, |store| {
            if CLASS == PLAIN {
                return match store.find_now(hash, obj(key)) {
                    Quick::Slot(slot) => Short::Done(Some(store.value(slot).incref())),
                    _ => Short::Pass,
                };
            }
            store.read_now(py, hash, obj(key))
        })
    });
    match short {
        Short::Done(Some(value)) => value.as_ptr(),
        Short::Raised => null_mut(),
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Done(None) | Short::Pass => unsafe {
            let original = ORIGINALS.getitem[CLASS].load(Ordering::Relaxed);
            transmute::<*mut c_void, Binary>(original)(slf, key)
        },
    }
}

pub(super) unsafe extern "C" fn contains<const CLASS: usize>(
    slf: *mut PyObject,
    key: *mut PyObject,
) -> c_int {
    // SAFETY: the arguments of the slot; see the module.
    let short = guarded(|py| unsafe {
        let Some(hash) = hash_of(key) else {
            return Short::Raised;
        };
        let cache = cache_of(py, &slf);
        if cache.hooks().any(Hooks::UNINITIALISED) {
            return Short::Pass;
        }
        cache
            .store
            .with(py, |store| match store.find_now(hash, obj(key)) {
                Quick::Ask => Short::Pass,
                Quick::Absent => Short::Done(false),
                Quick::Slot(_) if CLASS == PLAIN => Short::Done(true),
                Quick::Slot(slot) => store.judge_now(py, slot).map_or(Short::Pass, Short::Done),
            })
    });
    match short {
        Short::Done(found) => found.into(),
        Short::Raised => -1,
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Pass => unsafe {
            let original = ORIGINALS.contains[CLASS].load(Ordering::Relaxed);
            transmute::<*mut c_void, Test>(original)(slf, key)
        },
    }
}

/// Sets an item in a cache that overrides nothing, keeping a live one if asked to.
///
/// # Safety
/// The objects are alive.
#[inline(always)]
pub(super) unsafe fn set_now(
    py: Python<'_>,
    cache: &Cache,
    key: *mut PyObject,
    value: *mut PyObject,
    keep: bool,
) -> Short<Option<Obj>> {
    if cache.hooks() != Hooks::NONE {
        return Short::Pass;
    }
    // SAFETY: by contract.
    let Some(hash) = (unsafe { hash_of(key) }) else {
        // That the item could not fit anyway is to be said first.
        if cache
            .store
            .with(py, |store| store.refuses(Size::Int(1)).is_some())
        {
            // SAFETY: attached.
            unsafe { ffi::PyErr_Clear() };
            return Short::Pass;
        }
        return Short::Raised;
    };
    // SAFETY: by contract.
    unsafe { set_hashed(py, cache, hash, obj(key), obj(value), keep) }
}

/// As [`set_now`], with the hash of the key.
///
/// # Safety
/// The objects are alive.
#[inline(always)]
pub unsafe fn set_hashed(
    py: Python<'_>,
    cache: &Cache,
    hash: u64,
    key: Obj,
    value: Obj,
    keep: bool,
) -> Short<Option<Obj>> {
    if cache.hooks() != Hooks::NONE {
        return Short::Pass;
    }
    let mut gone = Gone::default();
    cache.store.with(py, |store| {
        let mut item = Item {
            hash,
            key,
            value,
            size: Size::Int(1),
            deadline: None,
        };
        let memo = Memo::default();
        match cache.kind() {
            Kind::Tlru => return Short::Pass, // asks the user's function for the deadline
            Kind::Ttl => {
                let native = store.config.is_native(py);
                let Some(ttl) = store.config.ttl_number.filter(|_| native) else {
                    return Short::Pass;
                };
                let now = crate::clock::monotonic();
                item.deadline = Some(Deadline::Number(now + ttl));
                loop {
                    match store
                        .expiry
                        .next_due(Instant::At(now), None, &memo, &mut gone)
                    {
                        Due::Nothing => break,
                        Due::Slot(slot) => store.expire(slot, &mut gone),
                        Due::Dead => {}
                        Due::Judge(deadline) => {
                            deadline.give_up(&mut gone);
                            return Short::Pass;
                        }
                        Due::Compare(a, b) => {
                            a.give_up(&mut gone);
                            b.give_up(&mut gone);
                            return Short::Pass;
                        }
                    }
                }
            }
            _ => {}
        }
        let at = match store.find_now(hash, key) {
            Quick::Ask => return Short::Pass,
            Quick::Absent => None,
            Quick::Slot(slot) if keep => {
                store.touch(slot);
                return Short::Done(Some(store.value(slot).incref()));
            }
            Quick::Slot(slot) if store.overwrite(slot, &item, &mut gone) => {
                return Short::Done(None);
            }
            Quick::Slot(slot) => Some(slot),
        };
        match store.put(at, &item, true, &memo, &mut gone) {
            Put::Done => Short::Done(None),
            Put::Compare(a, b) => {
                a.give_up(&mut gone);
                b.give_up(&mut gone);
                Short::Pass
            }
            _ => Short::Pass,
        }
    })
}

pub(super) unsafe extern "C" fn ass_subscript(
    slf: *mut PyObject,
    key: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    // SAFETY: the arguments of the slot; a null value means deletion; see the module.
    let short = guarded(|py| unsafe {
        let cache = cache_of(py, &slf);
        if !value.is_null() {
            return match set_now(py, cache, key, value, false) {
                Short::Done(_) => Short::Done(()),
                Short::Raised => Short::Raised,
                Short::Pass => Short::Pass,
            };
        }
        if cache.kind().is_timed() {
            return Short::Pass;
        }
        let Some(hash) = hash_of(key) else {
            return Short::Raised;
        };
        let mut gone = Gone::default();
        cache
            .store
            .with(py, |store| match store.find_now(hash, obj(key)) {
                Quick::Slot(slot) => {
                    store.remove(slot, &mut gone);
                    Short::Done(())
                }
                _ => Short::Pass,
            })
    });
    match short {
        Short::Done(()) => 0,
        Short::Raised => -1,
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Pass => unsafe {
            let original = ORIGINALS.ass_subscript.load(Ordering::Relaxed);
            transmute::<*mut c_void, Assign>(original)(slf, key, value)
        },
    }
}

/// The key and the optional second argument of a call with positional arguments only.
///
/// # Safety
/// `arguments` points to `count` objects.
#[inline(always)]
unsafe fn key_and_default(
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> Option<(*mut PyObject, Option<*mut PyObject>)> {
    if !names.is_null() {
        return None;
    }
    // SAFETY: by contract.
    unsafe {
        match count {
            1 => Some((*arguments, None)),
            2 => Some((*arguments, Some(*arguments.add(1)))),
            _ => None,
        }
    }
}

/// # Safety
/// As for a method with `METH_FASTCALL | METH_KEYWORDS` of `Cache`; `original` is one, too.
#[inline(always)]
unsafe fn method(
    original: &AtomicPtr<c_void>,
    slf: *mut PyObject,
    (arguments, count, names): (*const *mut PyObject, ffi::Py_ssize_t, *mut PyObject),
    short: impl FnOnce(Python<'_>, &Cache, *mut PyObject, Option<*mut PyObject>) -> Short<Obj>,
) -> *mut PyObject {
    let result = guarded(|py| {
        // SAFETY: by contract.
        unsafe {
            let Some((key, default)) = key_and_default(arguments, count, names) else {
                return Short::Pass;
            };
            short(py, cache_of(py, &slf), key, default)
        }
    });
    match result {
        Short::Done(value) => value.as_ptr(),
        Short::Raised => null_mut(),
        // SAFETY: by contract.
        Short::Pass => unsafe {
            let original = original.load(Ordering::Relaxed);
            transmute::<*mut c_void, Method>(original)(slf, arguments, count, names)
        },
    }
}

pub(super) unsafe extern "C" fn get(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method; see the module.
    unsafe {
        method(
            &ORIGINALS.get,
            slf,
            (arguments, count, names),
            |py, cache, key, default| {
                let seen = Hooks::CONTAINS
                    .and(Hooks::GETITEM)
                    .and(Hooks::UNINITIALISED);
                if cache.hooks().any(seen) {
                    return Short::Pass;
                }
                let Some(hash) = hash_of(key) else {
                    return Short::Raised;
                };
                match cache
                    .store
                    .with(py, |store| store.read_now(py, hash, obj(key)))
                {
                    Short::Done(Some(value)) => Short::Done(value),
                    Short::Done(None) => {
                        Short::Done(obj(default.unwrap_or(ffi::Py_None())).incref())
                    }
                    Short::Raised => Short::Raised,
                    Short::Pass => Short::Pass,
                }
            },
        )
    }
}

pub(super) unsafe extern "C" fn pop(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method; see the module.
    unsafe {
        method(
            &ORIGINALS.pop,
            slf,
            (arguments, count, names),
            |py, cache, key, default| {
                let seen = Hooks::CONTAINS.and(Hooks::GETITEM).and(Hooks::DELITEM);
                if cache.kind().is_timed() || cache.hooks().any(seen.and(Hooks::UNINITIALISED)) {
                    return Short::Pass;
                }
                let Some(hash) = hash_of(key) else {
                    return Short::Raised;
                };
                let mut gone = Gone::default();
                cache.store.with(py, |store| {
                    match (store.find_now(hash, obj(key)), default) {
                        (Quick::Slot(slot), _) => {
                            let (key, value) = store.take(slot, &mut gone);
                            gone.push(key);
                            Short::Done(value)
                        }
                        (Quick::Absent, Some(default)) => Short::Done(obj(default).incref()),
                        _ => Short::Pass,
                    }
                })
            },
        )
    }
}

pub(super) unsafe extern "C" fn setdefault(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of the method; see the module.
    unsafe {
        method(
            &ORIGINALS.setdefault,
            slf,
            (arguments, count, names),
            |py, cache, key, default| {
                if cache.kind().is_timed() {
                    return Short::Pass;
                }
                let default = default.unwrap_or(ffi::Py_None());
                match set_now(py, cache, key, default, true) {
                    Short::Done(Some(value)) => Short::Done(value),
                    Short::Done(None) => Short::Done(obj(default).incref()),
                    Short::Raised => Short::Raised,
                    Short::Pass => Short::Pass,
                }
            },
        )
    }
}

pub(super) unsafe extern "C" fn iternext(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: the argument of the slot; see the module.
    let short = guarded(|py| unsafe {
        let iterator: &Py<CacheIterator> = &*std::ptr::from_ref(&slf).cast::<Py<CacheIterator>>();
        if let Some((what, key, value)) = iterator.get().next_fetched(py) {
            return Short::Done((what, Step::Item(key, value)));
        }
        iterator.get().step_now(py).map_or(Short::Pass, Short::Done)
    });
    match short {
        // SAFETY: the references were taken in the region and are passed on.
        Short::Done((what, Step::Item(key, value))) => unsafe { yielded(what, key, value) },
        Short::Done((_, Step::Changed(message))) => {
            // SAFETY: attached.
            unsafe { ffi::PyErr_SetString(ffi::PyExc_RuntimeError, message.as_ptr()) };
            null_mut()
        }
        Short::Done(_) | Short::Raised => null_mut(),
        // SAFETY: the pointer is that of the slot's previous function.
        Short::Pass => unsafe {
            let original = ORIGINALS.iternext.load(Ordering::Relaxed);
            transmute::<*mut c_void, Unary>(original)(slf)
        },
    }
}

/// What an iterator yields, as a new reference.
///
/// # Safety
/// The references are owned and given up here.
#[inline(always)]
unsafe fn yielded(what: What, key: Obj, value: Option<Obj>) -> *mut PyObject {
    // SAFETY: by contract; a new tuple's items are set exactly once.
    unsafe {
        match (what, value) {
            (What::Values, Some(value)) => {
                ffi::Py_DECREF(key.as_ptr());
                value.as_ptr()
            }
            (What::Items, Some(value)) => {
                let pair = ffi::PyTuple_New(2);
                if pair.is_null() {
                    ffi::Py_DECREF(key.as_ptr());
                    ffi::Py_DECREF(value.as_ptr());
                } else {
                    ffi::PyTuple_SET_ITEM(pair, 0, key.as_ptr());
                    ffi::PyTuple_SET_ITEM(pair, 1, value.as_ptr());
                }
                pair
            }
            _ => key.as_ptr(),
        }
    }
}

/// `__getitem__`, by class.
pub(super) const GETITEMS: [Binary; CLASSES] = [
    getitem::<PLAIN>,
    getitem::<1>,
    getitem::<2>,
    getitem::<3>,
    getitem::<4>,
    getitem::<5>,
    getitem::<6>,
    getitem::<7>,
    getitem::<8>,
    getitem::<9>,
    getitem::<10>,
    getitem::<11>,
    getitem::<TIMED>,
];
