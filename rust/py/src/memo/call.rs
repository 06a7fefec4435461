//! Calls of a memoized function: where each one goes.
//!
//! Reentrancy note, for this file, `lookup` and `load`. Python code may run, and may call the same
//! function, clear its cache or drop what it holds, in these places, all outside of critical regions:
//! hashing the arguments, the key function, the clock, the lock, asking about keys, making the key (an
//! allocation may collect garbage), the function itself, storing, telling those who wait, and giving
//! references up. After each of them the cache is looked up again, or stored to by the key; nothing
//! else is carried over.

use std::ptr::null_mut;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::arguments::{Answer, Call};
use super::entry::Now;
use super::key::Made;
use super::lookup::{answer, cleared, give, hit, look_up};
use super::shape::Shape;
use super::{Memo, quick, raised};
use crate::fast::{Short, guarded, obj};
use crate::obj::Obj;

/// The vectorcall of a memo.
///
/// Only looks where to go: each way has a frame that is no larger than it needs, and is jumped to.
pub unsafe extern "C" fn call(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        let shape = memo_of(&slf).shape.get();
        if quick::is_simple(shape) && names.is_null() {
            match ffi::PyVectorcall_NARGS(count) {
                1 => return call_with_one(slf, arguments, count, names),
                0 => return call_with_none(slf, arguments, count, names),
                2 => return call_with_two(slf, arguments, count, names),
                _ => {}
            }
        }
        if shape.any(Shape::METHOD) {
            call_method(slf, arguments, count, names)
        } else {
            call_otherwise(slf, arguments, count, names)
        }
    }
}

/// Answers a call of a plain function by a short way, or by what follows if there is no hint, or else in
/// general.
///
/// # Safety
/// `slf` is an instance of the class.
#[inline(always)]
unsafe fn shortly(
    slf: *mut PyObject,
    short: impl FnOnce(Python<'_>, &Memo) -> Short<Option<Obj>>,
    unhinted: impl FnOnce() -> Answer,
    general: impl FnOnce() -> Answer,
) -> Answer {
    let short = guarded(|py| {
        // SAFETY: by contract.
        let memo = unsafe { memo_of(&slf) };
        let short = short(py, memo);
        if let Short::Done(Some(_)) = short {
            memo.counters.hits.add(1);
        }
        short
    });
    match short {
        Short::Done(Some(value)) => value.as_ptr(),
        Short::Done(None) => unhinted(),
        Short::Pass => general(),
        Short::Raised => null_mut(),
    }
}

/// Answers a call of a plain function without arguments.
#[inline(never)]
unsafe extern "C" fn call_with_none(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        shortly(
            slf,
            quick::answer_none,
            || call_with_none_by_hash(slf, arguments, count, names),
            || call_otherwise(slf, arguments, count, names),
        )
    }
}

/// The same where the slot is not known.
#[inline(never)]
unsafe extern "C" fn call_with_none_by_hash(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        let answer = call_by_hash(slf, arguments, count, names);
        quick::remember_none(Python::assume_attached(), memo_of(&slf));
        answer
    }
}

/// Answers a call of a plain function with one argument.
#[inline(never)]
unsafe extern "C" fn call_with_one(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        shortly(
            slf,
            |py, memo| quick::answer_own_key(py, memo, obj(*arguments)),
            || call_by_own_hash(slf, arguments, count, names),
            || call_otherwise(slf, arguments, count, names),
        )
    }
}

/// The same without a hint.
#[inline(never)]
unsafe extern "C" fn call_by_own_hash(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    let answer = guarded(|py| unsafe {
        let memo = memo_of(&slf);
        let Some(cache) = memo.cache.get() else {
            return Short::Done(cleared(py));
        };
        let call = Call::new(slf, arguments, count, names);
        let shape = memo.shape.get();
        let key = Made(obj(*arguments));
        Short::Done(look_up(py, memo, shape, &call, cache, &key, Now::Native))
    });
    match answer {
        Short::Done(answer) => answer,
        _ => null_mut(),
    }
}

/// Answers a call of a plain function with two arguments.
#[inline(never)]
unsafe extern "C" fn call_with_two(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    unsafe {
        shortly(
            slf,
            |py, memo| quick::answer_two(py, memo, &*arguments.cast()),
            || call_by_hash(slf, arguments, count, names),
            || call_otherwise(slf, arguments, count, names),
        )
    }
}

/// Answers a call through the memo of the instance that comes first.
#[inline(never)]
unsafe extern "C" fn call_method(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    let short = guarded(|py| unsafe {
        // Without the GIL another thread may destroy the memo that is found.
        let one = ffi::PyVectorcall_NARGS(count) == 2 && names.is_null();
        if cfg!(Py_GIL_DISABLED) || !one {
            return Short::Pass;
        }
        let address = (*arguments).addr();
        let instances = &memo_of(&slf).instances;
        let Some(own) = instances.with(py, |instances| instances.find(address)) else {
            return Short::Pass;
        };
        let own = own.as_ptr();
        let own = memo_of(&own);
        if !quick::is_simple_method(own.shape.get()) {
            return Short::Pass;
        }
        let short = quick::answer_own_key(py, own, obj(*arguments.add(1)));
        if let Short::Done(Some(_)) = short {
            own.counters.hits.add(1);
        }
        short
    });
    match short {
        Short::Done(Some(value)) => value.as_ptr(),
        Short::Raised => null_mut(),
        // SAFETY: as above.
        _ => unsafe { call_by_hash(slf, arguments, count, names) },
    }
}

/// Answers any other call.
#[inline(never)]
unsafe extern "C" fn call_otherwise(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    let short = guarded(|py| unsafe {
        let memo = memo_of(&slf);
        let shape = memo.shape.get();
        match quick::answer(py, memo, shape, arguments, count, names) {
            Some(value) => Short::Done(hit(py, memo, shape, value)),
            None => Short::Pass,
        }
    });
    match short {
        Short::Done(answer) => answer,
        Short::Raised => null_mut(),
        // SAFETY: as above.
        Short::Pass => unsafe { call_by_hash(slf, arguments, count, names) },
    }
}

/// Answers a call that has no hint to follow.
#[inline(never)]
unsafe extern "C" fn call_by_hash(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    let answer = guarded(|py| unsafe {
        let memo = memo_of(&slf);
        let call = Call::new(slf, arguments, count, names);
        let shape = memo.shape.get();
        Short::Done(if shape.any(Shape::METHOD) {
            call_instance(py, memo, &call)
        } else {
            answer(py, memo, shape, &call)
        })
    });
    match answer {
        Short::Done(answer) => answer,
        _ => null_mut(),
    }
}

/// The same, for the key of the call alone.
pub unsafe extern "C" fn key(
    slf: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments of a vectorcall on an instance of the class.
    let answer = guarded(|py| unsafe {
        let call = Call::new(slf, arguments, count, names);
        Short::Done(give(py, memo_of(&slf).key_of(py, &call)))
    });
    match answer {
        Short::Done(answer) => answer,
        _ => null_mut(),
    }
}

/// The memo behind an argument of its class.
///
/// # Safety
/// `slf` is an instance and outlives the result's use.
#[inline(always)]
unsafe fn memo_of<'a>(slf: &'a *mut PyObject) -> &'a Memo {
    // SAFETY: by contract.
    unsafe {
        let slf: &'a Py<Memo> = &*std::ptr::from_ref(slf).cast::<Py<Memo>>();
        slf.get()
    }
}

/// Answers through the memo of the instance that comes first.
#[inline(never)]
unsafe fn call_instance(py: Python<'_>, memo: &Memo, call: &Call<'_>) -> Answer {
    // SAFETY: the arguments of a vectorcall; the memo found is held during its call.
    unsafe {
        let Some(instance) = call.all.first().filter(|_| call.positional > 0) else {
            return match memo.function.get() {
                Some(function) => call.pass_to(function), // says what is missing
                None => cleared(py),
            };
        };
        let address = instance.as_ptr().addr();
        let found = memo
            .instances
            .with(py, |instances| instances.find(address).map(Obj::incref));
        let own = match found {
            Some(own) => own,
            None => match new_instance(py, call.slf, *instance) {
                Ok(own) => own,
                Err(error) => {
                    raised::raise(py, error);
                    return null_mut();
                }
            },
        };
        let pointer = own.as_ptr();
        let own_memo = memo_of(&pointer);
        let call = Call {
            slf: pointer,
            ..*call
        };
        let shape = own_memo.shape.get();
        let arguments = call.all.as_ptr().cast();
        let found = quick::answer(py, own_memo, shape, arguments, call.positional, call.names);
        let result = match found {
            Some(value) => hit(py, own_memo, shape, value),
            None => answer(py, own_memo, shape, &call),
        };
        ffi::Py_DECREF(pointer);
        result
    }
}

/// Has Python code make the memo of an instance.
#[cold]
fn new_instance(py: Python<'_>, slf: *mut PyObject, instance: Obj) -> PyResult<Obj> {
    // SAFETY: alive as arguments of the call.
    let slf = unsafe { obj(slf) }.to_bound(py);
    let own = slf.call_method1(pyo3::intern!(py, "_bind"), (instance.to_bound(py),))?;
    let own = own.cast_into::<Memo>()?;
    Ok(Obj::owned(own.as_any()))
}
