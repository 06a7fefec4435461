//! Looking a call up in the cache, and what is done if it is not there.

use std::ptr::null_mut;

use pyo3::exceptions::{PyReferenceError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;

use super::arguments::{Answer, Call, Raised};
use super::entry::{Now, entry_of};
use super::key::{Form, Items, Key, Made, Parts, is_own_key};
use super::load::load;
use super::ready::Ready;
use super::shape::Shape;
use super::{Memo, quick, raised};
use crate::cache::Cache;
use crate::fast::{cache_of, obj};
use crate::hooks::Hooks;
use crate::obj::Obj;
use crate::store::{Quick, Store};

/// What a look into the cache came to.
enum Found {
    /// With a reference.
    Value(Obj),
    Nothing(Missing),
}

/// Why a look into the cache gave no value.
#[derive(Clone, Copy)]
pub enum Missing {
    /// The key is not there, nor will it be before the store's epoch differs from this one.
    Absent(u64),
    /// What is there may not be returned.
    Stale,
    /// Only Python code can compare the keys, or the times.
    Ask,
}

/// Answers a call.
#[inline(never)]
pub unsafe fn answer(py: Python<'_>, memo: &Memo, shape: Shape, call: &Call<'_>) -> Answer {
    // SAFETY: the arguments of a vectorcall, alive until it ends.
    unsafe {
        if shape.any(Shape::CALLS_OUT) {
            return answer_calling_out(py, memo, shape, call);
        }
        let Some(cache) = memo.cache.get() else {
            return not_native(py, memo, shape, call);
        };
        answer_from(py, memo, shape, call, cache, Now::Native)
    }
}

#[inline(always)]
pub fn form(shape: Shape) -> Form {
    if shape.any(Shape::CACHETOOLS) {
        Form::Cachetools
    } else {
        Form::Functools
    }
}

/// Answers a call from a cache.
#[inline(always)]
unsafe fn answer_from(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    now: Now,
) -> Answer {
    let arguments = call.keyed(shape);
    // SAFETY: the arguments of a vectorcall.
    unsafe {
        if !arguments.names.is_null() || shape.any(Shape::TYPED) {
            return answer_laid_out(py, memo, shape, call, cache, now);
        }
        if let [only] = arguments.values
            && !shape.any(Shape::CACHETOOLS)
            && is_own_key(*only)
        {
            return look_up(py, memo, shape, call, cache, &Made(*only), now);
        }
        answer_tuple(py, memo, shape, call, cache, now)
    }
}

/// Answers a call whose key is the tuple of its arguments.
#[inline(never)]
unsafe fn answer_tuple(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    now: Now,
) -> Answer {
    let key = Items(call.keyed(shape).values);
    // SAFETY: the arguments of a vectorcall.
    unsafe {
        if !shape.any(Shape::OWN_HASHES) {
            look_up(py, memo, shape, call, cache, &key, now)
        } else {
            look_up_made(py, memo, shape, call, cache, &key, now)
        }
    }
}

/// Makes the key and looks it up: for an interpreter that hashes tuples in its own way.
#[cold]
unsafe fn look_up_made(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    key: &impl Key,
    now: Now,
) -> Answer {
    let Some(made) = key.make() else {
        return null_mut();
    };
    // SAFETY: the arguments of a vectorcall; the key is given up after its use.
    unsafe {
        let result = look_up(py, memo, shape, call, cache, &Made(made), now);
        ffi::Py_DECREF(made.as_ptr());
        result
    }
}

/// Answers a call whose key has to be laid out first.
#[inline(never)]
unsafe fn answer_laid_out(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    now: Now,
) -> Answer {
    let mut parts = Parts::new();
    let key = parts.lay_out(&call.keyed(shape), form(shape), shape.any(Shape::TYPED));
    // SAFETY: the arguments of a vectorcall.
    unsafe {
        if !shape.any(Shape::OWN_HASHES) {
            look_up(py, memo, shape, call, cache, &key, now)
        } else {
            look_up_made(py, memo, shape, call, cache, &key, now)
        }
    }
}

/// Answers a call of a function with a key function, a lock, a clock or changing caches.
#[inline(never)]
unsafe fn answer_calling_out(py: Python<'_>, memo: &Memo, shape: Shape, call: &Call<'_>) -> Answer {
    // SAFETY: the arguments of a vectorcall; what Python code returns is held by `Bound`s.
    unsafe {
        if memo.is_locked() {
            return not_native(py, memo, shape, call);
        }
        let cache = match memo.present_cache(py) {
            Ok(Some(cache)) => cache,
            Ok(None) => return not_native(py, memo, shape, call),
            Err(Raised) => return null_mut(),
        };
        let now = match memo.now(py) {
            Ok(now) => now,
            Err(error) => {
                raised::raise(py, error);
                return null_mut();
            }
        };
        if let Some(function) = memo.key.get() {
            let key = call.pass_to(function);
            if key.is_null() {
                return null_mut();
            }
            let key = Bound::from_owned_ptr(py, key);
            let key = Made(Obj::of(&key));
            return look_up(py, memo, shape, call, Obj::of(&cache), &key, now);
        }
        answer_from(py, memo, shape, call, Obj::of(&cache), now)
    }
}

/// Looks a key up and answers a hit.
#[inline(always)]
pub unsafe fn look_up(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    key: &impl Key,
    now: Now,
) -> Answer {
    // SAFETY: the arguments are alive; `cache` is one, and held by the memo or by the caller.
    unsafe {
        let Some(hash) = key.hash() else {
            return unhashable(py, memo, call);
        };
        let pointer = cache.as_ptr();
        let native = cache_of(py, &pointer);
        if native.hooks().any(Hooks::GETITEM.and(Hooks::UNINITIALISED)) {
            return not_native(py, memo, shape, call);
        }
        let found = native.store.with(py, |store| {
            let found = store.find_where(hash, |stored| key.same(stored));
            quick::leave_hint(store, &found, key);
            read(py, store, found, shape, now)
        });
        let missing = match found {
            Found::Value(value) => return hit(py, memo, shape, value),
            Found::Nothing(missing) => missing,
        };
        if shape.any(Shape::FORWARD) || !shape.any(Shape::DIRECT) || matches!(missing, Missing::Ask)
        {
            return miss(py, memo, shape, call, cache, (key, hash, missing), now);
        }
        load(py, memo, shape, call, cache, (key, hash, missing))
    }
}

/// Takes the value of a slot, if it may be returned as it is.
#[inline(always)]
fn read(py: Python<'_>, store: &mut Store, found: Quick, shape: Shape, now: Now) -> Found {
    let slot = match found {
        Quick::Slot(slot) => slot,
        Quick::Absent => return Found::Nothing(Missing::Absent(store.epoch())),
        Quick::Ask => return Found::Nothing(Missing::Ask),
    };
    match store.judge_now(py, slot) {
        Some(true) => {}
        Some(false) => return Found::Nothing(Missing::Stale),
        None => return Found::Nothing(Missing::Ask),
    }
    let stored = store.value(slot);
    let value = if shape.any(Shape::ENTRIES) {
        // SAFETY: the store holds the entry, and nothing drops it within the region.
        match unsafe { entry_of(&stored, super::entry_class()) } {
            Some(entry) => match entry.quiet_value(now) {
                Some(value) => value,
                None => return Found::Nothing(Missing::Stale),
            },
            None => stored,
        }
    } else {
        stored
    };
    store.touch(slot);
    Found::Value(value.incref())
}

#[inline(always)]
pub unsafe fn hit(py: Python<'_>, memo: &Memo, shape: Shape, value: Obj) -> Answer {
    memo.counters.hits.add(1);
    if shape.any(Shape::ASYNC) {
        // SAFETY: the reference was taken in the region.
        unsafe { Ready::answer(py, value) }
    } else {
        value.as_ptr()
    }
}

/// Answers a call that cannot be looked up natively.
#[cold]
unsafe fn not_native(py: Python<'_>, memo: &Memo, shape: Shape, call: &Call<'_>) -> Answer {
    let Some(slow) = memo.slow.get() else {
        return cleared(py);
    };
    // SAFETY: the arguments of a vectorcall; what is called is held by `Bound`s.
    unsafe {
        let slow = slow.to_bound(py);
        if shape.any(Shape::FORWARD) {
            return call.forward_to(Obj::of(&slow));
        }
        let key = match memo.key_of(py, call) {
            Ok(key) => key,
            Err(error) => {
                raised::raise(py, error);
                return null_mut();
            }
        };
        tell_slow(py, &slow, call, &key)
    }
}

/// Has Python code answer, knowing the key.
unsafe fn tell_slow(
    py: Python<'_>,
    slow: &Bound<'_, PyAny>,
    call: &Call<'_>,
    key: &Bound<'_, PyAny>,
) -> Answer {
    // SAFETY: the memo is alive during its call.
    let slf = unsafe { obj(call.slf) }.to_bound(py);
    let answer = call
        .packed(py)
        .and_then(|(args, kwargs)| slow.call1((slf, key, args, kwargs)));
    give(py, answer)
}

pub fn give(py: Python<'_>, answer: PyResult<Bound<'_, PyAny>>) -> Answer {
    match answer {
        Ok(answer) => answer.into_ptr(),
        Err(error) => {
            raised::raise(py, error);
            null_mut()
        }
    }
}

#[cold]
pub fn cleared(py: Python<'_>) -> Answer {
    raised::raise(
        py,
        PyReferenceError::new_err("the memoized function has been destroyed"),
    );
    null_mut()
}

/// An argument could not be hashed: has Python code say which, if that is why.
#[cold]
fn unhashable(py: Python<'_>, memo: &Memo, call: &Call<'_>) -> Answer {
    let Some(explain) = memo.unhashable.bound(py) else {
        return null_mut();
    };
    let Some(cause) = raised::take(py) else {
        return null_mut();
    };
    if !cause.is_instance_of::<PyTypeError>() {
        raised::set(cause);
        return null_mut();
    }
    // SAFETY: the memo is alive during its call.
    let slf = unsafe { obj(call.slf) }.to_bound(py);
    let answer = call
        .packed(py)
        .and_then(|(args, kwargs)| explain.call1((slf, cause, args, kwargs)));
    give(py, answer)
}

/// Answers a call that was no hit and is not, or not yet, to be computed natively.
#[inline(never)]
unsafe fn miss(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    (key, hash, missing): (&impl Key, u64, Missing),
    now: Now,
) -> Answer {
    // SAFETY: the arguments of a vectorcall; everything that is used after Python code ran is held.
    unsafe {
        if shape.any(Shape::FORWARD) {
            return match memo.slow.bound(py) {
                Some(slow) => call.forward_to(Obj::of(&slow)),
                None => cleared(py),
            };
        }
        let Some(made) = key.make() else {
            return null_mut();
        };
        let key_object = made.into_bound(py);
        let own_cache = cache.to_bound(py).cast_into_unchecked::<Cache>();
        if matches!(missing, Missing::Ask) {
            match find_asking(py, &own_cache, &key_object, hash, shape, now) {
                Ok(Some(value)) => return hit(py, memo, shape, value),
                Ok(None) => {}
                Err(error) => {
                    raised::raise(py, error);
                    return null_mut();
                }
            }
        }
        if !shape.any(Shape::DIRECT) {
            return match memo.slow.bound(py) {
                Some(slow) => tell_slow(py, &slow, call, &key_object),
                None => cleared(py),
            };
        }
        load(py, memo, shape, call, cache, (&Made(made), hash, missing))
    }
}

/// Looks a key up that only Python code can compare.
pub fn find_asking(
    py: Python<'_>,
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    hash: u64,
    shape: Shape,
    now: Now,
) -> PyResult<Option<Obj>> {
    let mut expired_by_user_clock = false;
    let found = cache.get().lookup(key, hash, |store, at| {
        let found = at.map_or(Quick::Absent, Quick::Slot);
        match read(py, store, found, shape, now) {
            Found::Value(value) => Some(value),
            Found::Nothing(Missing::Ask) => {
                expired_by_user_clock = true;
                None
            }
            Found::Nothing(_) => None,
        }
    })?;
    if !expired_by_user_clock {
        return Ok(found);
    }
    // A timed cache with a clock of the user's own.
    let moment = Cache::moment(cache)?;
    cache.get().lookup_live(key, hash, &moment, |store, slot| {
        store.touch(slot);
        store.value(slot).incref()
    })
}
