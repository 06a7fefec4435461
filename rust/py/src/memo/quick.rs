//! Hits in which every argument is the very object that was there before.
//!
//! That is most hits: small ints, interned strings, constants, enum members, the same objects passed on.
//! A hint (`overdrive_core::hints`) then leads from the addresses of the arguments to the slot, and no
//! hash is taken and no key compared: an object equals itself. Only arguments of types whose equality
//! and hash run no Python code are looked at. Whatever is different goes to `call`, which starts from
//! the beginning; so this is an addition to speed and none to behaviour.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use overdrive_core::Slot;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::Memo;
use super::entry::{Now, entry_of};
use super::key::{Items, Key, Mix, is_own_key, mark, stored_items, type_of};
use super::shape::Shape;
use crate::expiry::Expiry;
use crate::fast::{Short, cache_of, obj};
use crate::obj::Obj;
use crate::store::{Quick, Store};

/// What is not for this module to answer.
const GENERAL: Shape = Shape::CALLS_OUT.and(Shape::METHOD).and(Shape::OWN_HASHES);

/// What functions that are not plain have.
const NOT_SIMPLE: Shape = GENERAL
    .and(Shape::TYPED)
    .and(Shape::CACHETOOLS)
    .and(Shape::ENTRIES)
    .and(Shape::ASYNC);

/// Where even one argument is not its own key.
const TUPLES: Shape = Shape::TYPED.and(Shape::CACHETOOLS);

/// The empty tuple, of which there is one only: the key of a call without arguments.
static EMPTY: AtomicPtr<PyObject> = AtomicPtr::new(null_mut());

/// Remembers the empty tuple.
pub fn install(py: Python<'_>) {
    EMPTY.store(
        pyo3::types::PyTuple::empty(py).into_ptr(),
        Ordering::Relaxed,
    );
}

/// Its address.
#[inline(always)]
pub fn empty_address() -> usize {
    EMPTY.load(Ordering::Relaxed).addr()
}

/// Whether a function is plain: its keys are those of `functools`, and its results are returned as they
/// are stored.
#[inline(always)]
pub fn is_simple(shape: Shape) -> bool {
    !shape.any(NOT_SIMPLE.and(Shape::SKIP_FIRST))
}

/// Whether it is so but for the instance that comes first.
#[inline(always)]
pub fn is_simple_method(shape: Shape) -> bool {
    !shape.any(NOT_SIMPLE) && shape.any(Shape::SKIP_FIRST)
}

/// The value for a call of a plain function without arguments, with a reference; `Done(None)` if there
/// is no hint to it. `Pass` says nothing.
#[inline(always)]
pub fn answer_none(py: Python<'_>, memo: &Memo) -> Short<Option<Obj>> {
    // SAFETY: set when the module was made, which comes before the first memo.
    let key = unsafe { obj(EMPTY.load(Ordering::Relaxed)) };
    let Some(cache) = memo.cache.get() else {
        return Short::Pass;
    };
    let pointer = cache.as_ptr();
    // SAFETY: the cache is one, and held by the memo.
    let store = unsafe { cache_of(py, &pointer) }.store.enter(py);
    // Most functions without arguments have no other key: it is the most recent one, then.
    if !store.is_plain() || store.len() != 1 {
        return Short::Pass;
    }
    // There is one such key, so its slot is remembered instead of hinted at.
    let found = store.find_at(memo.empty_slot.load(Ordering::Relaxed), key);
    Short::Done(found.map(|(_, value)| value.incref()))
}

/// Remembers the slot for [`answer_none`].
pub fn remember_none(py: Python<'_>, memo: &Memo) {
    let Some(cache) = memo.cache.get() else {
        return;
    };
    let (pointer, address) = (cache.as_ptr(), empty_address());
    // SAFETY: the cache is one, and held by the memo.
    let store = unsafe { cache_of(py, &pointer) }.store.enter(py);
    let found = store.find_hinted(address, |stored| stored.as_ptr().addr() == address);
    if let Some((slot, _)) = found {
        memo.empty_slot.store(slot, Ordering::Relaxed);
    }
}

/// The same for one argument.
#[inline(always)]
pub fn answer_own_key(py: Python<'_>, memo: &Memo, key: Obj) -> Short<Option<Obj>> {
    if is_own_key(key) {
        answer_plain(py, memo, |store| {
            store.find_hinted(key.as_ptr().addr(), |stored| stored == key)
        })
    } else {
        Short::Pass
    }
}

/// The same for two arguments.
#[inline(always)]
pub fn answer_two(py: Python<'_>, memo: &Memo, items: &[Obj; 2]) -> Short<Option<Obj>> {
    match Items(items).address() {
        Some(address) => answer_plain(py, memo, |store| {
            store.find_hinted(address, |stored| {
                stored_items(&stored, 2).is_some_and(|stored| stored.as_slice() == items)
            })
        }),
        None => Short::Pass,
    }
}

/// Answers from an LRU cache whose items do not expire. Calls nothing, so that little has to be saved.
#[inline(always)]
fn answer_plain(
    py: Python<'_>,
    memo: &Memo,
    find: impl FnOnce(&Store) -> Option<(Slot, Obj)>,
) -> Short<Option<Obj>> {
    let Some(cache) = memo.cache.get() else {
        return Short::Pass;
    };
    let pointer = cache.as_ptr();
    // SAFETY: the cache is one, and held by the memo.
    let mut store = unsafe { cache_of(py, &pointer) }.store.enter(py);
    if !store.is_plain() {
        return Short::Pass;
    }
    let Some((slot, value)) = find(&store) else {
        return Short::Done(None);
    };
    store.touch_plainly(slot);
    Short::Done(Some(value.incref()))
}

/// The value for any other call, with a reference. `None` says nothing.
///
/// # Safety
/// The arguments of a vectorcall.
#[inline(always)]
pub unsafe fn answer(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    arguments: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> Option<Obj> {
    if shape.any(GENERAL) {
        return None;
    }
    let cache = memo.cache.get()?;
    // SAFETY: by contract; no argument is null, and `Obj` is a transparent wrapper.
    unsafe {
        let positional = ffi::PyVectorcall_NARGS(count) as usize;
        let skipped = usize::from(shape.any(Shape::SKIP_FIRST) && positional > 0);
        let named = if names.is_null() {
            0
        } else {
            ffi::PyTuple_GET_SIZE(names) as usize
        };
        let first = arguments.cast::<Obj>();
        let len = positional - skipped + named;
        // Without arguments there may be no array.
        let values = if len == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(first.add(skipped), len)
        };
        let single = match values {
            [only] if !shape.any(TUPLES) && named == 0 && is_own_key(*only) => *only,
            [] => obj(EMPTY.load(Ordering::Relaxed)),
            _ => {
                let key = Spread {
                    values,
                    named,
                    names,
                    typed: shape.any(Shape::TYPED),
                };
                if named > 0 && shape.any(Shape::CACHETOOLS) {
                    return None; // has pairs
                }
                let address = key.address()?;
                let pointer = cache.as_ptr();
                let mut store = cache_of(py, &pointer).store.enter(py);
                let found = store.find_hinted(address, |stored| key.is(stored))?;
                return take(py, &mut store, shape, found);
            }
        };
        let pointer = cache.as_ptr();
        let mut store = cache_of(py, &pointer).store.enter(py);
        let found = store.find_hinted(single.as_ptr().addr(), |stored| stored == single)?;
        take(py, &mut store, shape, found)
    }
}

/// The key that is a tuple of arguments, where they lie.
struct Spread<'a> {
    /// Positional arguments, then `named` values of keywords.
    values: &'a [Obj],
    named: usize,
    names: *mut PyObject,
    typed: bool,
}

impl Spread<'_> {
    /// As [`Key::address`] of the key that is laid out.
    #[inline(always)]
    fn address(&self) -> Option<usize> {
        let (positional, values) = self.values.split_at(self.values.len() - self.named);
        let mut mix = Mix::new();
        for &value in positional {
            mix.add(value)?;
        }
        for (at, &value) in values.iter().enumerate() {
            mix.add(self.name(at))?;
            mix.add(value)?;
        }
        Some(mix.finish())
    }

    /// Whether a stored key is made of the same objects.
    #[inline(always)]
    fn is(&self, stored: Obj) -> bool {
        let (positional, values) = self.values.split_at(self.values.len() - self.named);
        let mut len = positional.len();
        if !values.is_empty() {
            len += 1 + 2 * values.len();
        }
        if self.typed {
            len += self.values.len();
        }
        let Some(mut items) = stored_items(&stored, len) else {
            return false;
        };
        let mut is_next = |item: Obj| items.next() == Some(&item);
        if !positional.iter().all(|&value| is_next(value)) {
            return false;
        }
        if !values.is_empty() {
            let mut pairs = values.iter().enumerate();
            if !is_next(mark())
                || !pairs.all(|(at, &value)| is_next(self.name(at)) && is_next(value))
            {
                return false;
            }
        }
        !self.typed || self.values.iter().all(|&value| is_next(type_of(value)))
    }

    #[inline(always)]
    fn name(&self, at: usize) -> Obj {
        // SAFETY: the tuple has a name for each value.
        unsafe { obj(ffi::PyTuple_GET_ITEM(self.names, at as ffi::Py_ssize_t)) }
    }
}

/// Leaves a hint to a slot where a key was found, if this module could follow it.
#[inline(always)]
pub fn leave_hint(store: &mut Store, found: &Quick, key: &impl Key) {
    if let Quick::Slot(slot) = *found {
        let stored = store.key(slot);
        if let Some(address) = key.address()
            && key.is(stored)
        {
            store.hint(address, slot);
        }
    }
}

/// Takes the value that a slot holds, if it may be returned as it is.
#[inline(always)]
fn take(py: Python<'_>, store: &mut Store, shape: Shape, found: (Slot, Obj)) -> Option<Obj> {
    if shape.any(Shape::ENTRIES) {
        return take_entry(store, found);
    }
    if !matches!(store.expiry, Expiry::Never) {
        return take_timed(py, store, found);
    }
    let (slot, value) = found;
    store.touch_quickly(slot);
    Some(value.incref())
}

/// Takes a value from a timed cache.
#[inline(never)]
fn take_timed(py: Python<'_>, store: &mut Store, (slot, value): (Slot, Obj)) -> Option<Obj> {
    if store.judge_now(py, slot) != Some(true) {
        return None;
    }
    store.touch_quickly(slot);
    Some(value.incref())
}

/// Takes the value of what may be an entry.
#[inline(always)]
fn take_entry(store: &mut Store, (slot, stored): (Slot, Obj)) -> Option<Obj> {
    // SAFETY: the store holds the entry, and nothing drops it within the region.
    let entry = unsafe { entry_of(&stored, super::entry_class()) }?;
    let value = entry.quiet_value(Now::Native)?;
    store.touch_quickly(slot);
    Some(value.incref())
}
