//! Calls of the classes themselves.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::{Short, cache_of, guarded, unset};
use crate::cache::{Cache, Kind};
use crate::classes;
use crate::construct;

/// The classes that can be constructed the short way.
const CONSTRUCTORS: [Kind; 14] = [
    Kind::Cache,
    Kind::Fifo,
    Kind::Lru,
    Kind::Lfu,
    Kind::Rr,
    Kind::Arc,
    Kind::TwoQ,
    Kind::S3Fifo,
    Kind::Sieve,
    Kind::Lirs,
    Kind::WTinyLfu,
    Kind::Adaptive,
    Kind::Ttl,
    Kind::Tlru,
];

/// `tp_new` and `tp_init` of each: another value means that someone replaced them.
static ORIGINALS: [[AtomicPtr<c_void>; 2]; CONSTRUCTORS.len()] =
    [const { [unset(), unset()] }; CONSTRUCTORS.len()];

/// Calls of the classes themselves: `LRUCache(maxsize)`, `TTLCache(maxsize, ttl)`, by position or
/// keyword, with an `int` or `float` that needs no checking beyond its range.
unsafe extern "C" fn call_class<const KIND: usize>(
    class: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall; see the module.
    let short = guarded(|py| unsafe {
        let type_object = class.cast::<ffi::PyTypeObject>();
        let [new, init] = &ORIGINALS[KIND];
        let patched = (*type_object).tp_new.map(|new| new as *mut c_void)
            != Some(new.load(Ordering::Relaxed))
            || (*type_object).tp_init.map(|init| init as *mut c_void)
                != Some(init.load(Ordering::Relaxed));
        let kind = CONSTRUCTORS[KIND];
        let positional = ffi::PyVectorcall_NARGS(count) as usize;
        let Some((maxsize, second)) =
            sizes(kind, arguments, positional, names).filter(|_| !patched)
        else {
            return Short::Pass;
        };
        let maxsize = Bound::from_borrowed_ptr(py, maxsize);
        let second = second.map(|second| Bound::from_borrowed_ptr(py, second));
        let Some(store) = construct::plain(kind, &maxsize, second.as_ref()) else {
            return Short::Pass;
        };
        let object = ffi::PyType_GenericAlloc(type_object, 0);
        if object.is_null() {
            return Short::Raised;
        }
        // All of the instance but the header and the cache are null pointers: `install` saw to it.
        let cache = object
            .cast::<u8>()
            .add(size_of::<PyObject>())
            .cast::<Cache>();
        cache.write(Cache::initialised(kind, store));
        Short::Done(object)
    });
    match short {
        Short::Done(object) => object,
        Short::Raised => null_mut(),
        // SAFETY: as above.
        Short::Pass => unsafe { construct_slowly(class, arguments, count, names) },
    }
}

/// The `maxsize` and, for a timed cache, `ttl` or `ttu` of a call that has just these.
///
/// # Safety
/// The arguments of a vectorcall.
unsafe fn sizes(
    kind: Kind,
    arguments: *const *mut PyObject,
    positional: usize,
    names: *mut PyObject,
) -> Option<(*mut PyObject, Option<*mut PyObject>)> {
    let wanted: &[&CStr] = match kind {
        Kind::Ttl => &[c"maxsize", c"ttl"],
        Kind::Tlru => &[c"maxsize", c"ttu"],
        _ => &[c"maxsize"],
    };
    // SAFETY: by contract; keyword names are strings.
    unsafe {
        let named = if names.is_null() {
            0
        } else {
            ffi::PyTuple_GET_SIZE(names) as usize
        };
        if positional + named != wanted.len() {
            return None;
        }
        for (at, name) in wanted[positional..].iter().enumerate() {
            let given = ffi::PyTuple_GET_ITEM(names, at as ffi::Py_ssize_t);
            if ffi::PyUnicode_CompareWithASCIIString(given, name.as_ptr()) != 0 {
                return None;
            }
        }
        Some((*arguments, (wanted.len() == 2).then(|| *arguments.add(1))))
    }
}

/// Constructs as CPython does for a class without a vectorcall of its own.
///
/// # Safety
/// The arguments of a vectorcall.
#[cold]
unsafe fn construct_slowly(
    class: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: by contract; values of keywords follow the positional arguments.
    unsafe {
        let positional = ffi::PyVectorcall_NARGS(count);
        let tuple = ffi::PyTuple_New(positional);
        if tuple.is_null() {
            return null_mut();
        }
        for at in 0..positional {
            ffi::PyTuple_SET_ITEM(tuple, at, ffi::Py_NewRef(*arguments.offset(at)));
        }
        let mut keywords = null_mut();
        let mut failed = false;
        if !names.is_null() {
            keywords = ffi::PyDict_New();
            failed = keywords.is_null();
            for at in 0..ffi::PyTuple_GET_SIZE(names) {
                failed = failed
                    || ffi::PyDict_SetItem(
                        keywords,
                        ffi::PyTuple_GET_ITEM(names, at),
                        *arguments.offset(positional + at),
                    ) != 0;
            }
        }
        let object = match ffi::PyType_Type.tp_call {
            Some(call) if !failed => call(class, tuple, keywords),
            _ => null_mut(),
        };
        ffi::Py_DECREF(tuple);
        ffi::Py_XDECREF(keywords);
        object
    }
}

/// Makes calls of the classes take the short way.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    let constructors: [ffi::vectorcallfunc; CONSTRUCTORS.len()] = [
        call_class::<0>,
        call_class::<1>,
        call_class::<2>,
        call_class::<3>,
        call_class::<4>,
        call_class::<5>,
        call_class::<6>,
        call_class::<7>,
        call_class::<8>,
        call_class::<9>,
        call_class::<10>,
        call_class::<11>,
        call_class::<12>,
        call_class::<13>,
    ];
    for (at, function) in constructors.into_iter().enumerate() {
        let class = classes::class_of(py, CONSTRUCTORS[at]);
        if !has_plain_layout(&class)? {
            continue;
        }
        let class = class.as_type_ptr();
        // SAFETY: the class is complete and its slots are set; `tp_vectorcall` is not inherited.
        unsafe {
            let [new, init] = &ORIGINALS[at];
            if let (Some(own_new), Some(own_init)) = ((*class).tp_new, (*class).tp_init) {
                new.store(own_new as *mut c_void, Ordering::Relaxed);
                init.store(own_init as *mut c_void, Ordering::Relaxed);
                (*class).tp_vectorcall = Some(function);
            }
        }
    }
    Ok(())
}

/// Whether an instance is its header, the `Cache`, and the pointers to `__dict__` and weak
/// references, which may be null: then it can be made by writing the `Cache` alone.
fn has_plain_layout(class: &Bound<'_, PyType>) -> PyResult<bool> {
    const POINTERS: usize = 2 * size_of::<*mut PyObject>();
    let py = class.py();
    let sample = class.call_method1("__new__", (class,))?;
    // SAFETY: an instance of the class, of which only an address is computed.
    let at = unsafe { std::ptr::from_ref(cache_of(py, &sample.as_ptr())).addr() };
    let before = at - sample.as_ptr().addr();
    let size = class.getattr("__basicsize__")?.extract::<usize>()?;
    let offsets = ["__dictoffset__", "__weakrefoffset__"].map(|name| {
        class
            .getattr(name)
            .and_then(|offset| offset.extract::<usize>())
    });
    let end = before + size_of::<Cache>();
    Ok(before == size_of::<PyObject>()
        && size == end + POINTERS
        && offsets
            .into_iter()
            .all(|offset| offset.is_ok_and(|offset| offset >= end)))
}
