//! The key of a call, taken from its arguments where they lie.
//!
//! A call that hits needs no key object: the hash of the tuple that the key would be is computed
//! from the arguments, and they are compared one by one with the stored key. The object is made only
//! when there is something to store.
//!
//! Keys have one of two forms. That of `functools.lru_cache`: one exact `int` or `str` is its own
//! key; otherwise it is the tuple of the arguments, a mark, and the names and values of keywords in
//! the order of the call. That of `cachetools`: always a tuple, and keywords are pairs, sorted by
//! name. Typed keys have the types of all values behind that.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use smallvec::SmallVec;

use super::tuple_hash::TupleHash;
use crate::fast::hash_of;
use crate::key::{Same, same};
use crate::obj::Obj;

/// Stands between the positional and the keyword arguments of a key.
///
/// The class itself is the mark, because pickle stores a class by name: a key that was loaded, in this
/// process or in another, still equals the key of the same call.
#[pyclass(frozen, module = "overdrive._core", name = "Keywords")]
pub struct Keywords;

static MARK: AtomicPtr<PyObject> = AtomicPtr::new(null_mut());

/// Makes the mark known; the class lives as long as the process.
pub fn install(py: Python<'_>) {
    MARK.store(py.get_type::<Keywords>().into_ptr(), Ordering::Relaxed);
}

#[inline(always)]
pub fn mark() -> Obj {
    // SAFETY: set when the module was made, which comes before the first memo.
    unsafe { crate::fast::obj(MARK.load(Ordering::Relaxed)) }
}

/// A call by CPython's vectorcall protocol, minus the arguments that are not part of the key.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    /// Positional arguments, then the values of the keywords.
    pub values: &'a [Obj],
    pub positional: usize,
    /// The tuple of keyword names, or null.
    pub names: *mut PyObject,
}

/// How arguments become a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Functools,
    Cachetools,
}

/// An item of a key: an object or, in cachetools' form, a name with its value.
#[derive(Clone, Copy)]
pub struct Part {
    object: Obj,
    value: Option<Obj>,
}

/// Room for the items of a key.
pub struct Parts(SmallVec<[Part; 12]>);

/// A key that may not be an object yet.
pub trait Key {
    /// What `hash()` of the key object is. Runs the hash functions of the arguments; `None` with an
    /// exception set.
    ///
    /// # Safety
    /// The arguments are alive.
    unsafe fn hash(&self) -> Option<u64>;

    /// Whether a stored key with the same hash equals this one. Runs no Python code.
    fn same(&self, stored: Obj) -> Same;

    /// The key object, as a new reference; `None` with an exception set.
    fn make(&self) -> Option<Obj>;

    /// Whether making it runs no garbage collection.
    fn is_made(&self) -> bool {
        false
    }

    /// An address that stands for the objects of this key, if equality of all of them runs no Python
    /// code.
    fn address(&self) -> Option<usize> {
        None
    }

    /// Whether a stored key is made of the same objects.
    fn is(&self, stored: Obj) -> bool {
        let _ = stored;
        false
    }
}

/// The object itself.
pub struct Made(pub Obj);

/// The tuple of these.
pub struct Items<'a>(pub &'a [Obj]);

/// The tuple of these, in which a part with a value is a pair. The last `types` are types of others.
pub struct LaidOut<'a> {
    parts: &'a [Part],
    types: usize,
}

impl Parts {
    /// Without items.
    #[inline(always)]
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    #[inline(always)]
    fn push(&mut self, object: Obj, value: Option<Obj>) {
        self.0.push(Part { object, value });
    }

    /// Lays out the key of a call with keywords, or a typed one.
    #[inline(always)]
    pub fn lay_out(&mut self, arguments: &Arguments<'_>, form: Form, typed: bool) -> LaidOut<'_> {
        let (positional, values) = arguments.values.split_at(arguments.positional);
        for &object in positional {
            self.push(object, None);
        }
        if !values.is_empty() {
            self.push(mark(), None);
        }
        let first_pair = self.0.len();
        for (at, &value) in values.iter().enumerate() {
            // SAFETY: the tuple has a name for each value.
            let name = unsafe {
                crate::fast::obj(ffi::PyTuple_GET_ITEM(
                    arguments.names,
                    at as ffi::Py_ssize_t,
                ))
            };
            match form {
                Form::Functools => {
                    self.push(name, None);
                    self.push(value, None);
                }
                Form::Cachetools => self.push(name, Some(value)),
            }
        }
        if form == Form::Cachetools && values.len() > 1 {
            self.0[first_pair..].sort_unstable_by(|a, b| {
                // SAFETY: names are strings; comparing their characters runs no Python code.
                unsafe { ffi::PyUnicode_Compare(a.object.as_ptr(), b.object.as_ptr()) }.cmp(&0)
            });
        }
        if typed {
            self.lay_out_types(positional, values, first_pair, form);
        }
        LaidOut {
            parts: &self.0,
            types: if typed { arguments.values.len() } else { 0 },
        }
    }

    #[inline(always)]
    fn lay_out_types(&mut self, positional: &[Obj], values: &[Obj], first_pair: usize, form: Form) {
        match form {
            Form::Functools => {
                for &value in positional.iter().chain(values) {
                    self.push(type_of(value), None);
                }
            }
            Form::Cachetools => {
                for at in first_pair..self.0.len() {
                    let value = self.0[at].value.unwrap_or(self.0[at].object);
                    self.push(type_of(value), None);
                }
                for &object in positional {
                    self.push(type_of(object), None);
                }
            }
        }
    }
}

/// The type of an object, which lives as long as it does.
#[inline(always)]
pub fn type_of(object: Obj) -> Obj {
    // SAFETY: the object is alive, and has a type.
    unsafe { crate::fast::obj(ffi::Py_TYPE(object.as_ptr()).cast()) }
}

impl Key for Made {
    #[inline(always)]
    unsafe fn hash(&self) -> Option<u64> {
        // SAFETY: by contract.
        unsafe { hash_of(self.0.as_ptr()) }
    }

    #[inline(always)]
    fn same(&self, stored: Obj) -> Same {
        same(stored, self.0)
    }

    fn make(&self) -> Option<Obj> {
        Some(self.0.incref())
    }

    fn is_made(&self) -> bool {
        true
    }

    #[inline(always)]
    fn address(&self) -> Option<usize> {
        is_own_key(self.0).then(|| self.0.as_ptr().addr())
    }

    #[inline(always)]
    fn is(&self, stored: Obj) -> bool {
        stored == self.0
    }
}

impl Key for Items<'_> {
    #[inline(always)]
    unsafe fn hash(&self) -> Option<u64> {
        let mut hash = TupleHash::new();
        for item in self.0 {
            // SAFETY: by contract.
            hash.add(unsafe { hash_of(item.as_ptr()) }?);
        }
        Some(hash.finish(self.0.len()))
    }

    #[inline(always)]
    fn same(&self, stored: Obj) -> Same {
        same_items(stored, self.0.len(), |at, stored| same(stored, self.0[at]))
    }

    fn make(&self) -> Option<Obj> {
        tuple(self.0.len(), |at| Some(self.0[at].incref()))
    }

    #[inline(always)]
    fn address(&self) -> Option<usize> {
        if self.0.is_empty() {
            return Some(super::quick::empty_address());
        }
        let mut mix = Mix::new();
        for &item in self.0 {
            mix.add(item)?;
        }
        Some(mix.finish())
    }

    #[inline(always)]
    fn is(&self, stored: Obj) -> bool {
        stored_items(&stored, self.0.len()).is_some_and(|items| items.eq(self.0))
    }
}

impl Key for LaidOut<'_> {
    #[inline(always)]
    unsafe fn hash(&self) -> Option<u64> {
        let mut hash = TupleHash::new();
        for part in self.parts {
            // SAFETY: by contract.
            hash.add(unsafe { part.hash() }?);
        }
        Some(hash.finish(self.parts.len()))
    }

    #[inline(always)]
    fn same(&self, stored: Obj) -> Same {
        same_items(stored, self.parts.len(), |at, stored| {
            self.parts[at].same(stored)
        })
    }

    fn make(&self) -> Option<Obj> {
        tuple(self.parts.len(), |at| self.parts[at].make())
    }

    /// The mark is left out, being in all keys with keywords, and so are types, which follow from their
    /// objects.
    fn address(&self) -> Option<usize> {
        if self.parts.is_empty() {
            return Some(super::quick::empty_address());
        }
        let told = &self.parts[..self.parts.len() - self.types];
        let mut mix = Mix::new();
        for part in told.iter().filter(|part| part.object != mark()) {
            if part.value.is_some() {
                return None;
            }
            mix.add(part.object)?;
        }
        Some(mix.finish())
    }

    fn is(&self, stored: Obj) -> bool {
        stored_items(&stored, self.parts.len()).is_some_and(|items| {
            let mut pairs = items.zip(self.parts);
            pairs.all(|(item, part)| part.value.is_none() && *item == part.object)
        })
    }
}

impl Part {
    /// # Safety
    /// The objects are alive.
    #[inline(always)]
    unsafe fn hash(&self) -> Option<u64> {
        // SAFETY: by contract.
        unsafe {
            let Some(value) = self.value else {
                return hash_of(self.object.as_ptr());
            };
            let mut hash = TupleHash::new();
            hash.add(hash_of(self.object.as_ptr())?);
            hash.add(hash_of(value.as_ptr())?);
            Some(hash.finish(2))
        }
    }

    #[inline(always)]
    fn same(&self, stored: Obj) -> Same {
        match self.value {
            None => same(stored, self.object),
            Some(value) => same_items(stored, 2, |at, stored| {
                same(stored, if at == 0 { self.object } else { value })
            }),
        }
    }

    fn make(&self) -> Option<Obj> {
        match self.value {
            None => Some(self.object.incref()),
            Some(value) => tuple(2, |at| {
                Some(if at == 0 { self.object } else { value }.incref())
            }),
        }
    }
}

/// Whether an argument alone is a key without a tuple around it, in the form of `functools`.
#[inline(always)]
pub fn is_own_key(object: Obj) -> bool {
    // SAFETY: the object is alive; the addresses are those of static types.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        kind == &raw mut ffi::PyLong_Type || kind == &raw mut ffi::PyUnicode_Type
    }
}

/// Whether hashing and comparing an object runs no Python code.
#[inline(always)]
fn is_plain(object: Obj) -> bool {
    // SAFETY: the object is alive; the addresses are those of static types.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        is_own_key(object)
            || kind == &raw mut ffi::PyType_Type
            || kind == &raw mut ffi::PyFloat_Type
            || kind == &raw mut ffi::PyBool_Type
            || kind == &raw mut ffi::PyBytes_Type
            || object.as_ptr() == ffi::Py_None()
    }
}

/// Mixes the addresses of several objects into one that stands for all.
pub struct Mix {
    mixed: usize,
    factor: usize,
}

impl Mix {
    /// Objects made one after the other lie evenly spaced, and so do sums of multiples of their
    /// addresses. With this factor (tried out) those spread over a table, for combinations that are
    /// common: twice the same object, one that stays the same and others, all pairs.
    const FACTOR: usize = 0xDA96_3A45_EFF8_3F05_u64 as usize;

    #[inline(always)]
    pub fn new() -> Self {
        Self {
            mixed: 0,
            factor: 1,
        }
    }

    /// Adds an object; `None` if hashing or comparing it may run Python code. The products do not wait
    /// for each other.
    #[inline(always)]
    pub fn add(&mut self, item: Obj) -> Option<()> {
        self.mixed = self
            .mixed
            .wrapping_add(item.as_ptr().addr().wrapping_mul(self.factor));
        self.factor = self.factor.wrapping_mul(Self::FACTOR);
        is_plain(item).then_some(())
    }

    #[inline(always)]
    pub fn finish(self) -> usize {
        self.mixed
    }
}

/// The items of a stored key, if it is a tuple of so many.
#[inline(always)]
pub fn stored_items(stored: &Obj, len: usize) -> Option<std::slice::Iter<'_, Obj>> {
    let tuple = stored.as_ptr();
    // SAFETY: a stored key is alive; its type and length are looked at before its items, which are
    // never null once it has been hashed.
    unsafe {
        if ffi::Py_TYPE(tuple) != &raw mut ffi::PyTuple_Type
            || ffi::PyTuple_GET_SIZE(tuple) as usize != len
        {
            return None;
        }
        let first = (&raw const (*tuple.cast::<ffi::PyTupleObject>()).ob_item).cast::<Obj>();
        Some(std::slice::from_raw_parts(first, len).iter())
    }
}

/// Compares a stored key with a tuple that does not exist, item by item and in order, as Python does.
#[inline(always)]
fn same_items(stored: Obj, len: usize, compare: impl Fn(usize, Obj) -> Same) -> Same {
    let stored = stored.as_ptr();
    // SAFETY: the stored key is alive, and so are the items of a tuple, which are never null once it
    // has been hashed.
    unsafe {
        if ffi::Py_TYPE(stored) != &raw mut ffi::PyTuple_Type {
            // A subclass, or a stranger in a shared cache, may equal a tuple if it says so.
            return Same::Ask;
        }
        if ffi::PyTuple_GET_SIZE(stored) as usize != len {
            return Same::No;
        }
        for at in 0..len {
            let item = crate::fast::obj(ffi::PyTuple_GET_ITEM(stored, at as ffi::Py_ssize_t));
            match compare(at, item) {
                Same::Yes => {}
                other => return other,
            }
        }
    }
    Same::Yes
}

/// A new tuple; `None` with an exception set.
fn tuple(len: usize, item: impl Fn(usize) -> Option<Obj>) -> Option<Obj> {
    // SAFETY: attached; each item of the new tuple is set once, to a reference that it takes over.
    unsafe {
        let tuple = std::ptr::NonNull::new(ffi::PyTuple_New(len as ffi::Py_ssize_t))?;
        for at in 0..len {
            let Some(item) = item(at) else {
                ffi::Py_DECREF(tuple.as_ptr());
                return None;
            };
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), at as ffi::Py_ssize_t, item.as_ptr());
        }
        Some(Obj::from_non_null(tuple))
    }
}

/// Whether this interpreter hashes tuples as we do; if not, keys are made before they are looked up.
pub fn hashes_tuples_alike(py: Python<'_>) -> PyResult<bool> {
    let samples = [
        (1_i64, "a", -2_i64).into_pyobject(py)?.into_any(),
        (0_i64, "", 1_i64 << 40).into_pyobject(py)?.into_any(),
    ];
    for sample in samples {
        let items: Vec<Obj> = (0..3)
            .map(|at| sample.get_item(at).map(|item| Obj::of(&item)))
            .collect::<PyResult<_>>()?;
        // SAFETY: the tuple keeps its items alive.
        if unsafe { Items(&items).hash() } != Some(sample.hash()? as u64) {
            return Ok(false);
        }
    }
    Ok(true)
}
