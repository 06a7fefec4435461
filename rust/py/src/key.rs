//! Equality of keys: at once where that takes no Python code, otherwise asked later.
//!
//! Semantics are those of `dict`: identity first, then `stored == key`. Keys of exact built-in types
//! are compared inside the region by the type's own C slot. Anything else is collected while the
//! cache is locked and compared after it was unlocked; then the search starts over, knowing the
//! answers. Each round asks about at least one new object, so it ends unless comparing keeps adding
//! new equal-hash keys for ever.

use std::collections::HashMap;

use pyo3::exceptions::PyRuntimeError;
use pyo3::{ffi, prelude::*};
use smallvec::SmallVec;

use crate::obj::{Gone, Obj};

/// Whether two keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    Yes,
    No,
    /// Only Python code can tell.
    Ask,
}

/// Tuples nested deeper than this are asked about.
const MAX_DEPTH: u32 = 4;

/// Compares a stored key with one that has the same hash. Runs no Python code, raises nothing and
/// keeps no reference.
#[inline]
pub fn same(stored: Obj, key: Obj) -> Same {
    if stored == key {
        Same::Yes
    } else {
        same_content(stored, key, MAX_DEPTH)
    }
}

fn same_content(stored: Obj, key: Obj, depth: u32) -> Same {
    let (a, b) = (stored.as_ptr(), key.as_ptr());
    // SAFETY: both objects are alive; the types' addresses are those of static built-in types; the
    // slots called are the C functions of exact built-in types, which run no Python code.
    unsafe {
        let (type_a, type_b) = (ffi::Py_TYPE(a), ffi::Py_TYPE(b));
        let int = &raw mut ffi::PyLong_Type;
        let boolean = &raw mut ffi::PyBool_Type;
        if type_a == type_b {
            if type_a == &raw mut ffi::PyUnicode_Type {
                return same_str(a, b);
            }
            if type_a == int
                || type_a == &raw mut ffi::PyBytes_Type
                || type_a == &raw mut ffi::PyFloat_Type
            {
                return by_slot(type_a, a, b);
            }
            if type_a == &raw mut ffi::PyTuple_Type && depth > 0 {
                return same_tuple(a, b, depth);
            }
            if type_a == boolean || type_a == &raw mut ffi::PyType_Type {
                return Same::No; // one object per value, and these two are different ones
            }
        } else if (type_a == int && type_b == boolean) || (type_a == boolean && type_b == int) {
            return by_slot(int, a, b);
        }
    }
    Same::Ask
}

/// # Safety
/// `kind` is a built-in type whose `==` of `a` and `b` runs C code only.
unsafe fn by_slot(
    kind: *mut ffi::PyTypeObject,
    a: *mut ffi::PyObject,
    b: *mut ffi::PyObject,
) -> Same {
    // SAFETY: by contract; every built-in type named above has the slot.
    unsafe {
        let Some(compare) = (*kind).tp_richcompare else {
            return Same::Ask;
        };
        let result = compare(a, b, ffi::Py_EQ);
        if result == ffi::Py_True() {
            ffi::Py_DECREF(result); // True is never freed: it has more references than this one
            Same::Yes
        } else if result == ffi::Py_False() {
            ffi::Py_DECREF(result);
            Same::No
        } else {
            if result.is_null() {
                ffi::PyErr_Clear();
            } else {
                ffi::Py_DECREF(result); // NotImplemented, which is never freed either
            }
            Same::Ask
        }
    }
}

/// # Safety
/// Both are exact strings that have been hashed, and so are in canonical form.
#[inline(always)]
unsafe fn same_str(a: *mut ffi::PyObject, b: *mut ffi::PyObject) -> Same {
    // SAFETY: by contract; the data of a string is `length` characters of `kind` bytes each.
    unsafe {
        let length = ffi::PyUnicode_GET_LENGTH(a);
        let kind = ffi::PyUnicode_KIND(a);
        // Canonical: strings of different kinds hold different characters.
        if length != ffi::PyUnicode_GET_LENGTH(b) || kind != ffi::PyUnicode_KIND(b) {
            return Same::No;
        }
        let bytes = length as usize * kind as usize;
        let (x, y) = (ffi::PyUnicode_DATA(a), ffi::PyUnicode_DATA(b));
        let x = std::slice::from_raw_parts(x.cast::<u8>(), bytes);
        let y = std::slice::from_raw_parts(y.cast::<u8>(), bytes);
        if x == y { Same::Yes } else { Same::No }
    }
}

/// # Safety
/// Both are exact tuples.
unsafe fn same_tuple(a: *mut ffi::PyObject, b: *mut ffi::PyObject, depth: u32) -> Same {
    // SAFETY: by contract; a tuple's items are alive as long as it is and are never null once the
    // tuple can be hashed.
    unsafe {
        let length = ffi::PyTuple_GET_SIZE(a);
        if length != ffi::PyTuple_GET_SIZE(b) {
            return Same::No;
        }
        let mut verdict = Same::Yes;
        for at in 0..length {
            let (x, y) = (ffi::PyTuple_GET_ITEM(a, at), ffi::PyTuple_GET_ITEM(b, at));
            if x == y {
                continue;
            }
            let (Some(x), Some(y)) = (std::ptr::NonNull::new(x), std::ptr::NonNull::new(y)) else {
                return Same::Ask;
            };
            match same_content(Obj::from_non_null(x), Obj::from_non_null(y), depth - 1) {
                Same::Yes => {}
                Same::No => return Same::No,
                // A later item may still differ, but Python's tuples compare in order, and an item
                // whose `__eq__` raises must raise.
                Same::Ask => {
                    verdict = Same::Ask;
                    break;
                }
            }
        }
        verdict
    }
}

/// What Python said about stored keys that only it could compare with the key looked for.
#[derive(Default)]
pub struct Asked {
    answers: SmallVec<[(Obj, bool); FEW]>,
    /// The same answers by address, once there are many: keys with one hash should not make a lookup
    /// slower than a `dict`'s.
    by_address: Option<HashMap<usize, bool>>,
    pending: SmallVec<[Obj; 2]>,
    rounds: u32,
}

/// So many answers are searched one by one.
const FEW: usize = 4;

/// More rounds than any program that is not adding keys from `__eq__` without end.
const MAX_ROUNDS: u32 = 100_000;

impl Asked {
    /// What is known about a stored key. A known key is kept alive, so its address names it.
    pub fn answer(&self, stored: Obj) -> Option<bool> {
        if let Some(answers) = &self.by_address {
            return answers.get(&stored.as_ptr().addr()).copied();
        }
        self.answers
            .iter()
            .find(|(known, _)| *known == stored)
            .map(|&(_, answer)| answer)
    }

    /// Notes a stored key to ask about. Called inside the region.
    pub fn note(&mut self, stored: Obj) {
        self.pending.push(stored.incref());
    }

    /// Asks, in the order of notes, until one key is equal. Called outside the region.
    pub fn resolve(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(PyRuntimeError::new_err(format!(
                "comparing keys changed the cache {MAX_ROUNDS} times in one lookup"
            )));
        }
        let mut rest = Gone::default();
        let mut pending = std::mem::take(&mut self.pending).into_iter();
        for stored in pending.by_ref() {
            // SAFETY: both are alive: `note` took a reference, the caller holds the key.
            let equal =
                unsafe { ffi::PyObject_RichCompareBool(stored.as_ptr(), key.as_ptr(), ffi::Py_EQ) };
            self.answers.push((stored, equal == 1));
            if self.answers.len() > FEW {
                let known = || {
                    self.answers
                        .iter()
                        .map(|(key, answer)| (key.as_ptr().addr(), *answer))
                };
                let answers = self.by_address.get_or_insert_with(|| known().collect());
                answers.insert(stored.as_ptr().addr(), equal == 1);
            }
            if equal < 0 {
                pending.for_each(|stored| rest.push(stored));
                return Err(PyErr::fetch(key.py()));
            }
            if equal == 1 {
                break;
            }
        }
        pending.for_each(|stored| rest.push(stored));
        Ok(())
    }
}

impl Drop for Asked {
    #[inline]
    fn drop(&mut self) {
        if !self.answers.is_empty() || !self.pending.is_empty() {
            let mut gone = Gone::default();
            self.answers
                .drain(..)
                .for_each(|(stored, _)| gone.push(stored));
            self.pending.drain(..).for_each(|stored| gone.push(stored));
        }
    }
}
