//! Putting the short ways in front of PyO3's methods.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::methods::{GETITEMS, ass_subscript, contains, get, iternext, pop, setdefault};
use super::{Binary, Method, ORIGINALS, PLAIN, TIMED, constructors, small_int};
use crate::cache::{Cache, Kind};
use crate::classes::{self, TimedCache};
use crate::iter::CacheIterator;

unsafe extern "C" {
    // Exported by every CPython that we build for (Include/cpython/descrobject.h); not in pyo3-ffi.
    fn PyDescr_NewWrapper(
        kind: *mut ffi::PyTypeObject,
        base: *mut ffi::wrapperbase,
        function: *mut c_void,
    ) -> *mut PyObject;
}

/// Puts the short ways in front of the methods of the classes.
pub fn install(py: Python<'_>) -> PyResult<()> {
    small_int::install(py)?;
    let base = py.get_type::<Cache>();
    let timed = py.get_type::<TimedCache>();
    let class = |kind| classes::class_of(py, kind);
    let readers = [
        base.clone(),
        class(Kind::Fifo),
        class(Kind::Lru),
        class(Kind::Lfu),
        class(Kind::Rr),
        class(Kind::Arc),
        class(Kind::TwoQ),
        class(Kind::S3Fifo),
        class(Kind::Sieve),
        class(Kind::Lirs),
        class(Kind::WTinyLfu),
        class(Kind::Adaptive),
        timed.clone(),
    ];
    for ((class, function), original) in readers.iter().zip(GETITEMS).zip(&ORIGINALS.getitem) {
        replace_getitem(class, function, original)?;
    }
    for class in readers.iter().chain(&[class(Kind::Ttl), class(Kind::Tlru)]) {
        adopt(class)?;
    }
    replace_slot(
        &base,
        "__contains__",
        contains::<PLAIN> as *mut c_void,
        &ORIGINALS.contains[PLAIN],
    )?;
    replace_slot(
        &timed,
        "__contains__",
        contains::<TIMED> as *mut c_void,
        &ORIGINALS.contains[TIMED],
    )?;
    for name in ["__setitem__", "__delitem__"] {
        replace_slot(
            &base,
            name,
            ass_subscript as *mut c_void,
            &ORIGINALS.ass_subscript,
        )?;
    }
    replace_method(&base, "get", get, &ORIGINALS.get)?;
    replace_method(&base, "pop", pop, &ORIGINALS.pop)?;
    replace_method(&base, "setdefault", setdefault, &ORIGINALS.setdefault)?;

    constructors::install(py)?;

    let iterator = py.get_type::<CacheIterator>();
    // SAFETY: the class is complete, has the slot, cannot be subclassed, and no instance exists yet.
    unsafe {
        let class = iterator.as_type_ptr();
        if let Some(original) = (*class).tp_iternext.replace(iternext) {
            ORIGINALS
                .iternext
                .store(original as *mut c_void, Ordering::Relaxed);
        }
        ffi::PyType_Modified(class);
    }
    Ok(())
}

/// Replaces the function of a slot by way of its wrapper in the class's dict, so that CPython itself
/// fills the slots of the class and its subclasses, present and future.
pub fn replace_slot(
    class: &Bound<'_, PyType>,
    name: &str,
    function: *mut c_void,
    original: &AtomicPtr<c_void>,
) -> PyResult<()> {
    let py = class.py();
    let wrapper = class.getattr("__dict__")?.get_item(name)?;
    // SAFETY: the type of the wrapper is checked before its fields are read.
    let replacement = unsafe {
        if ffi::Py_TYPE(wrapper.as_ptr()) != &raw mut ffi::PyWrapperDescr_Type {
            return Ok(()); // not as we know it: the method stays as it is
        }
        let wrapper = wrapper.as_ptr().cast::<ffi::PyWrapperDescrObject>();
        if (*wrapper).d_wrapped != function {
            // Two names can share a slot: the first one has the original then.
            original.store((*wrapper).d_wrapped, Ordering::Relaxed);
        }
        let replacement = PyDescr_NewWrapper(class.as_type_ptr(), (*wrapper).d_base, function);
        Bound::from_owned_ptr_or_err(py, replacement)?
    };
    class.setattr(name, replacement)
}

/// Replaces `__getitem__` by a method, as `dict` has it: overrides call the inherited one by name,
/// and calling a slot's wrapper costs three times as much. CPython does not fill slots from methods
/// but looks them up on each use; [`adopt`] fills them.
fn replace_getitem(
    class: &Bound<'_, PyType>,
    function: Binary,
    original: &AtomicPtr<c_void>,
) -> PyResult<()> {
    const DOC: &CStr = c"__getitem__($self, key, /)\n--\n\nReturn self[key].";
    let py = class.py();
    // SAFETY: the class is complete and has the slot; a `METH_O` function has the slot's signature;
    // the definition lives as long as the process, as the class does.
    let method = unsafe {
        let slots = (*class.as_type_ptr()).tp_as_mapping;
        let Some(present) = slots.as_ref().and_then(|slots| slots.mp_subscript) else {
            return Ok(());
        };
        original.store(present as *mut c_void, Ordering::Relaxed);
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: c"__getitem__".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunction: function,
            },
            ml_flags: ffi::METH_O | ffi::METH_COEXIST,
            ml_doc: DOC.as_ptr(),
        }));
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))?
    };
    class.setattr("__getitem__", method)
}

/// Gives a class that inherits `__getitem__` from one of ours its function directly.
///
/// A class for which this is not called, or whose `__getitem__` is replaced later, works all the
/// same: its slot then looks the method up.
pub fn adopt(class: &Bound<'_, PyType>) -> PyResult<()> {
    let inherited = class.getattr("__getitem__")?;
    for function in GETITEMS {
        // SAFETY: the type of the method is checked before its fields are read; a class has its own
        // `tp_as_mapping` if it was made by a class statement or is one of ours.
        unsafe {
            if ffi::Py_TYPE(inherited.as_ptr()) != &raw mut ffi::PyMethodDescr_Type {
                return Ok(());
            }
            let method = inherited.as_ptr().cast::<ffi::PyMethodDescrObject>();
            let own =
                (*(*method).d_method).ml_meth.PyCFunction as *const () == function as *const ();
            let slots = (*class.as_type_ptr()).tp_as_mapping;
            if own && !slots.is_null() {
                (*slots).mp_subscript = Some(function);
                ffi::PyType_Modified(class.as_type_ptr());
            }
        }
    }
    Ok(())
}

/// Replaces the function of a method.
pub fn replace_method(
    class: &Bound<'_, PyType>,
    name: &str,
    function: Method,
    original: &AtomicPtr<c_void>,
) -> PyResult<()> {
    const FLAGS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    let py = class.py();
    let method = class.getattr("__dict__")?.get_item(name)?;
    // SAFETY: the type and the calling convention are checked before they are relied on; the new
    // definition lives as long as the process, as the class's do.
    let replacement = unsafe {
        if ffi::Py_TYPE(method.as_ptr()) != &raw mut ffi::PyMethodDescr_Type {
            return Ok(());
        }
        let definition = (*method.as_ptr().cast::<ffi::PyMethodDescrObject>()).d_method;
        if (*definition).ml_flags != FLAGS {
            return Ok(());
        }
        let function_before = (*definition).ml_meth.PyCFunctionFastWithKeywords;
        original.store(function_before as *mut c_void, Ordering::Relaxed);
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: function,
            },
            ..*definition
        }));
        let replacement = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(py, replacement)?
    };
    class.setattr(name, replacement)
}
